//! The state machine's memory: what it is loaded from, and what its parts share.

use std::collections::{BTreeMap, BTreeSet};

use super::actions::{Action, Changes};
use super::in_flight::InFlight;
use super::job::{Job, JobState};
use super::job_table::JobTable;
use super::limits::DispatcherLimits;
use super::outbox::Outbox;
use super::outbox_row::OutboxRow;
use super::permit_turns::PermitTurns;
use super::positions::Positions;
use super::state_rows::StoredRows;
use super::stored_state::StoredState;
use super::unreadable_rows::UnreadableRows;
use crate::constants::ASSUMED_RUN_MILLIS;
use crate::limit::alert_limiter::AlertLimiter;
use crate::limit::key_leak::KeyLeakDetector;
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// The state machine. The module's documentation says how it is driven.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub(super) limits: DispatcherLimits,
    pub(super) jobs: JobTable,
    pub(super) outbox: Outbox,
    pub(super) state: StoredState,
    stored_rows: StoredRows,
    /// The first look of those that found the clock far ahead. In memory only.
    pub(super) clock_ahead_since: Option<UnixMillis>,
    /// True if the deficits may differ from what is stored.
    pub(super) is_queue_changed: bool,
    pub(super) unreadable: UnreadableRows,
    pub(super) is_model_list_requested: bool,
    pub(super) permit_turns: PermitTurns,
    /// The vendor's ids of forgotten files.
    pub(super) file_deletions: BTreeSet<String>,
    /// No forgotten file is deleted before this time. In memory only, as are the next two.
    pub(super) file_deletion_at: UnixMillis,
    /// The file whose deletion was tried last.
    pub(super) last_file: Option<String>,
    /// The failed tries of a file, and when the next one may be made.
    pub(super) file_retries: BTreeMap<String, (u32, UnixMillis)>,
    /// In memory only, as is the next one.
    pub(super) key_leak: KeyLeakDetector,
    pub(super) alert_limiter: AlertLimiter,
    /// Since when predictions could start and none does. In memory only.
    pub(super) queue_stands_since: Option<UnixMillis>,
    pub(super) in_flight: InFlight,
    pub(super) positions: Positions,
    /// How many runs are in the average of a model, at most `AVERAGED_RUNS`. In memory only.
    pub(super) averaged_runs: BTreeMap<ModelId, i64>,
    pub(super) changes: Changes,
}

impl Dispatcher {
    /// Loads the machine from its rows.
    #[must_use]
    pub fn load(limits: DispatcherLimits, state: StoredState, mut jobs: Vec<Job>, outbox: Vec<OutboxRow>) -> Self {
        for job in &mut jobs {
            // More only if the row of the pauses was lost.
            let paused_millis = state.pauses.paused_millis(&job.spec.model, job.enqueued_at);
            job.paused_before_ms = job.paused_before_ms.min(paused_millis);
        }
        let alert_limiter = AlertLimiter::since(state.alerts.latest().map(|alert| (&alert.raised, alert.at)));
        Self {
            jobs: JobTable::new(jobs, limits.max_wait_millis),
            limits,
            outbox: Outbox::new(outbox),
            stored_rows: StoredRows::of(&state),
            clock_ahead_since: None,
            is_queue_changed: false,
            state,
            unreadable: UnreadableRows::default(),
            is_model_list_requested: false,
            permit_turns: PermitTurns::default(),
            file_deletions: BTreeSet::new(),
            file_deletion_at: UnixMillis(0),
            last_file: None,
            file_retries: BTreeMap::new(),
            key_leak: KeyLeakDetector::default(),
            alert_limiter,
            queue_stands_since: None,
            in_flight: InFlight::default(),
            positions: Positions::default(),
            averaged_runs: BTreeMap::new(),
            changes: Changes::default(),
        }
    }

    /// Adds the rows that cannot be read. They stay where they are.
    #[must_use]
    pub fn with_unreadable(mut self, unreadable: UnreadableRows) -> Self {
        self.unreadable = unreadable;
        self
    }

    /// Adds the rows of forgotten files.
    #[must_use]
    pub fn with_file_deletions(mut self, vendor_ids: impl IntoIterator<Item = String>) -> Self {
        self.file_deletions.extend(vendor_ids);
        self
    }

