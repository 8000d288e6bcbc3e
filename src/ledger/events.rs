//! Tells the app's backend when a prediction ends (protocol 10).
//!
//! Invariants:
//!
//! - An event is stored in the transaction that ends its prediction, and deleted once the receiver took it, or after a day.
//! - One event is in flight at a time, in a task of its own: no request, no job update and no alarm awaits the receiver.
//! - The deletion of a user deletes the events. An erased prediction names no user, so that its end is no event.
//! - A receiver that fails is left alone for a while, for all events of the user. So it costs one row for each try, however
//!   many events wait. Each try sends the next event: one that the receiver never takes holds up no other.

use serde::{Deserialize, Serialize};

use super::marks;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{
    EVENT_KEPT_MILLIS, EVENT_RECOVERY_MILLIS, EVENT_RETRY_FIRST_MILLIS, EVENT_RETRY_FOR_NEW_MILLIS,
    EVENT_RETRY_MAX_MILLIS, EVENTS_WAITING_MAX,
};
use crate::messages::LedgerReply;
use crate::notification::Notification;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

/// The end of a prediction, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EndEvent {
    job_id: JobId,
    status: Status,
    model: ModelId,
    user: UserKey,
    completed_at: String,
}

/// The mark of a receiver that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unreachable {
    /// Tries in a row that failed.
    failed: u32,
    /// Earliest time of the next one.
    next_at: UnixMillis,
    /// The event that was tried last.
    last: JobId,
}

impl Unreachable {
    /// Adds a try of an event that failed.
    fn after(before: Option<Self>, tried: JobId, now: UnixMillis) -> Self {
        let failed = before.map_or(0, |before| before.failed).saturating_add(1);
        Self { failed, next_at: now.plus_millis(wait_after(failed)), last: tried }
    }

    /// Returns the receiver as one that may be tried for a new event, if the last try was long enough ago.
    fn for_new_event(&self, now: UnixMillis) -> Option<Self> {
        let tried_at = self.next_at.plus_millis(wait_after(self.failed).saturating_neg());
        let is_due = now.millis_since(tried_at) >= EVENT_RETRY_FOR_NEW_MILLIS;
        is_due.then(|| Self { next_at: now, ..self.clone() })
    }

    /// Returns how long to wait. A clock that was set back makes no wait longer.
    fn wait_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        (1..=EVENT_RETRY_MAX_MILLIS).contains(&self.next_at.millis_since(now)).then_some(self.next_at)
    }
}

/// Returns the wait after so many failed tries in a row.
fn wait_after(failed: u32) -> i64 {
    let wait = EVENT_RETRY_FIRST_MILLIS.saturating_mul(1_i64 << failed.saturating_sub(1).min(20));
    wait.min(EVENT_RETRY_MAX_MILLIS)
}

