//! One prediction as the Dispatcher keeps it.

use serde::{Deserialize, Serialize};

use crate::constants::EXPIRY_CONFIRM_MILLIS;
use crate::messages::{JobEnd, JobSpec, JobUpdate, QueueShare, Stage};
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

/// Where a job is. The client sees the first as `queued`, the next two as `processing`; `Unknown` has ended for
/// the client and only holds its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The vendor told it to wait, or the key was in trouble.
    Waiting,
    /// Written before the fetch: a row that is found in this state and not in memory has an unknown outcome.
    Submitting,
    /// The vendor has it.
    Running,
    /// Nobody can tell whether the vendor has it.
    Unknown,
}

/// A row of `jobs`, stored as one JSON document (`job_format_unchanged` pins it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Whose it is.
    pub user: UserKey,
    /// What to make; the input is emptied once the vendor has it.
    #[serde(rename = "order")]
    pub spec: JobSpec,
    /// The user's share, by the plan that it was created under.
    pub share: QueueShare,
    /// Where it is.
    pub state: JobState,
    /// Grows with every change that a Ledger must hear of.
    pub sequence: u64,
    /// When it arrived.
    pub enqueued_at: UnixMillis,
    /// It was sent and turned away: it stands in front of the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// When it was last sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<UnixMillis>,
    /// The vendor's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// The fingerprint of the key that it was submitted with (protocol 6).
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub vendor_key_fingerprint: Option<String>,
    /// When it is polled next, while running.
    #[serde(default)]
    pub poll_at: UnixMillis,
    /// When it was last polled.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub polled_at: UnixMillis,
    /// When a webhook last brought a poll forward.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub hooked_at: UnixMillis,
    /// An end was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// A cancel has been sent to the vendor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_sent: bool,
    /// When the cancel is sent, or tried again.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub cancel_at: UnixMillis,
    /// How often it was sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancel_tries: u32,
    /// Polls in a row that said "no such prediction".
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_polls: u32,
    /// When the first of those came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<UnixMillis>,
    /// When a deadline was first seen to have passed: a second look must confirm it (protocol 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_seen_at: Option<UnixMillis>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_epoch(value: &UnixMillis) -> bool {
    value.0 == 0
}

impl Job {
    /// A job that has just arrived.
    #[must_use]
    pub fn new(user: UserKey, spec: JobSpec, share: QueueShare, now: UnixMillis) -> Self {
        Self {
            user,
            spec,
            share,
            state: JobState::Waiting,
            sequence: 1,
            enqueued_at: now,
            returned: false,
            submitted_at: None,
            vendor_id: None,
            vendor_key_fingerprint: None,
            poll_at: now,
            polled_at: UnixMillis(0),
            hooked_at: UnixMillis(0),
            cancel_requested: false,
            cancel_sent: false,
            cancel_at: UnixMillis(0),
            cancel_tries: 0,
            missing_polls: 0,
            missing_since: None,
            expiry_seen_at: None,
        }
    }

    /// Whether it holds one of the vendor's places.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        match self.state {
            JobState::Submitting | JobState::Running | JobState::Unknown => true,
            JobState::Waiting => false,
        }
    }

    /// `max_seconds` after the submit: the model's longest run.
    #[must_use]
    pub fn time_is_up_at(&self) -> UnixMillis {
        self.submitted_at
            .unwrap_or(self.enqueued_at)
            .plus_millis(i64::from(self.spec.max_seconds).saturating_mul(1_000))
    }

    /// Twice `max_seconds` after the submit: the slot ends whatever the vendor says.
    #[must_use]
    pub fn slot_ends_at(&self) -> UnixMillis {
        self.time_is_up_at().plus_millis(i64::from(self.spec.max_seconds).saturating_mul(1_000))
    }

    /// Whether `deadline` has passed, seen twice at least a second apart, so that one step of a clock does not end
    /// every lease at once (protocol 5). Remembers the first look.
    pub fn confirm_expiry(&mut self, deadline: UnixMillis, now: UnixMillis) -> bool {
        if now < deadline {
            self.expiry_seen_at = None;
            return false;
        }
        let first = *self.expiry_seen_at.get_or_insert(now);
        now.millis_since(first) >= EXPIRY_CONFIRM_MILLIS
    }

    /// What its Ledger is told. `queue` is its place while it waits.
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
        }
    }
}

