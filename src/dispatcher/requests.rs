//! Requests of Ledgers and of the edge about predictions that the Dispatcher may have, and about tokens.

use super::job::JobState;
use super::machine::Dispatcher;
use crate::constants::{PERMIT_WAIT_MAX_MILLIS, POLL_MIN_MILLIS, WEBHOOK_POLL_MIN_MILLIS};
use crate::limit::request_window::Lane;
use crate::limit::seconds::whole_seconds;
use crate::messages::{DispatcherReply, FreshPosition, JobEnd, JobUpdate, Stage};
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::{UnixMillis, UnixSeconds};

impl Dispatcher {
    /// Refuses all tokens that were issued up to a time. An earlier time changes nothing: revoked tokens stay revoked.
    pub fn revoke_all(&mut self, issued_by: UnixSeconds) {
        self.state.revoked_before = self.state.revoked_before.max(Some(issued_by));
    }

    /// Returns the revoked-before time of all users.
    #[must_use]
    pub const fn revoked_before(&self) -> Option<UnixSeconds> {
        self.state.revoked_before
    }

    /// Withdraws predictions whose create got 503, and returns those that stay.
    ///
    /// All are dropped if none was ever sent, else all stay: a batch is never split. A prediction that was sent and
    /// returned to the queue stays too, because its Ledger may get a late report of that. So the reply never changes
    /// once it is given. `has_tombstone` says whether one of them ended or was withdrawn before.
    pub fn withdraw(&mut self, job_ids: &[JobId], has_tombstone: bool, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        let was_sent = |job_id| match self.jobs.get(job_id) {
            Some(job) => job.state != JobState::Waiting || job.is_returned,
            None => self.is_known(job_id),
        };
        let may_drop = !has_tombstone && !job_ids.iter().any(was_sent);
        for job_id in job_ids {
            if may_drop {
                if let Some(job) = self.remove_job(job_id) {
                    self.settle(&job, MicroCredits::ZERO);
                }
                if self.outbox.remove(job_id).is_some() {
                    self.changes.outbox.insert(job_id.clone());
                }
            }
            if !self.is_known(job_id) {
                // The tombstone refuses an enqueue that is still in flight.
                self.changes.tombstones.insert(job_id.clone());
            }
        }
        let report = |job_id| self.latest_update(job_id, now).or_else(|| self.unreadable_update(job_id, now));
        DispatcherReply::Jobs(job_ids.iter().filter_map(report).collect())
    }

    /// Cancels a prediction. The Dispatcher alone decides, in one turn (protocol 1):
    ///
    /// - waiting: it ends now
    /// - submitting or running: the request is remembered, and sent once the vendor's id is known
    /// - ended: nothing changes
    pub fn cancel(&mut self, job_id: &JobId, now: UnixMillis) -> DispatcherReply {
        DispatcherReply::Jobs(self.cancel_all(std::slice::from_ref(job_id), now))
    }

    /// Cancels predictions as [`Self::cancel`] does. Returns the present state of those that are known.
    pub fn cancel_all(&mut self, job_ids: &[JobId], now: UnixMillis) -> Vec<JobUpdate> {
        let now = self.advance(now);
        job_ids.iter().for_each(|job_id| self.request_cancel(job_id, now));
        self.latest_updates(job_ids, now)
    }

    fn request_cancel(&mut self, job_id: &JobId, now: UnixMillis) {
        match self.jobs.get(job_id).map(|job| (job.state, job.cancel_requested)) {
            Some((JobState::Waiting, _)) => self.end_job(job_id, JobEnd::canceled_unsent(), now),
            Some((JobState::Submitting | JobState::Running, false)) => self.change_job(job_id, now, |job| {
                job.cancel_requested = true;
                job.cancel_at = now;
            }),
            Some((JobState::Submitting | JobState::Running, true) | (JobState::Unknown, _)) | None => {}
        }
    }

    /// Returns the present state of those predictions that are known. A row that cannot be read counts until its
    /// prediction is given up.
    pub fn report_jobs(&mut self, job_ids: &[JobId], now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        DispatcherReply::Jobs(self.latest_updates(job_ids, now))
    }

    pub(super) fn latest_updates(&mut self, job_ids: &[JobId], now: UnixMillis) -> Vec<JobUpdate> {
        job_ids.iter().filter_map(|job_id| self.latest_update(job_id, now)).collect()
    }

