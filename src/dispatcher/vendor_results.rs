//! What the vendor's answers and the Ledgers' acknowledgements do.

use super::dispatcher::Dispatcher;
use super::job::{Job, JobState};
use super::requests::canceled_for_free;
use crate::constants::{
    DELIVERY_FIRST_MILLIS, DELIVERY_MAX_MILLIS, LOST_AFTER_MILLIS, LOST_AFTER_POLLS, POLL_FIRST_MILLIS,
    POLL_MIN_MILLIS, RETRY_AFTER_MAX_SECS, THROTTLE_DEFAULT_MILLIS,
};
use crate::limit::poll_plan::next_poll_millis;
use crate::limit::request_window::VendorCount;
use crate::messages::{CreateOutcome, JobEnd, JobUpdate};
use crate::parse::digits::parse_digits;
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::{Failure, Status};
use crate::types::time::UnixMillis;
use crate::vendor::reply::{Progress, VendorPrediction, VendorReply};
use crate::vendor::verdict::{self, CreateVerdict, PollVerdict, UnknownCause};

impl Dispatcher {
    /// The vendor's answer to a create, or its absence. Every arm is a line of the table in docs/architecture.md.
    pub fn finish_submit(&mut self, job_id: &JobId, answer: &VendorReply, now: UnixMillis) -> CreateOutcome {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.note_rate_limit(answer, now);
        if !self.in_flight.submits.remove(job_id) || !self.is_submitting(job_id) {
            return CreateOutcome::Pending;
        }
        match verdict::read_create_reply(answer) {
            CreateVerdict::Accepted { vendor_id, prediction } => self.accepted(job_id, vendor_id, prediction, now),
            CreateVerdict::Throttled { wait_millis } => {
                self.state.health.creates_paused_until =
                    self.state.health.creates_paused_until.max(now.plus_millis(wait_millis));
                self.state.health.penalize_slots(now);
                self.back_to_the_front(job_id, now)
            }
            CreateVerdict::KeyRefused => {
                if self.state.health.key_refused(now) {
                    self.changes.alerts.push("vendor_key_refused");
                }
                self.back_to_the_front(job_id, now)
            }
            CreateVerdict::ModelRefused => {
                if let Some(job) = self.jobs.get(job_id) {
                    self.state.health.pause_model(job.spec.model.clone(), now);
                }
                self.vendor_answered();
                self.refused(job_id, now);
                CreateOutcome::Rejected
            }
            CreateVerdict::InputRefused => {
                self.vendor_answered();
                self.refused(job_id, now);
                CreateOutcome::InputRefused
            }
            CreateVerdict::OtherRefusal => {
                self.vendor_answered();
                self.refused(job_id, now);
                CreateOutcome::Rejected
            }
            CreateVerdict::Redirected => {
                self.changes.alerts.push("vendor_redirected");
                self.refused(job_id, now);
                CreateOutcome::Rejected
            }
            CreateVerdict::VendorFailed => {
                self.vendor_failed(now);
                self.refused(job_id, now);
                CreateOutcome::Failed
            }
            CreateVerdict::OutcomeUnknown(cause) => {
                self.vendor_failed(now);
                self.outcome_unknown(job_id, now);
                match cause {
                    UnknownCause::NoAnswer => CreateOutcome::TimedOut,
                    UnknownCause::Unreadable => CreateOutcome::Unreadable,
                }
            }
        }
    }

    /// Whether a create is under way, or about to be.
    #[must_use]
    pub fn is_submitting(&self, job_id: &JobId) -> bool {
        self.jobs.get(job_id).is_some_and(|job| job.state == JobState::Submitting)
    }

    fn accepted(
        &mut self,
        job_id: &JobId,
        vendor_id: String,
        prediction: VendorPrediction,
        now: UnixMillis,
    ) -> CreateOutcome {
        self.vendor_answered();
        let running = self.running().saturating_add(1);
        let wait = next_poll_millis(0, false, running, self.limits.requests_per_minute);
        self.change_job(job_id, now, |job| {
            job.state = JobState::Running;
            job.vendor_id = Some(vendor_id);
            job.spec.input.clear();
            job.poll_at = now.plus_millis(wait);
        });
        self.seen(job_id, prediction, now);
        CreateOutcome::Accepted
    }

