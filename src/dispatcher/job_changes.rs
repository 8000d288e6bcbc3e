//! How a job changes and ends. Each change is put into the outbox for the job's Ledger.

use super::enqueue::NewJob;
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use super::outbox_row::OutboxRow;
use crate::constants::AVERAGED_RUNS;
use crate::messages::{JobEnd, JobUpdate, QueueShare};
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::Failure;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Adds a waiting job, hands its input over to storage, and reserves its credits.
    pub(super) fn add_job(&mut self, user: UserKey, (spec, input): NewJob, share: QueueShare, now: UnixMillis) {
        let (job_id, day) = (spec.job_id.clone(), spec.day());
        self.changes.inputs.push((job_id.clone(), Some(input)));
        for account in self.limits.accounts_of(&share.plan) {
            self.state.accounts.reserve(account, day, spec.credits);
            self.watch_credits(account, day, now);
        }
        let mut job = Job::new(user, spec, share, now);
        job.paused_before_ms = self.state.pauses.paused_millis(&job.spec.model, now);
        self.jobs.insert(job);
        self.changes.jobs.insert(job_id);
    }

    /// Changes a job and reports its new state to its Ledger.
    pub(super) fn change_job(&mut self, job_id: &JobId, now: UnixMillis, change: impl FnOnce(&mut Job)) {
        let changed = self.jobs.change(job_id, |job| {
            change(job);
            job.sequence = job.sequence.saturating_add(1);
        });
        if changed.is_none() {
            return;
        }
        self.changes.jobs.insert(job_id.clone());
        let queue_position = self.queue_position(job_id, now);
        let Some(job) = self.jobs.get(job_id) else { return };
        let (user, update) = (job.user.clone(), job.update_for_ledger(now, queue_position, None));
        self.put_into_outbox(user, update, now);
    }

    /// Ends a job: deletes its row, leaves a tombstone, settles and books its credits, and reports the end to its Ledger.
    pub(super) fn end_job(&mut self, job_id: &JobId, mut end: JobEnd, now: UnixMillis) {
        let Some(mut job) = self.remove_job(job_id) else { return };
        if job.is_user_deleted {
            end.output.clear();
        }
        self.changes.tombstones.insert(job_id.clone());
        if job.state != JobState::Unknown {
            self.settle(&job, end.credits);
            self.book_spend(&job, end.credits);
        }
        if job.state == JobState::Running {
            self.average_in_run(&job.spec.model, job.run_millis(now).max(1));
        }
        job.sequence = job.sequence.saturating_add(1);
        let (user, update) = (job.user.clone(), job.update_for_ledger(now, None, Some(end)));
        self.put_into_outbox(user, update, now);
    }

    /// Ends a job as unknown: it has failed for its client and is never sent again, its reservation counts as spent,
    /// and its slot stays held (protocol 1).
    pub(super) fn end_as_unknown(&mut self, job_id: &JobId, now: UnixMillis) {
        let changed = self.jobs.change(job_id, |job| {
            job.state = JobState::Unknown;
            job.spec.drop_input();
            job.sequence = job.sequence.saturating_add(1);
            job.clone()
        });
        let Some(job) = changed else { return };
        let end = JobEnd::failed(Failure::OutcomeUnknown, job.spec.credits);
        self.settle(&job, end.credits);
        self.book_spend(&job, end.credits);
        self.changes.jobs.insert(job_id.clone());
        self.changes.inputs.push((job_id.clone(), None));
        let update = job.update_for_ledger(now, None, Some(end));
        self.put_into_outbox(job.user, update, now);
    }

    /// Deletes a job's row. If its user waits for nothing any more, the user's deficit is dropped.
    pub(super) fn remove_job(&mut self, job_id: &JobId) -> Option<Job> {
        let job = self.jobs.remove(job_id)?;
        self.changes.jobs.insert(job_id.clone());
        if job.spec.input_bytes() > 0 {
            self.changes.inputs.push((job_id.clone(), None));
        }
        self.leave_queue(&job.user, &job.share.plan);
        Some(job)
    }

    /// Books what a job cost, on the accounts where its credits were reserved.
    pub(super) fn settle(&mut self, job: &Job, used: MicroCredits) {
        let (day, reserved) = (job.spec.day(), job.spec.credits);
        for account in self.limits.accounts_of(&job.share.plan) {
            self.state.accounts.settle(account, day, reserved, used);
        }
    }

    /// Updates the average run times, of all models and of this one, with one run. The last [`AVERAGED_RUNS`] count most. Of
    /// a model that has ended fewer runs, all of them count the same.
    fn average_in_run(&mut self, model: &ModelId, run_millis: i64) {
        let is_first = self.state.average_run_ms == 0;
        let before = if is_first { run_millis } else { self.state.average_run_ms };
        self.state.average_run_ms = averaged(before, run_millis, AVERAGED_RUNS);
        let before = self.state.average_runs.get(model).copied();
        // How many runs are in a stored average is not stored.
        let runs = self.averaged_runs.entry(model.clone()).or_insert(if before.is_some() { AVERAGED_RUNS } else { 0 });
        *runs = runs.saturating_add(1).min(AVERAGED_RUNS);
        let average = averaged(before.unwrap_or(run_millis), run_millis, *runs);
        self.state.average_runs.insert(model.clone(), average);
    }

    fn put_into_outbox(&mut self, user: UserKey, update: JobUpdate, now: UnixMillis) {
        self.changes.outbox.insert(update.job_id.clone());
        self.outbox.insert(OutboxRow::new(user, update, now));
    }
}

/// Returns an average with one more run in it, which weighs as much as each of `runs`.
pub(super) fn averaged(average: i64, run_millis: i64, runs: i64) -> i64 {
    let more = run_millis.saturating_sub(average).checked_div(runs).unwrap_or_default();
    average.saturating_add(more).max(1)
}
