//! Jobs that have run out of time.

use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::messages::JobEnd;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::prediction::Failure;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Ends the jobs that have run out of time, and requests a cancel of those that have exceeded `max_seconds`.
    pub(super) fn expire_jobs(&mut self, now: UnixMillis) {
        let ids: Vec<JobId> = self.jobs.keys().cloned().collect();
        for id in ids {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let before = (job.expiry_seen_at, job.cancel_requested);
            match job.state {
                JobState::Waiting => self.expire_waiting(&id, now),
                // No submit of this instance will report: the instance that sent the create is gone.
                JobState::Submitting if !self.in_flight.submits.contains(&id) => {
                    self.changes.alerts.push("create_outcome_unknown");
                    self.end_as_unknown(&id, now);
                }
                JobState::Submitting => {}
                JobState::Running => self.expire_running(&id, now),
                JobState::Unknown => {
                    if job.confirm_expiry(job.run_deadline(), now) {
                        self.remove_job(&id);
                        self.changes.tombstones.insert(id.clone());
                    }
                }
            }
            if self.jobs.get(&id).is_some_and(|job| (job.expiry_seen_at, job.cancel_requested) != before) {
                self.changes.jobs.insert(id);
            }
        }
    }

    fn expire_waiting(&mut self, id: &JobId, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let deadline = job.enqueued_at.plus_millis(self.limits.max_wait_millis);
        if job.confirm_expiry(deadline, now) {
            self.end_job(id, JobEnd::failed(Failure::QueueTimeout, MicroCredits::ZERO), now);
        }
    }

    fn expire_running(&mut self, id: &JobId, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.confirm_expiry(job.slot_deadline(), now) {
            // Since the last readable response, the vendor refused a key or another key did not find the prediction.
            let is_lost = job.key_refusals > 0;
            let failure = if is_lost { Failure::UpstreamLost } else { Failure::TimedOut };
            let end = JobEnd::failed(failure, job.spec.credits);
            if is_lost {
                self.changes.alerts.push("prediction_lost_by_vendor");
            } else {
                self.changes.alerts.push("prediction_timed_out");
            }
            self.end_job(id, end, now);
        } else {
            cancel_if_overdue(job, now);
        }
    }
}

/// Requests one cancel of a job that has exceeded `max_seconds`, whether or not its client requested one (protocol 1).
fn cancel_if_overdue(job: &mut Job, now: UnixMillis) {
    if now >= job.run_deadline() && !job.cancel_requested {
        job.cancel_requested = true;
        job.cancel_at = now;
    }
}