    fn vendor_answered(&mut self) {
        self.state.health.vendor_works();
        self.state.health.key_works();
    }

    fn vendor_failed(&mut self, now: UnixMillis) {
        if self.state.health.vendor_failed(now) {
            self.changes.alerts.push("circuit_opened");
        }
    }

    /// Not sent after all: it goes first when creates go on, unless its client no longer wants it.
    fn back_to_the_front(&mut self, job_id: &JobId, now: UnixMillis) -> CreateOutcome {
        if self.jobs.get(job_id).is_some_and(|job| job.cancel_requested) {
            self.end_job(job_id, canceled_for_free(), now);
        } else {
            self.change_job(job_id, now, |job| {
                job.state = JobState::Waiting;
                job.returned = true;
                job.submitted_at = None;
            });
        }
        CreateOutcome::Pending
    }

    fn refused(&mut self, job_id: &JobId, now: UnixMillis) {
        self.end_job(job_id, failed(Failure::UpstreamRejected, MicroCredits::ZERO), now);
    }

    /// Never sent again: it has failed for its client, its credits count as spent, its slot stays taken.
    pub(super) fn outcome_unknown(&mut self, job_id: &JobId, now: UnixMillis) {
        let Some(credits) = self.jobs.get(job_id).map(|job| job.spec.credits) else { return };
        self.end_as_unknown(job_id, failed(Failure::OutcomeUnknown, credits), now);
    }

    /// The vendor's answer to a poll, or its absence.
    pub fn finish_poll(&mut self, job_id: &JobId, answer: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.in_flight.polls.remove(job_id);
        self.note_rate_limit(answer, now);
        match verdict::read_poll_reply(answer) {
            PollVerdict::Found(prediction) => {
                self.state.health.vendor_works();
                self.seen(job_id, prediction, now);
            }
            PollVerdict::NotFound => self.missing(job_id, is_gone(answer), now),
            PollVerdict::Throttled { wait_millis } => self.state.window.close_until(now.plus_millis(wait_millis)),
            PollVerdict::VendorFailed => self.vendor_failed(now),
        }
        self.plan_next_poll(job_id, now);
    }