    /// Returns an update that its Ledger has not acknowledged, else one made from the job's row: only the outbox knows
    /// how a job ended.
    pub fn latest_update(&mut self, job_id: &JobId, now: UnixMillis) -> Option<JobUpdate> {
        if let Some(row) = self.outbox.get(job_id) {
            return Some(row.update.clone());
        }
        let queue_position = self.queue_position(job_id, now);
        match self.jobs.get(job_id) {
            Some(job) => {
                Some(JobUpdate { late_at: self.late_at(job, now), ..job.update_for_ledger(now, queue_position, None) })
            }
            None if self.unreadable.may_run(job_id, now) => self.unreadable_update(job_id, now),
            None => None,
        }
    }

    /// Returns the update of a prediction whose row cannot be read. It may be at the vendor, so its Ledger must not take
    /// it back. Every update of the row itself is newer, or says that it waits.
    fn unreadable_update(&self, job_id: &JobId, now: UnixMillis) -> Option<JobUpdate> {
        self.unreadable.contains(job_id).then(|| JobUpdate {
            job_id: job_id.clone(),
            sequence: 1,
            stage: Stage::Submitting,
            at: now,
            cancel_requested: false,
            queue: None,
            end: None,
            late_at: None,
        })
    }

    /// Returns the queue positions of those predictions that wait, and how long they stay fresh.
    pub fn queue_positions(&mut self, job_ids: &[JobId], now: UnixMillis) -> Vec<(JobId, FreshPosition)> {
        let now = self.advance(now);
        let mut fresh = |job_id| self.queue_position(job_id, now).map(FreshPosition::new);
        job_ids.iter().filter_map(|job_id| Some((job_id.clone(), fresh(job_id)?))).collect()
    }

    /// Brings the next poll forward after the vendor called the webhook: to now, or to 10 s after the last poll that a
    /// webhook brought forward.
    pub fn receive_webhook(&mut self, job_id: &JobId, now: UnixMillis) {
        let now = self.advance(now);
        let is_polled = self.in_flight.polls.contains_key(job_id);
        let Some(job) = self.jobs.get(job_id).filter(|job| job.state == JobState::Running) else { return };
        if job.webhook_at > now {
            // The poll at that time will see whatever this call announces.
            return;
        }
        let earliest = job.webhook_at.plus_millis(WEBHOOK_POLL_MIN_MILLIS);
        let poll_at = now.max(job.polled_at.plus_millis(POLL_MIN_MILLIS)).max(earliest);
        self.jobs.change(job_id, |job| {
            // A poll that is due before counts as the webhook's, so that it is followed by another one.
            job.poll_at = if is_polled { poll_at } else { poll_at.min(job.poll_at) };
            job.webhook_at = now.max(job.poll_at);
        });
        self.changes.jobs.insert(job_id.clone());
    }

    /// Permits the edge one vendor request of its own, in the lane `other`, if it is the user's turn. For a stream the
    /// prediction must be running; if it is not, the reply is an empty [`DispatcherReply::Jobs`].
    pub fn grant_permit(
        &mut self,
        job_id: Option<&JobId>,
        user: Option<UserKey>,
        weight: u32,
        now: UnixMillis,
    ) -> DispatcherReply {
        let now = self.advance(now);
        let running = job_id.map(|job_id| self.vendor_id_and_key(job_id));
        if matches!(running, Some(None)) {
            return DispatcherReply::Jobs(Vec::new());
        }
        if let Some(retry_at) = self.take_turn(user, weight, now) {
            return DispatcherReply::Wait { retry_after_secs: whole_seconds(retry_at.millis_since(now)) };
        }
        let (vendor_id, vendor_key_fingerprint) = match running.flatten() {
            Some((vendor_id, fingerprint)) => (Some(vendor_id), fingerprint),
            None => (None, Some(self.key_of_creates().to_owned())),
        };
        DispatcherReply::Permit { vendor_id, vendor_key_fingerprint }
    }

    /// Records a request of the lane `other` if it is the user's turn. Else returns when the user should come back, and the
    /// user keeps its place.
    pub(super) fn take_turn(&mut self, user: Option<UserKey>, weight: u32, now: UnixMillis) -> Option<UnixMillis> {
        let limit = self.limits.requests_per_minute;
        let held = self.permit_turns.count_held(user.as_ref(), weight, now);
        if self.state.window.earliest_after(held, Lane::Other, limit, now) > now {
            let ahead = self.permit_turns.count_ahead(user.as_ref(), weight, now);
            let expected_at = self.state.window.earliest_after(ahead, Lane::Other, limit, now);
            self.permit_turns.wait(user, weight, expected_at, now);
            return Some(expected_at.min(now.plus_millis(PERMIT_WAIT_MAX_MILLIS)));
        }
        self.permit_turns.grant(user, weight, now);
        self.record_request(Lane::Other, now);
        None
    }
}
