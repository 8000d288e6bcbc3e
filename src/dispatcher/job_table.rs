//! All jobs, and their indexes. The tests compare the indexes with a scan of all jobs after random changes.

use std::collections::{BTreeMap, BTreeSet};

use super::indexed_rows::{IndexedRows, RowIndexes};
use super::job::{Job, JobState};
use super::waiting_jobs::WaitingJobs;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

/// Jobs by time.
type Times = BTreeSet<(UnixMillis, JobId)>;

/// Counts of the jobs of a user, of a plan, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JobCounts {
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that hold a slot.
    pub held: usize,
    /// Bytes of inputs that the vendor does not have yet.
    pub input_bytes: usize,
}

impl JobCounts {
    fn add(&mut self, job: &Job) {
        let of_state = if job.holds_slot() { &mut self.held } else { &mut self.waiting };
        *of_state = of_state.saturating_add(1);
        self.input_bytes = self.input_bytes.saturating_add(job.spec.input_bytes());
    }

    fn remove(&mut self, job: &Job) {
        let of_state = if job.holds_slot() { &mut self.held } else { &mut self.waiting };
        *of_state = of_state.saturating_sub(1);
        self.input_bytes = self.input_bytes.saturating_sub(job.spec.input_bytes());
    }
}

/// The jobs.
pub(super) type JobTable = IndexedRows<JobIndexes>;

/// The indexes of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JobIndexes {
    max_wait_millis: i64,
    states: BTreeMap<JobState, BTreeSet<JobId>>,
    /// Jobs that run, by the time of their next poll.
    polls: Times,
    /// Jobs whose cancel must be sent, by the time of the next try.
    cancels: Times,
    /// Jobs at the vendor by the time at which their deadline must be checked.
    expiries: Times,
    /// Jobs that wait, by model, by the queue time at which their deadline must be checked.
    waits: BTreeMap<ModelId, Times>,
    users: BTreeMap<UserKey, JobCounts>,
    plans: BTreeMap<String, JobCounts>,
    all: JobCounts,
    waiting: WaitingJobs,
}

impl JobTable {
    /// Returns a table of these jobs. A job may wait for `max_wait_millis`.
    pub(super) fn new(jobs: Vec<Job>, max_wait_millis: i64) -> Self {
        Self::with_indexes(JobIndexes { max_wait_millis, ..JobIndexes::default() }, jobs)
    }

    /// Returns the state of a job.
    pub(super) fn state(&self, job_id: &JobId) -> Option<JobState> {
        self.get(job_id).map(|job| job.state)
    }

    /// Returns the number of jobs in a state.
    pub(super) fn count(&self, state: JobState) -> usize {
        self.visit();
        self.indexes.states.get(&state).map_or(0, BTreeSet::len)
    }

    /// Returns the jobs in a state, oldest first.
    pub(super) fn in_state(&self, state: JobState) -> impl Iterator<Item = &Job> {
        let ids = self.indexes.states.get(&state).into_iter().flatten();
        ids.inspect(|_| self.visit()).filter_map(|job_id| self.rows.get(job_id))
    }

    /// Returns the jobs that hold a slot.
    pub(super) fn holding(&self) -> impl Iterator<Item = &Job> {
        [JobState::Submitting, JobState::Running, JobState::Unknown].into_iter().flat_map(|state| self.in_state(state))
    }

    /// Returns the counts of all jobs.
    pub(super) fn counts(&self) -> JobCounts {
        self.visit();
        self.indexes.all
    }

    /// Returns the counts of a user's jobs.
    pub(super) fn counts_of_user(&self, user: &UserKey) -> JobCounts {
        self.visit();
        self.indexes.users.get(user).copied().unwrap_or_default()
    }

    /// Returns the counts of the jobs of a plan's users.
    pub(super) fn counts_of_plan(&self, plan: &str) -> JobCounts {
        self.visit();
        self.indexes.plans.get(plan).copied().unwrap_or_default()
    }

    /// Returns the jobs that run, with the time of their next poll, earliest first.
    pub(super) fn polls(&self) -> impl Iterator<Item = &(UnixMillis, JobId)> {
        self.indexes.polls.iter().inspect(|_| self.visit())
    }

