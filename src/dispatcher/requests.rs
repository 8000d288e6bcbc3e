//! What Ledgers and the edge ask of the Dispatcher.

use serde_json::Value;

use super::accounts::KEY_ACCOUNT;
use super::dispatcher::Dispatcher;
use super::job::{Job, JobState};
use crate::constants::{ENQUEUE_MAX_AGE_MILLIS, POLL_MIN_MILLIS, WAITING_INPUT_BYTES_MAX, WEBHOOK_POLL_MIN_MILLIS};
use crate::limit::minute_window::whole_seconds;
use crate::limit::request_window::Lane;
use crate::messages::{Deadline, DispatcherReply, EnqueueRefusal, JobEnd, JobSpec, JobUpdate, QueueShare};
use crate::types::credits::MicroCredits;
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::{QueuePosition, Status};
use crate::types::time::{UnixMillis, UnixSeconds};

impl Dispatcher {
    /// Takes predictions over, all or none. `has_tombstone` tells whether one of their ids ended or was withdrawn before.
    ///
    /// Repeated, nothing happens; an id that is over an hour old, or whose sender gave up, is refused, so that a message
    /// that was long on its way never starts anything.
    ///
    /// # Errors
    /// [`EnqueueRefusal`]; then nothing was held.
    pub fn enqueue(
        &mut self,
        user: &UserKey,
        specs: Vec<JobSpec>,
        share: &QueueShare,
        deadline: Deadline,
        has_tombstone: bool,
        now: UnixMillis,
    ) -> Result<(), EnqueueRefusal> {
        if specs.iter().any(|spec| self.is_known(&spec.job_id)) {
            return Ok(());
        }
        // By the clock as it is: times of another object are compared with it, not with a step forward of long ago.
        let is_old = |spec: &JobSpec| now.millis_since(spec.job_id.created_at()) > ENQUEUE_MAX_AGE_MILLIS;
        if has_tombstone || specs.iter().any(is_old) || deadline.is_expired(now) {
            return Err(EnqueueRefusal::Expired);
        }
        let now = self.advance(now);
        self.check_pool(&specs, share)?;
        self.check_room(user, specs.len(), share, now)?;
        self.check_key(&specs, now)?;
        self.check_health(&specs, now)?;
        for spec in specs {
            self.accept(user.clone(), spec, share.clone(), now);
        }
        Ok(())
    }

    /// Whether the token behind new orders is among those that were revoked all together. What is known already was
    /// admitted: its message was answered, and the answer lost.
    ///
    /// # Errors
    /// [`EnqueueRefusal::Revoked`].
    pub fn check_revoked(&self, specs: &[JobSpec], issued_at: Option<UnixSeconds>) -> Result<(), EnqueueRefusal> {
        let is_revoked = issued_at.is_some_and(|issued_at| self.state.revoked_by >= Some(issued_at));
        let is_new = !specs.iter().any(|spec| self.is_known(&spec.job_id));
        if is_revoked && is_new { Err(EnqueueRefusal::Revoked) } else { Ok(()) }
    }

    /// Refuses every token that was issued by then. An earlier time changes nothing: what is revoked stays so.
    pub fn revoke_all(&mut self, issued_by: UnixSeconds) {
        self.state.revoked_by = self.state.revoked_by.max(Some(issued_by));
        self.changes.is_state_changed = true;
    }

    /// Every token that was issued by then is refused.
    #[must_use]
    pub const fn revoked_before(&self) -> Option<UnixSeconds> {
        self.state.revoked_by
    }

    fn is_known(&self, job_id: &JobId) -> bool {
        self.jobs.contains_key(job_id) || self.outbox.contains_key(job_id)
    }

    fn accept(&mut self, user: UserKey, spec: JobSpec, share: QueueShare, now: UnixMillis) {
        let (job_id, day) = (spec.job_id.clone(), spec.day());
        self.state.accounts.reserve(KEY_ACCOUNT, day, spec.credits);
        if self.limits.pools.contains_key(&share.plan) {
            self.state.accounts.reserve(&share.plan, day, spec.credits);
        }
        self.jobs.insert(job_id.clone(), Job::new(user, spec, share, now));
        self.changes.jobs.insert(job_id);
        self.changes.is_state_changed = true;
        self.queue_positions = None;
    }

