//! The effects of the vendor's replies to polls and cancels (protocol 1).

use super::machine::Dispatcher;
use crate::constants::{
    LOST_AFTER_MILLIS, LOST_AFTER_POLLS, POLL_FIRST_MILLIS, THROTTLE_DEFAULT_MILLIS, WEBHOOK_POLL_MIN_MILLIS,
};
use crate::limit::poll_plan::next_poll_millis;
use crate::messages::JobEnd;
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::prediction::{Failure, Status};
use crate::types::time::UnixMillis;
use crate::vendor::cost::Cost;
use crate::vendor::progress::Progress;
use crate::vendor::reply::{VendorPrediction, VendorReply};
use crate::vendor::verdict::{self, PollVerdict};

impl Dispatcher {
    /// Applies the vendor's reply to a poll, and schedules the next poll.
    pub fn finish_poll(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        let noted = self.in_flight.polls.remove(job_id);
        let key = self.key_of_request(job_id, noted);
        self.apply_reply(reply, now);
        match verdict::read_poll_reply(reply, now) {
            PollVerdict::Found(prediction) => {
                self.state.health.record_success();
                self.note_key_taken(&key);
                self.apply_prediction(job_id, prediction, now);
            }
            PollVerdict::NotFound if self.is_own_key(job_id, &key) => self.apply_not_found(job_id, now),
            // Another key may not have access to the prediction, so this 404 does not mean that it is lost.
            PollVerdict::NotFound => self.try_other_key(job_id),
            PollVerdict::KeyRefused => self.apply_key_refused(job_id, reply, &key, now),
            PollVerdict::Throttled { wait_millis } => self.state.window.close_until(now.plus_millis(wait_millis)),
            PollVerdict::NothingSaid => {}
            PollVerdict::VendorFailed => self.record_vendor_failure(now),
        }
        self.schedule_next_poll(job_id, now);
    }

    /// Applies the vendor's reply to a cancel. A failed cancel is retried with back-off.
    pub fn finish_cancel(&mut self, job_id: &JobId, reply: &VendorReply, now: UnixMillis) {
        let now = self.advance(now);
        let noted = self.in_flight.cancels.remove(job_id);
        let key = self.key_of_request(job_id, noted);
        self.apply_reply(reply, now);
        let (is_done, wait) = match verdict::read_poll_reply(reply, now) {
            PollVerdict::Found(prediction) => {
                self.apply_prediction(job_id, prediction, now);
                (true, POLL_FIRST_MILLIS)
            }
            // The prediction may have ended. The next poll decides.
            PollVerdict::NotFound if self.is_own_key(job_id, &key) => (true, POLL_FIRST_MILLIS),
            PollVerdict::NotFound => {
                self.try_other_key(job_id);
                (false, POLL_FIRST_MILLIS)
            }
            PollVerdict::KeyRefused => {
                self.apply_key_refused(job_id, reply, &key, now);
                (false, POLL_FIRST_MILLIS)
            }
            PollVerdict::Throttled { wait_millis } => (false, wait_millis),
            // The vendor documents no body for a cancel, so any 2xx accepts it. The next poll decides.
            PollVerdict::NothingSaid => (is_final_cancel_reply(reply), THROTTLE_DEFAULT_MILLIS),
            PollVerdict::VendorFailed => (false, THROTTLE_DEFAULT_MILLIS),
        };
        let changed = self.jobs.change(job_id, |job| {
            let wait = wait.saturating_mul(1_i64 << job.cancel_tries.min(6));
            job.cancel_tries = job.cancel_tries.saturating_add(1);
            job.cancel_sent = is_done;
            job.cancel_at = now.plus_millis(wait);
            job.poll_at = job.poll_at.min(now.plus_millis(POLL_FIRST_MILLIS));
        });
        self.changes.jobs.extend(changed.map(|()| job_id.clone()));
    }