/// News that a Ledger has not acknowledged: one row of `outbox` for a prediction, the latest replacing the earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Whose Ledger.
    pub user: UserKey,
    /// What to say.
    #[serde(rename = "news")]
    pub update: JobUpdate,
    /// When it was first tried.
    pub since: UnixMillis,
    /// Tries so far.
    #[serde(default)]
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: UnixMillis,
    /// Given up after a day; an operator looks at it.
    #[serde(rename = "dead", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dead: bool,
}

impl OutboxRow {
    /// Which prediction.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        &self.update.job_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::credits::MicroCredits;
    use crate::types::model::ModelId;

    fn job() -> Job {
        let spec = JobSpec {
            job_id: JobId::parse("pred_01jh0000000000000000000000").unwrap(),
            model: ModelId::parse("acme/model-x").unwrap(),
            input: serde_json::from_str(r#"{"prompt":"p"}"#).unwrap(),
            image_count: 1,
            credits: MicroCredits::parse("2.5").unwrap(),
            max_seconds: 600,
        };
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 20 };
        Job::new(UserKey::new("i", "s"), spec, share, UnixMillis(7))
    }

    const SHARE: &str = r#""share":{"plan":"default","weight":1,"concurrent_predictions":2,"max_waiting":20}"#;

    #[test]
    fn job_format_unchanged() {
        let user = UserKey::new("i", "s");
        let spec = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","input":{"prompt":"p"},"image_count":1,"credits":2500000,"max_seconds":600}"#;
        let waiting = format!(
            r#"{{"user":"{}","order":{spec},{SHARE},"state":"waiting","sequence":1,"enqueued_at":7,"poll_at":7}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&job()).unwrap(), waiting);
        assert_eq!(serde_json::from_str::<Job>(&waiting).unwrap(), job());
        let running = Job {
            state: JobState::Running,
            returned: true,
            polled_at: UnixMillis(8),
            hooked_at: UnixMillis(9),
            submitted_at: Some(UnixMillis(8)),
            vendor_id: Some("v".into()),
            vendor_key_fingerprint: Some("k".into()),
            cancel_requested: true,
            cancel_sent: true,
            missing_polls: 1,
            missing_since: Some(UnixMillis(9)),
            expiry_seen_at: Some(UnixMillis(9)),
            ..job()
        };
        let text = format!(
            r#"{{"user":"{}","order":{spec},{SHARE},"state":"running","sequence":1,"enqueued_at":7,"returned":true,"submitted_at":8,"vendor_id":"v","key":"k","poll_at":7,"polled_at":8,"hooked_at":9,"cancel_requested":true,"cancel_sent":true,"missing_polls":1,"missing_since":9,"expiry_seen_at":9}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&running).unwrap(), text);
    }

    #[test]
    fn an_expiry_needs_two_looks() {
        let mut job = job();
        let deadline = UnixMillis(1_000);
        assert!(!job.confirm_expiry(deadline, UnixMillis(999)));
        assert!(!job.confirm_expiry(deadline, UnixMillis(900_000)));
        assert!(!job.confirm_expiry(deadline, UnixMillis(900_999)));
        assert!(job.confirm_expiry(deadline, UnixMillis(901_000)));
    }

    #[test]
    fn a_clock_that_steps_back_forgets_the_first_look() {
        let mut job = job();
        job.confirm_expiry(UnixMillis(1_000), UnixMillis(5_000));
        assert!(!job.confirm_expiry(UnixMillis(1_000), UnixMillis(500)));
        assert!(!job.confirm_expiry(UnixMillis(1_000), UnixMillis(6_000)));
    }
}