    /// Takes over the work in flight of a machine whose changes could not be stored. `not_started` are the actions of
    /// its last turn: the shell drops them, so they never report back.
    #[must_use]
    pub fn resume_work_of(mut self, before: Self, not_started: &[Action]) -> Self {
        self.outbox.resume_deliveries_of(&before.outbox);
        self.in_flight = before.in_flight;
        for action in not_started {
            match action {
                Action::Submit { spec } => drop(self.in_flight.submits.remove(&spec.job_id)),
                Action::Poll { job_id, .. } => drop(self.in_flight.polls.remove(job_id)),
                Action::Cancel { job_id, .. } => drop(self.in_flight.cancels.remove(job_id)),
                Action::Deliver(delivery) => self.outbox.end_delivery(&delivery.user),
                Action::FetchModels => self.in_flight.has_model_fetch = false,
                Action::CheckKey { .. } => self.in_flight.has_key_check = false,
                Action::DeleteFile { .. } => self.in_flight.file_deletion = None,
                Action::SendAlert(_) => self.in_flight.alert = None,
            }
        }
        self
    }

    /// Returns the state, whose changed rows are in [`Changes::state`].
    #[must_use]
    pub const fn stored_state(&self) -> &StoredState {
        &self.state
    }

    /// Replaces rows of `state`: deletes these, and writes all parts anew.
    #[must_use]
    pub fn with_replaced_state(mut self, rows: Vec<String>) -> Self {
        if !rows.is_empty() {
            self.stored_rows = StoredRows::default();
            self.is_queue_changed = true;
            self.changes.state.extend(rows.into_iter().map(|name| (name, None)));
        }
        self
    }

    /// Returns what changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = std::mem::take(&mut self.changes);
        let is_turn_stored = !(changes.jobs.is_empty() && changes.outbox.is_empty());
        let is_queue_changed = std::mem::take(&mut self.is_queue_changed);
        changes.state.extend(self.stored_rows.update(&self.state, is_queue_changed, is_turn_stored));
        changes
    }

    /// Returns a row of `jobs`.
    #[must_use]
    pub fn job(&self, job_id: &JobId) -> Option<&Job> {
        self.jobs.get(job_id)
    }

    /// Returns a row of `outbox`.
    #[must_use]
    pub fn outbox_row(&self, job_id: &JobId) -> Option<&OutboxRow> {
        self.outbox.get(job_id)
    }

    /// Returns the vendor's models, if a list was ever read.
    #[must_use]
    pub fn models(&self) -> Option<&[ModelId]> {
        self.state.models.as_deref()
    }

    /// Returns the input of a create in flight that is not stored.
    #[must_use]
    pub fn unstored_input(&self, job_id: &JobId) -> Option<&str> {
        self.in_flight.submits.get(job_id)?.as_deref()
    }

    /// Returns whether the create of a job is in flight, or about to be.
    #[must_use]
    pub fn is_submitting(&self, job_id: &JobId) -> bool {
        self.jobs.state(job_id) == Some(JobState::Submitting)
    }

    /// Returns the number of rows that cannot be read.
    #[must_use]
    pub fn unreadable_rows(&self) -> usize {
        self.unreadable.count()
    }

    /// Returns the number of held slots (protocol 4).
    #[must_use]
    pub fn held_slots(&self) -> usize {
        self.jobs.counts().held.saturating_add(self.unreadable.held_slots(self.state.clock))
    }

    /// Returns the number of slots that may be held now.
    pub(super) fn slot_limit(&self, now: UnixMillis) -> usize {
        let penalty = usize::from(self.state.health.slot_penalty_until > now);
        self.limits.concurrent_predictions.saturating_sub(penalty).max(1)
    }

    pub(super) fn running_jobs(&self) -> usize {
        self.jobs.count(JobState::Running)
    }

    /// Returns whether a job or its last update is still here, in a row that can be read or not.
    pub(super) fn is_known(&self, job_id: &JobId) -> bool {
        self.jobs.get(job_id).is_some() || self.outbox.get(job_id).is_some() || self.unreadable.contains(job_id)
    }

    /// Returns the vendor's id of a job, and the fingerprint of the key that it was submitted with.
    pub(super) fn vendor_id_and_key(&self, job_id: &JobId) -> Option<(String, Option<String>)> {
        let job = self.jobs.get(job_id)?;
        Some((job.vendor_id.clone()?, job.vendor_key_fingerprint.clone()))
    }

    /// Returns the average run time of predictions, or an assumed one before the first has ended.
    pub(super) const fn average_run_millis(&self) -> i64 {
        if self.state.average_run_ms > 0 { self.state.average_run_ms } else { ASSUMED_RUN_MILLIS }
    }
}
