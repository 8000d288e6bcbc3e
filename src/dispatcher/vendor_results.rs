//! The effects of the vendor's replies. The tables are in protocol 1.

use super::job::JobState;
use super::machine::Dispatcher;
use crate::constants::{
    LOST_AFTER_MILLIS, LOST_AFTER_POLLS, POLL_FIRST_MILLIS, POLL_MIN_MILLIS, RETRY_AFTER_MAX_SECS,
    THROTTLE_DEFAULT_MILLIS,
};
use crate::limit::poll_plan::next_poll_millis;
use crate::limit::request_window::VendorCount;
use crate::messages::{CreateOutcome, JobEnd};
use crate::parse::digits::parse_digits;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::prediction::{Failure, Status};
use crate::types::time::UnixMillis;
use crate::vendor::reply::{Progress, VendorPrediction, VendorReply};
use crate::vendor::verdict::{self, CreateVerdict, PollVerdict, UnknownCause};

impl Dispatcher {
    /// Applies the vendor's reply to a create. Each match arm is a row of the table in protocol 1 (docs/protocol.md).
    pub fn finish_submit(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) -> CreateOutcome {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.apply_rate_limit(reply, now);
        if !self.in_flight.submits.remove(job_id) || !self.is_submitting(job_id) {
            return CreateOutcome::Pending;
        }
        match verdict::read_create_reply(reply) {
            CreateVerdict::Accepted { vendor_id, prediction } => {
                self.apply_accepted(job_id, vendor_id, prediction, now)
            }
            CreateVerdict::Throttled { wait_millis } => {
                self.state.health.creates_paused_until =
                    self.state.health.creates_paused_until.max(now.plus_millis(wait_millis));
                self.state.health.penalize_slots(now);
                self.return_to_queue(job_id, now)
            }
            CreateVerdict::KeyRefused => {
                if self.state.health.pause_key(now) {
                    self.changes.alerts.push("vendor_key_refused");
                }
                self.return_to_queue(job_id, now)
            }
            CreateVerdict::ModelRefused => {
                if let Some(job) = self.jobs.get(job_id) {
                    self.state.health.pause_model(job.spec.model.clone(), now);
                }
                self.record_vendor_success();
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            CreateVerdict::InputRefused => {
                self.record_vendor_success();
                self.reject(job_id, CreateOutcome::InputRefused, now)
            }
            CreateVerdict::OtherRefusal => {
                self.record_vendor_success();
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            CreateVerdict::Redirected => {
                self.changes.alerts.push("vendor_redirected");
                self.reject(job_id, CreateOutcome::Rejected, now)
            }
            CreateVerdict::VendorFailed => {
                self.record_vendor_failure(now);
                self.reject(job_id, CreateOutcome::Failed, now)
            }
            CreateVerdict::OutcomeUnknown(cause) => {
                self.record_vendor_failure(now);
                self.end_as_unknown(job_id, now);
                match cause {
                    UnknownCause::NoResponse => CreateOutcome::TimedOut,
                    UnknownCause::Unreadable => CreateOutcome::Unreadable,
                }
            }
        }
    }

    /// Applies the vendor's acceptance of a create: the job runs, unless it has ended already.
    fn apply_accepted(
        &mut self,
        job_id: &JobId,
        vendor_id: String,
        prediction: VendorPrediction,
        now: UnixMillis,
    ) -> CreateOutcome {
        self.record_vendor_success();
        let running = self.running_jobs().saturating_add(1);
        let wait = next_poll_millis(0, false, running, self.limits.requests_per_minute);
        self.change_job(job_id, now, |job| {
            job.state = JobState::Running;
            job.vendor_id = Some(vendor_id);
            job.spec.input.clear();
            job.poll_at = now.plus_millis(wait);
        });
        self.apply_prediction(job_id, prediction, now);
        CreateOutcome::Accepted
    }

    fn record_vendor_success(&mut self) {
        self.state.health.record_success();
        self.state.health.resume_key();
    }

    fn record_vendor_failure(&mut self, now: UnixMillis) {
        if self.state.health.record_failure(now) {
            self.changes.alerts.push("circuit_opened");
        }
    }

    /// Puts a job whose create the vendor did not accept back at the front of the queue. If its client has canceled it,
    /// ends it instead.
    fn return_to_queue(&mut self, job_id: &JobId, now: UnixMillis) -> CreateOutcome {
        if self.jobs.get(job_id).is_some_and(|job| job.cancel_requested) {
            self.end_job(job_id, JobEnd::canceled_unsent(), now);
        } else {
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

    /// Applies the vendor's reply to a poll, and schedules the next poll.
    pub fn finish_poll(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.in_flight.polls.remove(job_id);
        self.apply_rate_limit(reply, now);
        match verdict::read_poll_reply(reply) {
            PollVerdict::Found(prediction) => {
                self.state.health.record_success();
                self.apply_prediction(job_id, prediction, now);
            }
            PollVerdict::NotFound => self.apply_not_found(job_id, is_404(reply), now),
            PollVerdict::Throttled { wait_millis } => self.state.window.close_until(now.plus_millis(wait_millis)),
            PollVerdict::VendorFailed => self.record_vendor_failure(now),
        }
        self.schedule_next_poll(job_id, now);
    }

    /// Applies the vendor's reply to a cancel. A failed cancel is retried with back-off.
    pub fn finish_cancel(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.in_flight.cancels.remove(job_id);
        self.apply_rate_limit(reply, now);
        let (is_done, wait) = match verdict::read_poll_reply(reply) {
            PollVerdict::Found(prediction) => {
                self.apply_prediction(job_id, prediction, now);
                (true, POLL_FIRST_MILLIS)
            }
            // The prediction may have ended. The next poll decides.
            PollVerdict::NotFound => (true, POLL_FIRST_MILLIS),
            PollVerdict::Throttled { wait_millis } => (false, wait_millis),
            // The vendor documents no body: any 2xx means that it accepted the cancel. The next poll decides.
            PollVerdict::VendorFailed => (is_final_cancel_reply(reply), THROTTLE_DEFAULT_MILLIS),
        };
        if let Some(job) = self.jobs.get_mut(job_id) {
            let wait = wait.saturating_mul(1_i64 << job.cancel_tries.min(6));
            job.cancel_tries = job.cancel_tries.saturating_add(1);
            job.cancel_sent = is_done;
            job.cancel_at = now.plus_millis(wait);
            job.poll_at = job.poll_at.min(now.plus_millis(POLL_FIRST_MILLIS));
            self.changes.jobs.insert(job_id.clone());
        }
    }

    /// Applies the vendor's view of a prediction: ends the job if the status is final.
    fn apply_prediction(&mut self, job_id: &JobId, prediction: VendorPrediction, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.not_found_polls = 0;
        job.not_found_since = None;
        let credits = prediction.credits_used.unwrap_or(job.spec.credits);
        let (status, failure) = match prediction.progress {
            Progress::Running => return,
            Progress::Succeeded => (Status::Succeeded, None),
            Progress::Failed => (Status::Failed, Some(Failure::UpstreamFailed)),
            Progress::Canceled => (Status::Canceled, None),
        };
        let output = if status == Status::Succeeded { prediction.output } else { Vec::new() };
        if self.limits.outputs.finds_key_in(&output) {
            self.changes.alerts.push("vendor_key_in_output");
        }
        let output = self.limits.outputs.keep(output);
        self.end_job(job_id, JobEnd { status, failure, output, credits, predict_time: prediction.predict_time }, now);
    }

    /// Counts a poll that found no such prediction. After enough of them the prediction is lost.
    ///
    /// An overdue prediction ends at the first 404 (`is_404`), but not at a 401, which may be about the key.
    fn apply_not_found(&mut self, job_id: &JobId, is_404: bool, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.not_found_polls = job.not_found_polls.saturating_add(1);
        let since = *job.not_found_since.get_or_insert(now);
        let credits = job.spec.credits;
        let is_lost = job.not_found_polls >= LOST_AFTER_POLLS && now.millis_since(since) >= LOST_AFTER_MILLIS;
        if is_404 && now >= job.run_deadline() {
            self.end_job(job_id, JobEnd::failed(Failure::TimedOut, credits), now);
        } else if is_lost {
            self.changes.alerts.push("prediction_lost_by_vendor");
            self.end_job(job_id, JobEnd::failed(Failure::UpstreamLost, credits), now);
        }
    }

    fn schedule_next_poll(&mut self, job_id: &JobId, now: UnixMillis) {
        let running = self.running_jobs();
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        let age = now.millis_since(job.submitted_at.unwrap_or(now));
        let is_overdue = now >= job.run_deadline();
        job.poll_at = now.plus_millis(next_poll_millis(age, is_overdue, running, self.limits.requests_per_minute));
        if job.webhook_at > job.polled_at {
            // The webhook came while this poll was in flight, so the poll may have seen the state before it.
            job.poll_at = now.max(job.polled_at.plus_millis(POLL_MIN_MILLIS));
        }
        self.changes.jobs.insert(job_id.clone());
    }

    /// Applies the vendor's `X-RateLimit-*` headers until their reset, at most for an hour (vendor-api 5). They win if
    /// they say less than the request window.
    fn apply_rate_limit(&mut self, reply: &VendorReply, now: UnixMillis) {
        let VendorReply::Response(response) = reply else { return };
        let number = |text: &Option<String>| text.as_deref().and_then(|text| parse_digits::<i64>(text.trim()));
        let (remaining, reset) = (number(&response.rate_limit_remaining), number(&response.rate_limit_reset));
        let (Some(remaining), Some(reset)) = (remaining.and_then(|left| u32::try_from(left).ok()), reset) else {
            return;
        };
        let longest = now.plus_millis(RETRY_AFTER_MAX_SECS.saturating_mul(1_000));
        let until = UnixMillis(reset.saturating_mul(1_000)).min(longest);
        if until > now {
            self.state.window.apply_vendor_count(VendorCount { remaining, until });
        }
    }

    /// Stores the model list. `None`, a list that could not be read, leaves the last good one.
    pub fn finish_models(&mut self, models: Option<Vec<ModelId>>, now: UnixMillis) {
        self.advance(now);
        self.in_flight.has_model_fetch = false;
        self.changes.is_state_changed = true;
        if models.is_some() {
            self.state.models = models;
        }
    }
}

/// Returns whether the vendor accepted a cancel, or refused it for good. Then it is not sent again.
const fn is_final_cancel_reply(reply: &VendorReply) -> bool {
    match reply {
        VendorReply::Response(response) => matches!(response.status, 200..=299 | 400..=499),
        VendorReply::TimedOut | VendorReply::Broken => false,
    }
}

const fn is_404(reply: &VendorReply) -> bool {
    matches!(reply, VendorReply::Response(response) if response.status == 404)
}