    /// The credits that all users of the plan share.
    fn check_pool(&self, specs: &[JobSpec], share: &QueueShare) -> Result<(), EnqueueRefusal> {
        let cap = self.limits.pools.get(&share.plan).and_then(|pool| pool.daily_credits);
        if self.fits(&share.plan, specs, cap) { Ok(()) } else { Err(EnqueueRefusal::InsufficientCredits) }
    }

    /// The key's own credits: nobody's fault, and over at midnight UTC.
    fn check_key(&self, specs: &[JobSpec], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        if self.fits(KEY_ACCOUNT, specs, self.limits.daily_credits) {
            return Ok(());
        }
        let midnight = now.utc_day().next().start();
        Err(EnqueueRefusal::UpstreamUnavailable { retry_after_secs: whole_seconds(midnight.millis_since(now)) })
    }

    fn fits(&self, account: &str, specs: &[JobSpec], cap: Option<MicroCredits>) -> bool {
        let (Some(cap), Some(first)) = (cap, specs.first()) else { return true };
        let total = specs.iter().try_fold(MicroCredits::ZERO, |sum, spec| sum.checked_add(spec.credits));
        total.is_some_and(|total| self.state.accounts.fits(account, first.day(), total, cap))
    }

    /// Room for what would have to wait: the user's, the plan's, the queue's.
    fn check_room(
        &self,
        user: &UserKey,
        count: usize,
        share: &QueueShare,
        now: UnixMillis,
    ) -> Result<(), EnqueueRefusal> {
        let more = count.saturating_sub(self.would_start(user, share, now));
        let is_over = |waiting: usize, most: usize| more > 0 && waiting.saturating_add(more) > most;
        let retry_after_secs = self.secs_until_a_slot(now);
        let own = self.waiting().filter(|job| job.user == *user).count();
        if is_over(own, usize::try_from(share.max_waiting).unwrap_or(usize::MAX)) {
            return Err(EnqueueRefusal::TooManyPredictions { retry_after_secs });
        }
        let of_plan = self.waiting().filter(|job| job.share.plan == share.plan).count();
        let pool = self.limits.pools.get(&share.plan).map_or(self.limits.max_waiting, |pool| pool.max_waiting);
        let waiting_bytes: usize = self.waiting().map(|job| text_bytes(job.spec.input.values())).sum();
        let is_heavy = more > 0 && waiting_bytes > WAITING_INPUT_BYTES_MAX;
        if is_heavy || is_over(self.waiting().count(), self.limits.max_waiting) || is_over(of_plan, pool) {
            return Err(EnqueueRefusal::QueueFull { retry_after_secs });
        }
        Ok(())
    }

    /// A model that rests, and a vendor that rests for longer than anybody may wait.
    fn check_health(&self, specs: &[JobSpec], now: UnixMillis) -> Result<(), EnqueueRefusal> {
        let until = |at: UnixMillis| EnqueueRefusal::UpstreamUnavailable {
            retry_after_secs: whole_seconds(at.millis_since(now)),
        };
        let health = &self.state.health;
        let paused_model = specs.iter().find_map(|spec| health.model_paused_until(&spec.model, now));
        if let Some(paused_until) = paused_model {
            return Err(until(paused_until));
        }
        let position = self.waiting().count().saturating_add(specs.len());
        if health.is_paused() && self.expected_wait_millis(position, now) > self.limits.max_wait_millis {
            return Err(until(health.create_at()));
        }
        Ok(())
    }

    /// A guess for `Retry-After`: when the job that was submitted first is polled next, at least a second from now.
    fn secs_until_a_slot(&self, now: UnixMillis) -> u32 {
        let soonest = self.jobs.values().filter(|job| job.state == JobState::Running).map(|job| job.poll_at).min();
        whole_seconds(soonest.unwrap_or(now).millis_since(now))
    }

    /// Drops predictions whose create was answered 503, if none of them was ever sent: a batch goes or stays as a whole,
    /// and one that was sent and turned away stays too, for its Ledger may have been told, and told late. So the answer
    /// never changes once it is given. It names those that stay. `has_tombstone` tells whether one of them ended, or was
    /// withdrawn, before.
    pub fn withdraw(&mut self, job_ids: &[JobId], has_tombstone: bool, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        let has_begun = |job_id| match self.jobs.get(job_id) {
            Some(job) => job.state != JobState::Waiting || job.returned,
            None => self.is_known(job_id),
        };
        let drops = !has_tombstone && !job_ids.iter().any(has_begun);
        for job_id in job_ids {
            if drops {
                if let Some(job) = self.remove_job(job_id) {
                    self.settle(&job, MicroCredits::ZERO);
                }
                if self.outbox.remove(job_id).is_some() {
                    self.changes.outbox.insert(job_id.clone());
                }
            }
            if !self.is_known(job_id) {
                // The enqueue may still be on its way: the tombstone refuses it.
                self.changes.tombstones.insert(job_id.clone());
            }
        }
        self.report_jobs(job_ids, now)
    }

