//! The Dispatcher's memory: what it is loaded from and what its parts share.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::accounts::{Accounts, KEY_ACCOUNT};
use super::actions::{Action, Changes};
use super::health::Health;
use super::job::{Job, JobState, OutboxRow};
use super::queue::Deficits;
use crate::constants::{ASSUMED_RUN_MILLIS, VENDOR_WINDOW_MILLIS};
use crate::limit::request_window::RequestWindow;
use crate::messages::{Anomalies, JobEnd};
use crate::policy::{Plan, Policy};
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::QueuePosition;
use crate::types::time::{UnixMillis, UnixSeconds};
use crate::vendor::output::OutputRule;

/// What the vendor grants our key, and what plans share, by configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatcherLimits {
    /// Requests in any minute, ours: the grant less what others send with the same key.
    pub requests_per_minute: usize,
    /// Predictions at a time.
    pub concurrent_predictions: usize,
    /// Credits of a UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Predictions that may wait.
    pub max_waiting: usize,
    /// Longest wait for a slot, milliseconds.
    pub max_wait_millis: i64,
    /// What all users of a plan share, by the plan's name.
    pub pools: BTreeMap<String, Pool>,
    /// Fingerprint of the key that creates are sent with.
    pub key_fingerprint: String,
    /// Which output URLs pass.
    pub outputs: OutputRule,
}

impl DispatcherLimits {
    /// The limits that a policy sets; the key and the outputs are the caller's to add.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let key = &policy.key;
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let own = key.requests_per_minute.saturating_sub(key.expected_other_requests_per_minute).max(1);
        let pool = |plan: &Plan| Pool {
            daily_credits: plan.pool_daily_credits,
            max_waiting: share_of(key.max_waiting, plan.pool_waiting_share),
        };
        Self {
            requests_per_minute: count(own),
            concurrent_predictions: count(key.concurrent_predictions),
            daily_credits: key.daily_credits,
            max_waiting: count(key.max_waiting),
            max_wait_millis: i64::from(key.max_wait_secs).saturating_mul(1_000),
            pools: policy.plans.iter().map(|(name, plan)| (name.clone(), pool(plan))).collect(),
            key_fingerprint: String::new(),
            outputs: OutputRule::default(),
        }
    }
}

/// Whole places of a share that is above 0 and at most 1.
fn share_of(queue_positions: u32, share: f64) -> usize {
    let exact = (f64::from(queue_positions) * share).floor();
    // Between 0 and `places`, and whole.
    #[allow(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ..= u32::MAX"
    )]
    let whole = exact as usize;
    whole
}

/// What all users of a plan share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// Credits of a UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Predictions that may wait.
    pub max_waiting: usize,
}

/// The one stored document besides the rows (`state_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// Vendor requests of the last minute.
    #[serde(default)]
    pub window: RequestWindow,
    /// How the vendor is doing.
    #[serde(default)]
    pub health: Health,
    /// What the key and the plans' pools have spent.
    #[serde(default)]
    pub accounts: Accounts,
    /// What users in line have earned.
    #[serde(default)]
    pub deficits: Deficits,
    /// How long predictions run, on average; 0 before the first.
    #[serde(default)]
    pub average_run_ms: i64,
    /// The latest time seen: the clock never goes back (protocol 5).
    #[serde(default)]
    pub clock: UnixMillis,
    /// The vendor's models, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelId>>,
    /// When they were last asked for.
    #[serde(default)]
    pub models_asked_at: UnixMillis,
    /// Every token that was issued by then is refused (protocol 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<UnixSeconds>,
}

impl StoredState {
    /// In the place of a document that cannot be read: what open jobs hold is held again, and no request is sent until
    /// those of before count no more. What was spent today is not known any more.
    #[must_use]
    pub fn rebuild(jobs: &[Job], pools: &BTreeMap<String, Pool>, now: UnixMillis) -> Self {
        let mut state = Self::default();
        state.window.close_until(now.plus_millis(VENDOR_WINDOW_MILLIS));
        for job in jobs.iter().filter(|job| job.state != JobState::Unknown) {
            let spec = &job.spec;
            state.accounts.reserve(KEY_ACCOUNT, spec.day(), spec.credits);
            if pools.contains_key(&job.share.plan) {
                state.accounts.reserve(&job.share.plan, spec.day(), spec.credits);
            }
        }
        state
    }
}