    /// Returns the jobs whose cancel must be sent, with the time of the next try, earliest first.
    pub(super) fn cancels(&self) -> impl Iterator<Item = &(UnixMillis, JobId)> {
        self.indexes.cancels.iter().inspect(|_| self.visit())
    }

    /// Returns the jobs at the vendor with the time at which their deadline must be checked, earliest first.
    pub(super) fn expiries(&self) -> impl Iterator<Item = &(UnixMillis, JobId)> {
        self.indexes.expiries.iter().inspect(|_| self.visit())
    }

    /// Returns the models of the jobs that wait, each with the queue time of the first check of a deadline.
    pub(super) fn first_waits(&self) -> impl Iterator<Item = (&ModelId, UnixMillis)> {
        self.indexes.waits.iter().inspect(|_| self.visit()).filter_map(|(model, times)| Some((model, times.first()?.0)))
    }

    /// Returns the jobs of a model that wait, with the queue time at which their deadline must be checked, earliest first.
    pub(super) fn waits(&self, model: &ModelId) -> impl Iterator<Item = &(UnixMillis, JobId)> {
        self.indexes.waits.get(model).into_iter().flatten().inspect(|_| self.visit())
    }

    /// Returns the jobs that wait.
    pub(super) fn waiting(&self) -> &WaitingJobs {
        self.visit();
        &self.indexes.waiting
    }
}

impl RowIndexes for JobIndexes {
    type Row = Job;

    fn job_id(job: &Job) -> &JobId {
        &job.spec.job_id
    }

    fn add(&mut self, job: &Job) {
        let job_id = &job.spec.job_id;
        self.states.entry(job.state).or_default().insert(job_id.clone());
        for (index, at) in self.times(job) {
            index.extend(at.map(|at| (at, job_id.clone())));
        }
        if let Some(at) = job.wait_check_at(self.max_wait_millis) {
            self.waits.entry(job.spec.model.clone()).or_default().insert((at, job_id.clone()));
        }
        self.users.entry(job.user.clone()).or_default().add(job);
        self.plans.entry(job.share.plan.clone()).or_default().add(job);
        self.all.add(job);
        self.waiting.add(job);
    }

    fn remove(&mut self, job: &Job) {
        let job_id = &job.spec.job_id;
        if let Some(ids) = self.states.get_mut(&job.state) {
            ids.remove(job_id);
            if ids.is_empty() {
                self.states.remove(&job.state);
            }
        }
        for (index, at) in self.times(job) {
            if let Some(at) = at {
                index.remove(&(at, job_id.clone()));
            }
        }
        if let Some(at) = job.wait_check_at(self.max_wait_millis)
            && let Some(of_model) = self.waits.get_mut(&job.spec.model)
        {
            of_model.remove(&(at, job_id.clone()));
            if of_model.is_empty() {
                self.waits.remove(&job.spec.model);
            }
        }
        remove_from(&mut self.users, &job.user, job);
        remove_from(&mut self.plans, &job.share.plan, job);
        self.all.remove(job);
        self.waiting.remove(job);
    }
}

impl JobIndexes {
    fn times(&mut self, job: &Job) -> [(&mut Times, Option<UnixMillis>); 3] {
        // Without the vendor's id neither can be sent, and such a job would be in the way of all others.
        let has_vendor_id = job.vendor_id.is_some();
        let poll_at = (has_vendor_id && job.state == JobState::Running).then_some(job.poll_at);
        let cancel_at = (has_vendor_id && job.needs_cancel()).then_some(job.cancel_at);
        [(&mut self.polls, poll_at), (&mut self.cancels, cancel_at), (&mut self.expiries, job.expiry_check_at())]
    }
}

fn remove_from<K: Ord>(counts: &mut BTreeMap<K, JobCounts>, key: &K, job: &Job) {
    if let Some(of_key) = counts.get_mut(key) {
        of_key.remove(job);
        if *of_key == JobCounts::default() {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "job_table_tests.rs"]
mod tests;