    /// The vendor's answer to a cancel: what it says of the prediction counts; a failure is tried again.
    pub fn finish_cancel(&mut self, job_id: &JobId, answer: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        self.changes.is_state_changed = true;
        self.in_flight.cancels.remove(job_id);
        self.note_rate_limit(answer, now);
        let (is_done, wait) = match verdict::read_poll_reply(answer) {
            PollVerdict::Found(prediction) => {
                self.seen(job_id, prediction, now);
                (true, POLL_FIRST_MILLIS)
            }
            // 404: it is gone, or ended; the next poll tells.
            PollVerdict::NotFound => (true, POLL_FIRST_MILLIS),
            PollVerdict::Throttled { wait_millis } => (false, wait_millis),
            // The vendor documents no body: any 2xx has taken it, and the next poll tells.
            PollVerdict::VendorFailed => (is_settled(answer), THROTTLE_DEFAULT_MILLIS),
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

    fn seen(&mut self, job_id: &JobId, prediction: VendorPrediction, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.missing_polls = 0;
        job.missing_since = None;
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

    /// `is_gone`: a 404. A 401 may be about the key.
    fn missing(&mut self, job_id: &JobId, is_gone: bool, now: UnixMillis) {
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        job.missing_polls = job.missing_polls.saturating_add(1);
        let since = *job.missing_since.get_or_insert(now);
        let credits = job.spec.credits;
        let is_lost = job.missing_polls >= LOST_AFTER_POLLS && now.millis_since(since) >= LOST_AFTER_MILLIS;
        if is_gone && now >= job.time_is_up_at() {
            self.end_job(job_id, failed(Failure::TimedOut, credits), now);
        } else if is_lost {
            self.changes.alerts.push("prediction_lost_by_vendor");
            self.end_job(job_id, failed(Failure::UpstreamLost, credits), now);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.jobs.values().filter(|job| job.state == JobState::Running).count()
    }

    pub(super) fn plan_next_poll(&mut self, job_id: &JobId, now: UnixMillis) {
        let running = self.running();
        let Some(job) = self.jobs.get_mut(job_id) else { return };
        let age = now.millis_since(job.submitted_at.unwrap_or(now));
        let is_overdue = now >= job.time_is_up_at();
        job.poll_at = now.plus_millis(next_poll_millis(age, is_overdue, running, self.limits.requests_per_minute));
        if job.hooked_at > job.polled_at {
            // The webhook came while this poll was under way, which may have seen what was before.
            job.poll_at = now.max(job.polled_at.plus_millis(POLL_MIN_MILLIS));
        }
        self.changes.jobs.insert(job_id.clone());
    }

    /// The vendor's own count wins when it says less than ours, until its reset, and at most for an hour.
    fn note_rate_limit(&mut self, answer: &VendorReply, now: UnixMillis) {
        let VendorReply::Response(response) = answer else { return };
        let number = |text: &Option<String>| text.as_deref().and_then(|text| parse_digits::<i64>(text.trim()));
        let (remaining, reset) = (number(&response.rate_limit_remaining), number(&response.rate_limit_reset));
        let (Some(remaining), Some(reset)) = (remaining.and_then(|left| u32::try_from(left).ok()), reset) else {
            return;
        };
        let longest = now.plus_millis(RETRY_AFTER_MAX_SECS.saturating_mul(1_000));
        let until = UnixMillis(reset.saturating_mul(1_000)).min(longest);
        if until > now {
            self.state.window.heard(VendorCount { remaining, until });
        }
    }

    /// The vendor's answer to the model list; a list that cannot be read leaves the last good one.
    pub fn finish_models(&mut self, models: Option<Vec<ModelId>>, now: UnixMillis) {
        self.advance(now);
        self.in_flight.models = false;
        self.changes.is_state_changed = true;
        if models.is_some() {
            self.state.models = models;
        }
    }

    /// A Ledger has acknowledged these news; newer ones of the same job stay.
    pub fn finish_delivery(&mut self, user: &UserKey, updates: &[JobUpdate]) {
        self.in_flight.deliveries.remove(user);
        for update in updates {
            if self.outbox.get(&update.job_id).is_some_and(|row| row.update.sequence <= update.sequence) {
                self.outbox.remove(&update.job_id);
                self.changes.outbox.insert(update.job_id.clone());
            }
        }
    }

    /// A Ledger has not acknowledged: tried again, less and less often.
    pub fn retry_delivery(&mut self, user: &UserKey, updates: &[JobUpdate], now: UnixMillis) {
        let now = self.advance(now);
        self.in_flight.deliveries.remove(user);
        for update in updates {
            let Some(row) = self.outbox.get_mut(&update.job_id) else { continue };
            row.attempts = row.attempts.saturating_add(1);
            let wait = DELIVERY_FIRST_MILLIS.saturating_mul(1_i64 << row.attempts.min(10));
            row.next_at = now.plus_millis(wait.min(DELIVERY_MAX_MILLIS));
            self.changes.outbox.insert(update.job_id.clone());
        }
    }
}

/// Whether the vendor has taken a cancel, or said no for good: it is not sent again.
const fn is_settled(answer: &VendorReply) -> bool {
    match answer {
        VendorReply::Response(response) => matches!(response.status, 200..=299 | 400..=499),
        VendorReply::TimedOut | VendorReply::Broken => false,
    }
}

const fn is_gone(answer: &VendorReply) -> bool {
    matches!(answer, VendorReply::Response(response) if response.status == 404)
}

pub(super) const fn failed(failure: Failure, credits: MicroCredits) -> JobEnd {
    JobEnd { status: Status::Failed, failure: Some(failure), output: Vec::new(), credits, predict_time: None }
}

/// The end of a job whose slot was given up while the vendor still had it.
pub(super) fn timed_out(job: &Job) -> JobEnd {
    failed(Failure::TimedOut, job.spec.credits)
}
