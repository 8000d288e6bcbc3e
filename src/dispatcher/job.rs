//! A job: one prediction as the Dispatcher keeps it.

use serde::{Deserialize, Serialize};

use super::job_terms::JobTerms;
use crate::constants::EXPIRY_CONFIRM_MILLIS;
use crate::messages::{JobEnd, JobUpdate, QueueShare, Stage};
use crate::types::ids::UserKey;
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

/// The state of a job. Clients see `Waiting` as `queued`, `Submitting` and `Running` as `processing`. An `Unknown` job
/// has ended for its client and only holds its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The job waits for a slot, or was returned to the queue after a throttled create or a refused key.
    Waiting,
    /// Stored before the create is sent. A row in this state without a submit in flight has an unknown outcome.
    Submitting,
    /// The vendor has the prediction.
    Running,
    /// The vendor may or may not have the prediction.
    Unknown,
}

/// A row of `jobs`, stored as one JSON document (`job_format_unchanged` pins it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The owner.
    pub user: UserKey,
    /// The prediction.
    #[serde(rename = "order")]
    pub spec: JobTerms,
    /// The user's share of the queue, from the plan at the time of the create.
    pub share: QueueShare,
    /// Its state.
    pub state: JobState,
    /// Grows with every change that is reported to the Ledger.
    pub sequence: u64,
    /// Time of the enqueue.
    pub enqueued_at: UnixMillis,
    /// How long creates of its model were paused by operators before the enqueue, in all. Only the time since then is not
    /// part of its wait.
    #[serde(default, skip_serializing_if = "is_zero_millis")]
    pub paused_before_ms: i64,
    /// True if the create was sent, and the job was returned to the front of the queue.
    #[serde(rename = "returned", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_returned: bool,
    /// Time of the last submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<UnixMillis>,
    /// The vendor's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Fingerprint of the vendor key that submitted the prediction (protocol 6).
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub vendor_key_fingerprint: Option<String>,
    /// Time of the next poll, while it runs.
    #[serde(default)]
    pub poll_at: UnixMillis,
    /// Time of the last poll.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub polled_at: UnixMillis,
    /// The last time that a webhook brought a poll forward.
    #[serde(rename = "hooked_at", default, skip_serializing_if = "is_epoch")]
    pub webhook_at: UnixMillis,
    /// True if a cancel was requested, by the client or because the job exceeded `max_seconds`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// True if the vendor accepted the cancel, or refused it for good. Then the cancel is not sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_sent: bool,
    /// Time of the next try to cancel.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub cancel_at: UnixMillis,
    /// Number of cancels sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancel_tries: u32,
    /// Consecutive polls that found no such prediction.
    #[serde(rename = "missing_polls", default, skip_serializing_if = "is_zero")]
    pub not_found_polls: u32,
    /// Time of the first of those polls.
    #[serde(rename = "missing_since", default, skip_serializing_if = "Option::is_none")]
    pub not_found_since: Option<UnixMillis>,
    /// Consecutive polls and cancels without information about the prediction, because the vendor refused the key, or
    /// because a key other than the job's own did not find the prediction.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub key_refusals: u32,
    /// True if polls and cancels use the other one of the two vendor keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uses_other_key: bool,
    /// True if its user was deleted while it was at the vendor.
    #[serde(rename = "erased", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_user_deleted: bool,
    /// Time of the first check that found its deadline passed. A second check must confirm it (protocol 5). In memory
    /// only: after a restart, the first check is made again, a second before the one that confirms it.
    #[serde(skip)]
    pub expiry_seen_at: Option<UnixMillis>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero_millis(value: &i64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_epoch(value: &UnixMillis) -> bool {
    value.0 == 0
}

impl Job {
    /// Returns a job that has just arrived.
    #[must_use]
    pub fn new(user: UserKey, spec: JobTerms, share: QueueShare, now: UnixMillis) -> Self {
        Self {
            user,
            spec,
            share,
            state: JobState::Waiting,
            sequence: 1,
            enqueued_at: now,
            paused_before_ms: 0,
            is_returned: false,
            submitted_at: None,
            vendor_id: None,
            vendor_key_fingerprint: None,
            poll_at: now,
            polled_at: UnixMillis(0),
            webhook_at: UnixMillis(0),
            cancel_requested: false,
            cancel_sent: false,
            cancel_at: UnixMillis(0),
            cancel_tries: 0,
            not_found_polls: 0,
            not_found_since: None,
            key_refusals: 0,
            uses_other_key: false,
            is_user_deleted: false,
            expiry_seen_at: None,
        }
    }

    /// Returns whether the job holds a slot.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        match self.state {
            JobState::Submitting | JobState::Running | JobState::Unknown => true,
            JobState::Waiting => false,
        }
    }

    /// Returns whether a cancel must be sent to the vendor.
    pub(super) fn needs_cancel(&self) -> bool {
        self.state == JobState::Running && self.cancel_requested && !self.cancel_sent
    }

    /// Returns how long the run is known to have taken: without the time in which a poll was due and the request window
    /// let none pass.
    pub(super) fn run_millis(&self, now: UnixMillis) -> i64 {
        let delay = if self.polled_at >= self.poll_at {
            self.polled_at.millis_since(self.poll_at)
        } else if self.state == JobState::Running {
            now.millis_since(self.poll_at).max(0)
        } else {
            0
        };
        now.millis_since(self.submitted_at.unwrap_or(now)).saturating_sub(delay).max(0)
    }

    /// Returns the end of the model's longest run: `max_seconds` after the submit.
    #[must_use]
    pub fn run_deadline(&self) -> UnixMillis {
        self.submitted_at
            .unwrap_or(self.enqueued_at)
            .plus_millis(i64::from(self.spec.max_seconds).saturating_mul(1_000))
    }

    /// Returns when the slot is given up whatever the vendor says: 2 × `max_seconds` after the submit.
    #[must_use]
    pub fn slot_deadline(&self) -> UnixMillis {
        self.run_deadline().plus_millis(i64::from(self.spec.max_seconds).saturating_mul(1_000))
    }

    /// Returns the end of its wait, in its model's queue time ([`super::pauses`]).
    pub(super) fn wait_deadline(&self, max_wait_millis: i64) -> UnixMillis {
        self.enqueued_at.plus_millis(max_wait_millis.saturating_sub(self.paused_before_ms))
    }

    /// Returns when the deadline of a job that waits must be checked, in its model's queue time. At the confirmation, if
    /// the deadline was seen to have passed.
    pub(super) fn wait_check_at(&self, max_wait_millis: i64) -> Option<UnixMillis> {
        let deadline = self.wait_deadline(max_wait_millis);
        (self.state == JobState::Waiting).then(|| self.or_confirmation(deadline))
    }

    /// Returns when the deadline of a job at the vendor must be checked: the end of its longest run, or of its slot. At
    /// the confirmation, if the deadline was seen to have passed. A create in flight has none: its report decides.
    pub(super) fn expiry_check_at(&self) -> Option<UnixMillis> {
        let deadline = match self.state {
            JobState::Waiting | JobState::Submitting => return None,
            JobState::Running if self.cancel_requested => self.slot_deadline(),
            JobState::Running | JobState::Unknown => self.run_deadline(),
        };
        Some(self.or_confirmation(deadline))
    }

    fn or_confirmation(&self, deadline: UnixMillis) -> UnixMillis {
        self.expiry_seen_at.map_or(deadline, |seen_at| seen_at.plus_millis(EXPIRY_CONFIRM_MILLIS))
    }

    /// Returns whether `deadline` has passed at two checks that are at least a second apart, and remembers the first.
    /// So one forward step of the clock does not end every lease at once (protocol 5).
    pub fn confirm_expiry(&mut self, deadline: UnixMillis, now: UnixMillis) -> bool {
        if now < deadline {
            self.expiry_seen_at = None;
            return false;
        }
        let first = *self.expiry_seen_at.get_or_insert(now);
        now.millis_since(first) >= EXPIRY_CONFIRM_MILLIS
    }

    /// Returns the update for its Ledger. `queue` is its queue position, used only while it waits.
    #[must_use]
    pub fn update_for_ledger(&self, now: UnixMillis, queue: Option<QueuePosition>, end: Option<JobEnd>) -> JobUpdate {
        let stage = match (&end, self.state) {
            (Some(_), _) | (None, JobState::Unknown) => Stage::Ended,
            (None, JobState::Waiting) => Stage::Waiting,
            (None, JobState::Submitting) => Stage::Submitting,
            (None, JobState::Running) => Stage::Running,
        };
        JobUpdate {
            job_id: self.spec.job_id.clone(),
            sequence: self.sequence,
            stage,
            at: now,
            cancel_requested: self.cancel_requested,
            queue: queue.filter(|_| stage == Stage::Waiting),
            end,
            late_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `order` of today's rows of the build before, whose input is moved by SQL before they are read.
    const ORDER_BEFORE: &str = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","input":{"prompt":"p"},"image_count":1,"credits":2500000,"max_seconds":600}"#;

    fn job() -> Job {
        let (spec, _) = JobTerms::split(serde_json::from_str(ORDER_BEFORE).unwrap());
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 20 };
        Job::new(UserKey::new("i", "s"), spec, share, UnixMillis(7))
    }

    const SHARE: &str = r#""share":{"plan":"default","weight":1,"concurrent_predictions":2,"max_waiting":20}"#;

    #[test]
    fn job_format_unchanged() {
        let user = UserKey::new("i", "s");
        let spec = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","image_count":1,"credits":2500000,"max_seconds":600,"input_bytes":14}"#;
        let waiting = format!(
            r#"{{"user":"{}","order":{spec},{SHARE},"state":"waiting","sequence":1,"enqueued_at":7,"poll_at":7}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&job()).unwrap(), waiting);
        assert_eq!(serde_json::from_str::<Job>(&waiting).unwrap(), job());
        let spec = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","input":{},"image_count":1,"credits":2500000,"max_seconds":600}"#;
        let mut taken = job();
        taken.spec.drop_input();
        let running = Job {
            state: JobState::Running,
            is_returned: true,
            polled_at: UnixMillis(8),
            webhook_at: UnixMillis(9),
            submitted_at: Some(UnixMillis(8)),
            vendor_id: Some("v".into()),
            vendor_key_fingerprint: Some("k".into()),
            cancel_requested: true,
            cancel_sent: true,
            not_found_polls: 1,
            not_found_since: Some(UnixMillis(9)),
            ..taken
        };
        let text = format!(
            r#"{{"user":"{}","order":{spec},{SHARE},"state":"running","sequence":1,"enqueued_at":7,"returned":true,"submitted_at":8,"vendor_id":"v","key":"k","poll_at":7,"polled_at":8,"hooked_at":9,"cancel_requested":true,"cancel_sent":true,"missing_polls":1,"missing_since":9}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&running).unwrap(), text);
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), running);
        let before = text.trim_end_matches('}').to_owned() + r#","expiry_seen_at":9}"#;
        assert_eq!(serde_json::from_str::<Job>(&before).unwrap(), running, "a row of the build before");
        let refused = Job { key_refusals: 2, uses_other_key: true, is_user_deleted: true, ..job() };
        let text =
            waiting.trim_end_matches('}').to_owned() + r#","key_refusals":2,"uses_other_key":true,"erased":true}"#;
        assert_eq!(serde_json::to_string(&refused).unwrap(), text);
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), refused);
    }

    #[test]
    fn a_row_of_the_build_before_is_read_without_its_input() {
        let user = UserKey::new("i", "s");
        let text = format!(
            r#"{{"user":"{}","order":{ORDER_BEFORE},{SHARE},"state":"submitting","sequence":1,"enqueued_at":7,"submitted_at":8,"poll_at":7}}"#,
            user.as_str()
        );
        let read = serde_json::from_str::<Job>(&text).unwrap();
        assert_eq!((read.state, read.spec.input_bytes()), (JobState::Submitting, 0));
        assert!(!serde_json::to_string(&read).unwrap().contains("prompt"));
    }

    #[test]
    fn an_expiry_needs_two_checks() {
        let mut job = job();
        let deadline = UnixMillis(1_000);
        assert!(!job.confirm_expiry(deadline, UnixMillis(999)));
        assert!(!job.confirm_expiry(deadline, UnixMillis(900_000)));
        assert!(!job.confirm_expiry(deadline, UnixMillis(900_999)));
        assert!(job.confirm_expiry(deadline, UnixMillis(901_000)));
    }

    #[test]
    fn a_clock_that_steps_back_cancels_the_first_check() {
        let mut job = job();
        job.confirm_expiry(UnixMillis(1_000), UnixMillis(5_000));
        assert!(!job.confirm_expiry(UnixMillis(1_000), UnixMillis(500)));
        assert!(!job.confirm_expiry(UnixMillis(1_000), UnixMillis(6_000)));
    }
}