/// The state machine. See the module for how it is driven.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub(super) limits: DispatcherLimits,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) outbox: BTreeMap<JobId, OutboxRow>,
    /// All else that is stored.
    pub(super) state: StoredState,
    /// Rows that cannot be read: each may hold a slot.
    unreadable: usize,
    pub(super) models_wanted: bool,
    pub(super) in_flight: InFlight,
    /// Where jobs stand that wait; computed when it is asked for, forgotten when the queue changes.
    pub(super) queue_positions: Option<BTreeMap<JobId, QueuePosition>>,
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
    /// Loads the machine from its rows; `unreadable` ones are counted as slots that are taken.
    #[must_use]
    pub fn load(
        limits: DispatcherLimits,
        state: StoredState,
        jobs: Vec<Job>,
        outbox: Vec<OutboxRow>,
        unreadable: usize,
    ) -> Self {
        Self {
            limits,
            jobs: jobs.into_iter().map(|job| (job.spec.job_id.clone(), job)).collect(),
            outbox: outbox.into_iter().map(|row| (row.job_id().clone(), row)).collect(),
            state,
            unreadable,
            models_wanted: false,
            in_flight: InFlight::default(),
            queue_positions: None,
            changes: Changes::default(),
        }
    }

    /// A machine that was loaded because its forerunner could not be stored: what that one had begun before goes on
    /// here, `not_begun` does not.
    #[must_use]
    pub fn resume_work_of(mut self, before: Self, not_begun: &[Action]) -> Self {
        self.in_flight = before.in_flight;
        for action in not_begun {
            match action {
                Action::Submit { spec } => drop(self.in_flight.submits.remove(&spec.job_id)),
                Action::Poll { job_id, .. } => drop(self.in_flight.polls.remove(job_id)),
                Action::Cancel { job_id, .. } => drop(self.in_flight.cancels.remove(job_id)),
                Action::Deliver(delivery) => drop(self.in_flight.deliveries.remove(&delivery.user)),
                Action::FetchModels => self.in_flight.models = false,
            }
        }
        self
    }

    /// The document to store when [`Changes::state`] says so.
    #[must_use]
    pub const fn stored_state(&self) -> &StoredState {
        &self.state
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
        self.state.models.as_deref()
    }

    /// What an operator must look at.
    #[must_use]
    pub fn anomalies(&self) -> Anomalies {
        let unknown = self.jobs.values().filter(|job| job.state == JobState::Unknown);
        Anomalies {
            unknown_outcomes: unknown
                .map(|job| (job.spec.job_id.clone(), job.submitted_at.unwrap_or(job.enqueued_at)))
                .collect(),
            dead_letters: self.outbox.values().filter(|row| row.is_dead).map(|row| row.job_id().clone()).collect(),
            unreadable: self.unreadable,
        }
    }

    /// Jobs that hold one of the vendor's places.
    #[must_use]
    pub fn held_slots(&self) -> usize {
        self.jobs.values().filter(|job| job.holds_slot()).count().saturating_add(self.unreadable)
    }

    /// The time that counts: never earlier than any seen before.
    pub(super) fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.state.clock = self.state.clock.max(now);
        self.state.clock
    }

    /// The places that may be held now.
    pub(super) fn slot_limit(&self, now: UnixMillis) -> usize {
        let penalty = usize::from(self.state.health.slot_penalty_until > now);
        self.limits.concurrent_predictions.saturating_sub(penalty).max(1)
    }

    /// How long a prediction runs, as far as was seen.
    pub(super) const fn average_run_millis(&self) -> i64 {
        if self.state.average_run_ms > 0 { self.state.average_run_ms } else { ASSUMED_RUN_MILLIS }
    }

    /// Changes a job, and books its latest news for its Ledger.
    pub(super) fn change_job(&mut self, job_id: &JobId, now: UnixMillis, change: impl FnOnce(&mut Job)) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        change(job);
        job.sequence = job.sequence.saturating_add(1);
        self.changes.jobs.insert(job_id.clone());
        self.queue_positions = None;
        let queue_position = self.queue_position(job_id, now);
        let Some(job) = self.jobs.get(job_id) else { return };
        let (user, update) = (job.user.clone(), job.update_for_ledger(now, queue_position, None));
        self.tell(user, update, now);
    }

    /// Ends a job: its row goes, a tombstone stays, its credits are settled, its Ledger is told.
    pub(super) fn end_job(&mut self, job_id: &JobId, end: JobEnd, now: UnixMillis) {
        let Some(mut job) = self.remove_job(job_id) else { return };
        self.changes.tombstones.insert(job_id.clone());
        if job.state != JobState::Unknown {
            self.settle(&job, end.credits);
        }
        if let (JobState::Running, Some(submitted_at)) = (job.state, job.submitted_at) {
            // An average in which the last ten count most.
            let run = now.millis_since(submitted_at).max(1);
            let average = self.average_run_millis();
            self.state.average_run_ms = average.saturating_add(run.saturating_sub(average).div_euclid(10)).max(1);
        }
        job.sequence = job.sequence.saturating_add(1);
        let (user, update) = (job.user.clone(), job.update_for_ledger(now, None, Some(end)));
        self.tell(user, update, now);
    }

    /// Takes a row out, and whoever has nothing waiting any more out of the line.
    pub(super) fn remove_job(&mut self, job_id: &JobId) -> Option<Job> {
        let job = self.jobs.remove(job_id)?;
        self.changes.jobs.insert(job_id.clone());
        self.left_the_line(&job.user);
        Some(job)
    }

    /// Ends a job for its client while it goes on holding its slot.
    pub(super) fn end_as_unknown(&mut self, job_id: &JobId, end: JobEnd, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.state = JobState::Unknown;
        job.spec.input.clear();
        job.sequence = job.sequence.saturating_add(1);
        let job = job.clone();
        self.settle(&job, end.credits);
        self.changes.jobs.insert(job_id.clone());
        let update = job.update_for_ledger(now, None, Some(end));
        self.tell(job.user, update, now);
    }

    /// Books what a job cost on the accounts where its credits were held.
    pub(super) fn settle(&mut self, job: &Job, used: MicroCredits) {
        let (day, held) = (job.spec.day(), job.spec.credits);
        self.state.accounts.settle(KEY_ACCOUNT, day, held, used);
        if self.limits.pools.contains_key(&job.share.plan) {
            self.state.accounts.settle(&job.share.plan, day, held, used);
        }
        self.changes.is_state_changed = true;
    }

    fn tell(&mut self, user: UserKey, update: crate::messages::JobUpdate, now: UnixMillis) {
        let job_id = update.job_id.clone();
        self.changes.outbox.insert(job_id.clone());
        self.outbox.insert(job_id, OutboxRow { user, update, since: now, attempts: 0, next_at: now, is_dead: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_format_unchanged() {
        let mut state = StoredState {
            window: RequestWindow::default(),
            health: Health::default(),
            accounts: Accounts::default(),
            deficits: Deficits::from([(UserKey::new("i", "s"), -2)]),
            average_run_ms: 5,
            clock: UnixMillis(3),
            models: Some(vec![ModelId::parse("acme/x").unwrap()]),
            models_asked_at: UnixMillis(4),
            revoked_by: Some(UnixSeconds(5)),
        };
        state.health.key_refused(UnixMillis(0));
        let user = UserKey::new("i", "s");
        let text = format!(
            r#"{{"window":{{"sent":[],"closed_until":0}},"health":{{"failures":0,"key_trouble":{{"probe_at":30000,"next_wait_ms":60000}},"slot_penalty_until":0,"creates_rest_until":0,"unknown_probe_at":0}},"accounts":[],"deficits":{{"{}":-2}},"average_run_ms":5,"clock":3,"models":["acme/x"],"models_asked_at":4,"revoked_by":5}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        assert_eq!(serde_json::from_str::<StoredState>(&text).unwrap(), state);
        assert_eq!(serde_json::from_str::<StoredState>("{}").unwrap(), StoredState::default());
    }
}