impl Turn<'_> {
    /// Stores the event of a prediction that has just ended, and starts to send it.
    pub(super) fn note_end(&mut self, record: &PredictionRecord) -> Result<(), RowError> {
        let (Some(user), Some(completed_at)) = (&record.user, record.completed_at) else { return Ok(()) };
        if !self.ledger.sends_events {
            return Ok(());
        }
        let event = EndEvent {
            job_id: record.job_id.clone(),
            status: record.status,
            model: record.model.clone(),
            user: user.clone(),
            completed_at: completed_at.to_rfc3339(),
        };
        self.write_mark(marks::event(&record.job_id), &event, self.now.plus_millis(EVENT_KEPT_MILLIS))?;
        let unreachable: Option<Unreachable> = self.mark(marks::RECEIVER)?;
        let Some(tried_again) = unreachable.and_then(|unreachable| unreachable.for_new_event(self.now)) else {
            return self.start_events();
        };
        self.write_mark(marks::RECEIVER.to_owned(), &tried_again, self.now.plus_millis(EVENT_KEPT_MILLIS))?;
        self.start_task();
        Ok(())
    }

    /// Looks for events that a predecessor of this memory left, in its first turn and in each alarm.
    pub(super) fn resume_events(&mut self, is_alarm: bool) -> Result<(), RowError> {
        let is_first = !std::mem::replace(&mut self.ledger.has_looked_at_events, true);
        if self.ledger.sends_events && (is_first || is_alarm) && !self.waiting_events()?.is_empty() {
            self.start_events()?;
        }
        Ok(())
    }

    /// Starts a task that sends, and an alarm in case this instance dies before. While the receiver is left alone, starts the
    /// alarm only.
    fn start_events(&mut self) -> Result<(), RowError> {
        let unreachable: Option<Unreachable> = self.mark(marks::RECEIVER)?;
        match unreachable.and_then(|unreachable| unreachable.wait_until(self.now)) {
            Some(at) => self.wake_by(at),
            None => self.start_task(),
        }
        Ok(())
    }

    fn start_task(&mut self) {
        self.wake_by(self.now.plus_millis(EVENT_RECOVERY_MILLIS));
        self.tasks.push(Next::Continue(Continuation::SendEvent));
    }

    /// Returns the events that wait, the oldest prediction first. One that cannot be read waits for its expiry.
    fn waiting_events(&self) -> Result<Vec<EndEvent>, RowError> {
        let docs = self.rows.marks(marks::EVENTS, self.now)?;
        Ok(docs.iter().filter_map(|doc| serde_json::from_str(doc).ok()).collect())
    }

    /// Sends the next event, unless one is in flight or the receiver is left alone.
    pub(super) fn send_event(&mut self) -> Result<Next, RowError> {
        let nothing = Ok(Next::Reply(LedgerReply::Done));
        if self.ledger.is_sending_event {
            return nothing;
        }
        let mut events = self.waiting_events()?;
        let excess = events.len().saturating_sub(EVENTS_WAITING_MAX);
        for event in events.drain(..excess) {
            self.write(Write::DeleteMark(marks::event(&event.job_id)));
        }
        let unreachable: Option<Unreachable> = self.mark(marks::RECEIVER)?;
        let last = unreachable.as_ref().map(|unreachable| &unreachable.last);
        let next = events.iter().find(|event| last.is_none_or(|last| event.job_id > *last));
        let Some(event) = next.or_else(|| events.first()) else { return nothing };
        if let Some(at) = unreachable.as_ref().and_then(|unreachable| unreachable.wait_until(self.now)) {
            self.wake_by(at);
            return nothing;
        }
        let body = serde_json::to_string(event).map_err(|_| RowError)?;
        let job_id = event.job_id.clone();
        self.ledger.is_sending_event = true;
        self.wake_by(self.now.plus_millis(EVENT_RECOVERY_MILLIS));
        let notification = Notification { id: format!("event_{job_id}"), body };
        Ok(Next::Ask(Question::Notify(notification), Continuation::ConcludeEvent { job_id }))
    }

    /// Stores whether the receiver took an event. No failure is stored for an event that is gone: its user was deleted.
    pub(super) fn conclude_event(&mut self, job_id: JobId, answer: Option<&Answer>) -> Result<Next, RowError> {
        self.ledger.is_sending_event = false;
        let unreachable: Option<Unreachable> = self.mark(marks::RECEIVER)?;
        if answer == Some(&Answer::Notified(true)) {
            self.write(Write::DeleteMark(marks::event(&job_id)));
            if unreachable.is_some() {
                self.write(Write::DeleteMark(marks::RECEIVER.to_owned()));
            }
            self.tasks.push(Next::Continue(Continuation::SendEvent));
        } else if self.rows.mark(&marks::event(&job_id), self.now)?.is_some() {
            let unreachable = Unreachable::after(unreachable, job_id, self.now);
            self.wake_by(unreachable.next_at);
            self.write_mark(marks::RECEIVER.to_owned(), &unreachable, self.now.plus_millis(EVENT_KEPT_MILLIS))?;
        }
        Ok(Next::Reply(LedgerReply::Done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_id(number: u8) -> JobId {
        JobId::new(UnixMillis(0), [number; 10])
    }

    #[test]
    fn the_waits_of_a_receiver_that_fails_double_up_to_an_hour() {
        let mut unreachable = None;
        let mut waits = Vec::new();
        for _ in 0..11 {
            let next = Unreachable::after(unreachable.take(), job_id(1), UnixMillis(5));
            waits.push(next.next_at.0 - 5);
            unreachable = Some(next);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600].map(|seconds| seconds * 1_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_silence_events() {
        let unreachable = Unreachable { failed: 1, next_at: UnixMillis(90_000_000), last: job_id(1) };
        assert_eq!(unreachable.wait_until(UnixMillis(89_999_000)), Some(UnixMillis(90_000_000)));
        assert_eq!(unreachable.wait_until(UnixMillis(0)), None);
    }

    #[test]
    fn event_format_unchanged() {
        let event = EndEvent {
            job_id: JobId::parse("pred_01jh0000000000000000000000").unwrap(),
            status: Status::Succeeded,
            model: ModelId::parse("acme/x").unwrap(),
            user: UserKey::new("i", "s"),
            completed_at: UnixMillis(0).to_rfc3339(),
        };
        let text = format!(
            r#"{{"job_id":"pred_01jh0000000000000000000000","status":"succeeded","model":"acme/x","user":"{}","completed_at":"1970-01-01T00:00:00Z"}}"#,
            event.user.as_str()
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        let unreachable = Unreachable { failed: 1, next_at: UnixMillis(2), last: event.job_id };
        let text = r#"{"failed":1,"next_at":2,"last":"pred_01jh0000000000000000000000"}"#;
        assert_eq!(serde_json::to_string(&unreachable).unwrap(), text);
    }
}