    /// Asks for an end. The Dispatcher alone decides, in one turn: what waits ends now, what is being sent is
    /// remembered, what runs is relayed, what has ended stays as it is.
    pub fn cancel(&mut self, job_id: &JobId, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        match self.jobs.get(job_id).map(|job| (job.state, job.cancel_requested)) {
            Some((JobState::Waiting, _)) => self.end_job(job_id, canceled_for_free(), now),
            Some((JobState::Submitting | JobState::Running, false)) => self.change_job(job_id, now, |job| {
                job.cancel_requested = true;
                job.cancel_at = now;
            }),
            Some((JobState::Submitting | JobState::Running, true) | (JobState::Unknown, _)) | None => {}
        }
        self.report_jobs(std::slice::from_ref(job_id), now)
    }

    /// Where predictions are, those that are known: news that a Ledger has not acknowledged say more than the row.
    pub fn report_jobs(&mut self, job_ids: &[JobId], now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        DispatcherReply::Jobs(job_ids.iter().filter_map(|job_id| self.latest_update(job_id, now)).collect())
    }

    fn latest_update(&mut self, job_id: &JobId, now: UnixMillis) -> Option<JobUpdate> {
        if let Some(row) = self.outbox.get(job_id) {
            return Some(row.update.clone());
        }
        let queue_position = self.queue_position(job_id, now);
        self.jobs.get(job_id).map(|job| job.update_for_ledger(now, queue_position, None))
    }

    /// Where predictions stand that wait.
    pub fn queue_positions(&mut self, job_ids: &[JobId], now: UnixMillis) -> Vec<(JobId, QueuePosition)> {
        let now = self.advance(now);
        job_ids.iter().filter_map(|job_id| Some((job_id.clone(), self.queue_position(job_id, now)?))).collect()
    }

    /// The vendor called our webhook: the next poll comes now, if none was brought forward in the last 10 s.
    pub fn receive_webhook(&mut self, job_id: &JobId, now: UnixMillis) {
        let now = self.advance(now);
        let is_polled = self.in_flight.polls.contains(job_id);
        let Some(job) = self.jobs.get_mut(job_id).filter(|job| job.state == JobState::Running) else { return };
        let poll_at = now.max(job.polled_at.plus_millis(POLL_MIN_MILLIS));
        if now.millis_since(job.hooked_at) >= WEBHOOK_POLL_MIN_MILLIS && (is_polled || poll_at < job.poll_at) {
            job.hooked_at = now;
            job.poll_at = poll_at;
            self.changes.jobs.insert(job_id.clone());
        }
    }

    /// One request of the edge's own, in the lane of the rest. For a stream, the prediction must be running.
    pub fn grant_permit(&mut self, job_id: Option<&JobId>, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        let running = job_id.map(|job_id| self.vendor_side(job_id));
        if matches!(running, Some(None)) {
            return DispatcherReply::Jobs(Vec::new());
        }
        let free_at = self.state.window.earliest(Lane::Other, self.limits.requests_per_minute, now);
        if free_at > now {
            return DispatcherReply::Wait { retry_after_secs: whole_seconds(free_at.millis_since(now)) };
        }
        self.book(Lane::Other, now);
        let (vendor_id, vendor_key_fingerprint) =
            running.flatten().map_or((None, None), |(vendor_id, fingerprint)| (Some(vendor_id), fingerprint));
        DispatcherReply::Permit { vendor_id, vendor_key_fingerprint }
    }
}

/// Bytes of text in JSON values.
fn text_bytes<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    let bytes_of = |value: &'a Value| match value {
        Value::String(text) => text.len(),
        Value::Array(items) => text_bytes(items.iter()),
        Value::Object(members) => text_bytes(members.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    values.map(bytes_of).sum()
}

/// The end of a prediction that the vendor never saw.
pub(super) const fn canceled_for_free() -> JobEnd {
    JobEnd {
        status: Status::Canceled,
        failure: None,
        output: Vec::new(),
        credits: MicroCredits::ZERO,
        predict_time: None,
    }
}
