//! Jobs that have run out of time.

use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::messages::JobEnd;
use crate::types::alert::Alert;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::prediction::Failure;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Ends the jobs that have run out of time, and requests a cancel of those that have exceeded `max_seconds`.
    pub(super) fn expire_jobs(&mut self, now: UnixMillis) {
        let is_lost = |job: &&Job| !self.in_flight.submits.contains_key(&job.spec.job_id);
        let lost: Vec<JobId> =
            self.jobs.in_state(JobState::Submitting).filter(is_lost).map(|job| job.spec.job_id.clone()).collect();
        for id in lost {
            // No submit of this instance will report: the instance that sent the create is gone.
            self.raise(Alert::CreateOutcomeUnknown, now);
            self.end_as_unknown(&id, now);
        }
        let due = self.jobs.expiries().take_while(|(at, _)| *at <= now);
        let mut ids: Vec<JobId> = due.map(|(_, id)| id.clone()).collect();
        for (model, first) in self.jobs.first_waits() {
            let queue_time = self.queue_time(model, now);
            if first <= queue_time {
                let due = self.jobs.waits(model).take_while(|(at, _)| *at <= queue_time);
                ids.extend(due.map(|(_, id)| id.clone()));
            }
        }
        ids.sort();
        for id in ids {
            match self.jobs.state(&id) {
                Some(JobState::Waiting) => self.expire_waiting(&id, now),
                Some(JobState::Running) => self.expire_running(&id, now),
                Some(JobState::Unknown) => self.free_slot(&id, now),
                Some(JobState::Submitting) | None => {}
            }
        }
    }

    fn expire_waiting(&mut self, id: &JobId, now: UnixMillis) {
        let max_wait_millis = self.limits.max_wait_millis;
        let Some(queue_time) = self.jobs.get(id).map(|job| self.queue_time(&job.spec.model, now)) else { return };
        let confirm = |job: &mut Job| job.confirm_expiry(job.wait_deadline(max_wait_millis), queue_time);
        if self.jobs.change(id, confirm) == Some(true) {
            self.end_job(id, JobEnd::failed(Failure::QueueTimeout, MicroCredits::ZERO), now);
        }
    }

    /// Gives up the slot of a job with an unknown outcome.
    fn free_slot(&mut self, id: &JobId, now: UnixMillis) {
        if self.jobs.change(id, |job| job.confirm_expiry(job.run_deadline(), now)) == Some(true) {
            self.remove_job(id);
            self.changes.tombstones.insert(id.clone());
        }
    }

    /// Ends a job that still runs at the end of its slot. Requests one cancel of a job that has exceeded `max_seconds`,
    /// whether or not its client requested one (protocol 1).
    fn expire_running(&mut self, id: &JobId, now: UnixMillis) {
        let ended = self.jobs.change(id, |job| {
            if job.confirm_expiry(job.slot_deadline(), now) {
                // Since the last readable response, the vendor refused a key or another key did not find the prediction.
                let is_lost = job.key_refusals > 0;
                return Some((is_lost, job.spec.credits));
            }
            if !job.cancel_requested {
                job.cancel_requested = true;
                job.cancel_at = now;
            }
            None
        });
        let (failure, credits) = match ended.flatten() {
            None => {
                self.changes.jobs.insert(id.clone());
                return;
            }
            Some((true, credits)) => {
                self.raise(Alert::PredictionLostByVendor, now);
                (Failure::UpstreamLost, credits)
            }
            Some((false, credits)) => {
                self.raise(Alert::PredictionTimedOut, now);
                (Failure::TimedOut, credits)
            }
        };
        self.end_job(id, JobEnd::failed(failure, credits), now);
    }
}
