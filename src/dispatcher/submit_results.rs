//! The effects of the vendor's replies to creates. The table is in protocol 1.

use super::job::JobState;
use super::machine::Dispatcher;
use crate::limit::poll_plan::next_poll_millis;
use crate::messages::{CreateOutcome, JobEnd};
use crate::policy::GUEST_PLAN;
use crate::types::alert::Alert;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::prediction::Failure;
use crate::types::time::UnixMillis;
use crate::vendor::reply::{VendorPrediction, VendorReply};
use crate::vendor::verdict::{self, CreateVerdict, UnknownCause};

impl Dispatcher {
    /// Applies the vendor's reply to a create. Each arm is a row of the table in protocol 1.
    pub fn finish_submit(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) -> CreateOutcome {
        let now = self.advance(now);
        self.apply_reply(reply, now);
        let Some(input) = self.in_flight.submits.remove(job_id).filter(|_| self.is_submitting(job_id)) else {
            return CreateOutcome::Pending;
        };
        match verdict::read_create_reply(reply, now) {
            CreateVerdict::Accepted { vendor_id, prediction } => {
                if input.is_none() {
                    self.changes.inputs.push((job_id.clone(), None));
                }
                self.apply_accepted(job_id, vendor_id, prediction, now)
            }
            CreateVerdict::Throttled { wait_millis } => {
                self.state.health.creates_paused_until =
                    self.state.health.creates_paused_until.max(now.plus_millis(wait_millis));
                self.state.health.penalize_slots(now);
                self.return_to_queue(job_id, input, now)
            }
            CreateVerdict::KeyRefused => {
                let key = self.jobs.get(job_id).and_then(|job| job.vendor_key_fingerprint.clone()).unwrap_or_default();
                if reply.status() == Some(401) {
                    self.apply_unauthorized(&key, now);
                } else if key == self.key_of_creates() {
                    // About the account's credits, which the other key has not either.
                    self.pause_key(now);
                }
                self.return_to_queue(job_id, input, now)
            }
            CreateVerdict::ModelRefused => {
                self.record_vendor_success(job_id);
                self.record_model_refusal(job_id, now);
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            // The response is not the vendor's own, so it says nothing about the vendor or its key either.
            CreateVerdict::Blocked => self.reject(job_id, CreateOutcome::Rejected, now),
            CreateVerdict::InputRefused => {
                self.record_vendor_success(job_id);
                if let Some(job) = self.jobs.get(job_id) {
                    self.state.health.end_model_refusals(&job.spec.model);
                }
                self.reject(job_id, CreateOutcome::InputRefused, now)
            }
            CreateVerdict::OtherRefusal => {
                self.record_vendor_success(job_id);
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            CreateVerdict::Redirected => {
                self.raise(Alert::VendorRedirected, now);
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            CreateVerdict::VendorFailed => {
                self.record_vendor_failure(now);
                self.reject(job_id, CreateOutcome::Failed, now)
            }
            CreateVerdict::OutcomeUnknown(cause) => self.apply_unknown(job_id, cause, now),
        }
    }

    /// Ends a job whose create was not sent, because its stored input is missing. It costs nothing.
    pub fn reject_unsent(&mut self, job_id: &JobId, now: UnixMillis) -> CreateOutcome {
        let now = self.advance(now);
        if self.in_flight.submits.remove(job_id).is_none() || !self.is_submitting(job_id) {
            return CreateOutcome::Pending;
        }
        self.raise(Alert::InputMissing, now);
        self.reject(job_id, CreateOutcome::Rejected, now)
    }

    /// Applies the vendor's acceptance of a create: the job runs, unless it has ended already. Its Ledger is not told: it
    /// knows the job as `processing` since the create was sent.
    fn apply_accepted(
        &mut self,
        job_id: &JobId,
        vendor_id: String,
        prediction: VendorPrediction,
        now: UnixMillis,
    ) -> CreateOutcome {
        self.record_vendor_success(job_id);
        if let Some(job) = self.jobs.get(job_id) {
            self.state.health.record_model_accepted(&job.spec.model, now);
        }
        let running = self.running_jobs().saturating_add(1);
        let wait = next_poll_millis(0, false, running, self.limits.requests_per_minute);
        self.jobs.change(job_id, |job| {
            job.state = JobState::Running;
            job.vendor_id = Some(vendor_id);
            job.spec.drop_input();
            job.poll_at = now.plus_millis(wait);
        });
        self.changes.jobs.insert(job_id.clone());
        self.apply_prediction(job_id, prediction, now);
        CreateOutcome::Accepted
    }

    /// Ends a job with an unknown outcome: the vendor may or may not have accepted its create.
    fn apply_unknown(&mut self, job_id: &JobId, cause: UnknownCause, now: UnixMillis) -> CreateOutcome {
        self.end_as_unknown(job_id, now);
        match cause {
            UnknownCause::NoResponse => {
                self.record_vendor_failure(now);
                CreateOutcome::TimedOut
            }
            UnknownCause::Unreadable => {
                self.record_vendor_failure(now);
                CreateOutcome::Unreadable
            }
            // The size limit is Valetkey's, so this is no failure of the vendor.
            UnknownCause::TooLarge => CreateOutcome::Unreadable,
        }
    }

    /// Records the vendor's refusal of a model. All guests count as one caller, because one person can be many guests.
    fn record_model_refusal(&mut self, job_id: &JobId, now: UnixMillis) {
        let Some(job) = self.jobs.get(job_id) else { return };
        let caller = if job.share.plan == GUEST_PLAN { GUEST_PLAN } else { job.user.as_str() };
        self.state.health.record_model_refusal(&job.spec.model, caller, now);
    }

    /// Returns a job that the vendor did not accept to the front of the queue, with its input if that was not stored, or
    /// ends it if its client has canceled it, or was deleted.
    fn return_to_queue(&mut self, job_id: &JobId, input: Option<String>, now: UnixMillis) -> CreateOutcome {
        if self.jobs.get(job_id).is_some_and(|job| job.cancel_requested || job.is_user_deleted) {
            self.end_job(job_id, JobEnd::canceled_unsent(), now);
        } else {
            self.changes.inputs.extend(input.map(|input| (job_id.clone(), Some(input))));
            self.change_job(job_id, now, |job| {
                job.state = JobState::Waiting;
                job.is_returned = true;
                job.submitted_at = None;
            });
        }
        CreateOutcome::Pending
    }

    /// Ends a job whose create the vendor refused. It costs nothing.
    fn reject(&mut self, job_id: &JobId, outcome: CreateOutcome, now: UnixMillis) -> CreateOutcome {
        self.end_job(job_id, JobEnd::failed(Failure::UpstreamRejected, MicroCredits::ZERO), now);
        outcome
    }
}
