//! The Dispatcher's memory: what it is loaded from and what its parts share.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::actions::Changes;
use super::health::Health;
use super::job::{Job, JobState, OutboxRow};
use crate::ids::{JobId, UserKey};
use crate::limit::request_window::RequestWindow;
use crate::messages::JobEnd;
use crate::model::ModelId;
use crate::time::UnixMillis;
use crate::upstream::output::OutputRule;

/// What the vendor grants our key, by configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// Requests in any minute, ours: the grant less what others send with the same key.
    pub requests_per_minute: usize,
    /// Predictions at a time.
    pub concurrent_predictions: usize,
    /// Longest wait for a slot, milliseconds.
    pub max_wait_millis: i64,
    /// Fingerprint of the key that creates are sent with.
    pub key_fingerprint: String,
    /// Which output URLs pass.
    pub outputs: OutputRule,
}

/// The one stored document besides the rows (`state_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// Send times of vendor requests, oldest first.
    #[serde(default)]
    pub sent: Vec<UnixMillis>,
    /// Until when the vendor asked for silence.
    #[serde(default)]
    pub closed_until: UnixMillis,
    /// How the vendor is doing.
    #[serde(default)]
    pub health: Health,
    /// The latest time seen: the clock never goes back (protocol 5).
    #[serde(default)]
    pub clock: UnixMillis,
    /// The vendor's models, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelId>>,
    /// When they were last asked for.
    #[serde(default)]
    pub models_asked_at: UnixMillis,
}

/// The state machine. See the module for how it is driven.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub(super) limits: KeyLimits,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) outbox: BTreeMap<JobId, OutboxRow>,
    pub(super) window: RequestWindow,
    pub(super) health: Health,
    pub(super) clock: UnixMillis,
    pub(super) models: Option<Vec<ModelId>>,
    pub(super) models_asked_at: UnixMillis,
    pub(super) models_wanted: bool,
    pub(super) in_flight: InFlight,
    pub(super) changes: Changes,
}

/// Work of this instance that has not reported back. In memory only: after a restart it is empty, and that is how
/// a `submitting` row is known to have an unknown outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    pub(super) submits: BTreeSet<JobId>,
    pub(super) polls: BTreeSet<JobId>,
    pub(super) cancels: BTreeSet<JobId>,
    pub(super) deliveries: BTreeSet<UserKey>,
    pub(super) models: bool,
}

impl InFlight {
    pub(super) fn connections(&self) -> usize {
        let requests = self.submits.len().saturating_add(self.polls.len()).saturating_add(self.cancels.len());
        requests.saturating_add(usize::from(self.models))
    }
}

impl Dispatcher {
    /// Loads the machine from its rows.
    #[must_use]
    pub fn load(limits: KeyLimits, state: StoredState, jobs: Vec<Job>, outbox: Vec<OutboxRow>) -> Self {
        Self {
            limits,
            jobs: jobs.into_iter().map(|job| (job.order.job_id.clone(), job)).collect(),
            outbox: outbox.into_iter().map(|row| (row.job_id().clone(), row)).collect(),
            window: RequestWindow::restore(state.sent, state.closed_until),
            health: state.health,
            clock: state.clock,
            models: state.models,
            models_asked_at: state.models_asked_at,
            models_wanted: false,
            in_flight: InFlight::default(),
            changes: Changes::default(),
        }
    }

    /// The document to store when [`Changes::state`] says so.
    #[must_use]
    pub fn stored_state(&self) -> StoredState {
        StoredState {
            sent: self.window.sent().collect(),
            closed_until: self.window.closed_until(),
            health: self.health.clone(),
            clock: self.clock,
            models: self.models.clone(),
            models_asked_at: self.models_asked_at,
        }
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// A row of `jobs`, if it is there.
    #[must_use]
    pub fn job(&self, job_id: &JobId) -> Option<&Job> {
        self.jobs.get(job_id)
    }

    /// A row of `outbox`, if it is there.
    #[must_use]
    pub fn outbox_row(&self, job_id: &JobId) -> Option<&OutboxRow> {
        self.outbox.get(job_id)
    }

    /// The vendor's models, if a list was ever read.
    #[must_use]
    pub fn models(&self) -> Option<&[ModelId]> {
        self.models.as_deref()
    }

    /// Jobs that hold one of the vendor's places.
    #[must_use]
    pub fn slots_held(&self) -> usize {
        self.jobs.values().filter(|job| job.holds_slot()).count()
    }

    /// The time that counts: never earlier than any seen before.
    pub(super) fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// The places that may be held now.
    pub(super) fn slot_limit(&self, now: UnixMillis) -> usize {
        let penalty = usize::from(self.health.slot_penalty_until > now);
        self.limits.concurrent_predictions.saturating_sub(penalty).max(1)
    }

    pub(super) fn waiting(&self) -> usize {
        self.jobs.values().filter(|job| job.state == JobState::Waiting).count()
    }

    /// Changes a job, and books its latest news for its Ledger.
    pub(super) fn change_job(&mut self, job_id: &JobId, now: UnixMillis, change: impl FnOnce(&mut Job)) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        change(job);
        job.sequence = job.sequence.saturating_add(1);
        let (user, news) = (job.user.clone(), job.news(now, None));
        self.changes.jobs.insert(job_id.clone());
        self.tell(user, news, now);
    }

    /// Ends a job: its row goes, a tombstone stays, its Ledger is told.
    pub(super) fn end_job(&mut self, job_id: &JobId, end: JobEnd, now: UnixMillis) {
        let Some(mut job) = self.jobs.remove(job_id) else { return };
        job.sequence = job.sequence.saturating_add(1);
        self.changes.jobs.insert(job_id.clone());
        self.changes.tombstones.insert(job_id.clone());
        let (user, news) = (job.user.clone(), job.news(now, Some(end)));
        self.tell(user, news, now);
    }

    /// Ends a job for its client while it goes on holding its slot.
    pub(super) fn end_as_unknown(&mut self, job_id: &JobId, end: JobEnd, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.state = JobState::Unknown;
        job.order.input.clear();
        job.sequence = job.sequence.saturating_add(1);
        let (user, news) = (job.user.clone(), job.news(now, Some(end)));
        self.changes.jobs.insert(job_id.clone());
        self.tell(user, news, now);
    }

    fn tell(&mut self, user: UserKey, news: crate::messages::JobNews, now: UnixMillis) {
        let job_id = news.job_id.clone();
        self.changes.outbox.insert(job_id.clone());
        self.outbox.insert(job_id, OutboxRow { user, news, since: now, attempts: 0, next_at: now, dead: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_format_unchanged() {
        let mut state = StoredState {
            sent: vec![UnixMillis(1)],
            closed_until: UnixMillis(2),
            health: Health::default(),
            clock: UnixMillis(3),
            models: Some(vec![ModelId::parse("acme/x").unwrap()]),
            models_asked_at: UnixMillis(4),
        };
        state.health.key_refused(UnixMillis(0));
        let text = r#"{"sent":[1],"closed_until":2,"health":{"failures":0,"key_trouble":{"probe_at":30000,"next_wait_ms":60000},"slot_penalty_until":0,"creates_rest_until":0,"unknown_probe_at":0},"clock":3,"models":["acme/x"],"models_asked_at":4}"#;
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        assert_eq!(serde_json::from_str::<StoredState>(text).unwrap(), state);
        assert_eq!(serde_json::from_str::<StoredState>("{}").unwrap(), StoredState::default());
    }
}