    /// Applies the vendor's view of a prediction: ends the job if the status is final.
    pub(super) fn apply_prediction(&mut self, job_id: &JobId, prediction: VendorPrediction, now: UnixMillis) {
        let found = self.jobs.change(job_id, |job| {
            job.not_found_polls = 0;
            job.not_found_since = None;
            job.key_refusals = 0;
            job.spec.credits
        });
        let Some(reserved) = found else { return };
        if let Some(word) = &prediction.unknown_status {
            self.report_unknown_status(word, now);
        }
        let (status, failure) = match prediction.progress {
            Progress::Running => return,
            Progress::Succeeded => (Status::Succeeded, None),
            Progress::Failed => (Status::Failed, Some(Failure::UpstreamFailed)),
            Progress::Canceled => (Status::Canceled, None),
        };
        let credits = match prediction.cost {
            Cost::Known(credits) => credits,
            Cost::Absent => reserved,
            Cost::Unreadable => {
                self.raise(Alert::UnreadableCost, now);
                reserved
            }
        };
        let output = if status == Status::Succeeded { prediction.output } else { Vec::new() };
        if self.limits.outputs.finds_key_in(&output) {
            self.raise(Alert::VendorKeyInOutput, now);
        }
        let output = self.limits.outputs.keep(output);
        self.end_job(job_id, JobEnd { status, failure, output, credits, predict_time: prediction.predict_time }, now);
    }

    /// Counts a poll with the job's own key that did not find the prediction. After [`LOST_AFTER_POLLS`] such polls
    /// over [`LOST_AFTER_MILLIS`] the prediction is lost. An overdue prediction ends at the first one.
    fn apply_not_found(&mut self, job_id: &JobId, now: UnixMillis) {
        let counted = self.jobs.change(job_id, |job| {
            job.not_found_polls = job.not_found_polls.saturating_add(1);
            let since = *job.not_found_since.get_or_insert(now);
            let is_lost = job.not_found_polls >= LOST_AFTER_POLLS && now.millis_since(since) >= LOST_AFTER_MILLIS;
            (job.spec.credits, is_lost, now >= job.run_deadline())
        });
        let Some((credits, is_lost, is_overdue)) = counted else { return };
        if is_overdue {
            self.end_job(job_id, JobEnd::failed(Failure::TimedOut, credits), now);
        } else if is_lost {
            self.raise(Alert::PredictionLostByVendor, now);
            self.end_job(job_id, JobEnd::failed(Failure::UpstreamLost, credits), now);
        }
    }

    fn schedule_next_poll(&mut self, job_id: &JobId, now: UnixMillis) {
        let running = self.running_jobs();
        let back_off = self.jobs.get(job_id).map_or(0, |job| match job.key_refusals {
            0 => 0,
            refusals => self.key_back_off_millis(refusals),
        });
        let requests_per_minute = self.limits.requests_per_minute;
        let scheduled = self.jobs.change(job_id, |job| {
            let age = now.millis_since(job.submitted_at.unwrap_or(now));
            let is_overdue = now >= job.run_deadline();
            let wait = next_poll_millis(age, is_overdue, running, requests_per_minute);
            job.poll_at = now.plus_millis(wait.max(back_off));
            if job.webhook_at > job.polled_at {
                // A webhook arrived while this poll was in flight, so the poll may have seen an older state.
                job.poll_at = now.max(job.webhook_at);
            } else if job.polled_at.millis_since(job.webhook_at) < WEBHOOK_POLL_MIN_MILLIS {
                // Calls beyond the edge's limit end at the edge. The next poll sees what they announced.
                job.poll_at = job.poll_at.min(now.max(job.webhook_at.plus_millis(WEBHOOK_POLL_MIN_MILLIS)));
            }
        });
        self.changes.jobs.extend(scheduled.map(|()| job_id.clone()));
    }
}

/// Returns whether the vendor accepted a cancel or refused it permanently. In both cases it is not sent again.
fn is_final_cancel_reply(reply: &VendorReply) -> bool {
    // 408 and 425 ask for a retry (RFC 9110 section 15.5.9, RFC 8470 section 5.2).
    matches!(reply.status(), Some(200..=299 | 400..=407 | 409..=424 | 426..=499))
}
