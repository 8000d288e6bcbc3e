//! What Ledgers and the edge ask of the Dispatcher.

use super::dispatcher::Dispatcher;
use super::job::{Job, JobState};
use crate::constants::ENQUEUE_MAX_AGE_MILLIS;
use crate::credits::MicroCredits;
use crate::ids::{JobId, UserKey};
use crate::messages::{Deadline, DispatcherReply, EnqueueRefusal, JobEnd, Order};
use crate::prediction::Status;
use crate::time::UnixMillis;

impl Dispatcher {
    /// Takes a prediction over. `has_tombstone` tells whether its id ended or was withdrawn before.
    ///
    /// Repeated, it is answered with the row's present state; an id that is over an hour old, or whose sender gave
    /// up, is refused, so that a message that was long on its way never starts anything.
    pub fn enqueue(
        &mut self,
        user: UserKey,
        order: Order,
        weight: u32,
        deadline: Deadline,
        has_tombstone: bool,
        now: UnixMillis,
    ) -> DispatcherReply {
        let now = self.advance(now);
        if let Some(reply) = self.present_state(&order.job_id, now) {
            return reply;
        }
        let is_old = now.millis_since(order.job_id.created_at()) > ENQUEUE_MAX_AGE_MILLIS;
        if has_tombstone || is_old || deadline.is_expired(now) {
            return DispatcherReply::Refused(EnqueueRefusal::Expired);
        }
        if let Some(refusal) = self.refuses_to_enqueue(&order, now) {
            return DispatcherReply::Refused(refusal);
        }
        let job_id = order.job_id.clone();
        let job = Job::new(user, order, weight, now);
        let reply = DispatcherReply::Job(Box::new(job.news(now, None)));
        self.jobs.insert(job_id.clone(), job);
        self.changes.jobs.insert(job_id);
        reply
    }

    fn refuses_to_enqueue(&self, order: &Order, now: UnixMillis) -> Option<EnqueueRefusal> {
        let unavailable =
            |until: UnixMillis| EnqueueRefusal::UpstreamUnavailable { retry_after_secs: secs_until(until, now) };
        if let Some(until) = self.health.model_rests_until(&order.model, now) {
            return Some(unavailable(until));
        }
        if self.health.is_resting() && (self.health.create_at() > now || self.has_pending_creates()) {
            return Some(unavailable(self.health.create_at()));
        }
        let taken = self.slots_held().saturating_add(self.waiting());
        if taken >= self.slot_limit(now) && !self.may_probe_past_unknown(now) {
            return Some(EnqueueRefusal::QueueFull { retry_after_secs: self.secs_until_a_slot(now) });
        }
        None
    }

    fn has_pending_creates(&self) -> bool {
        self.jobs.values().any(|job| matches!(job.state, JobState::Waiting | JobState::Submitting))
    }

    /// Whether unknown outcomes hold every slot and half a minute has passed since the last create (protocol 1).
    pub(super) fn may_probe_past_unknown(&self, now: UnixMillis) -> bool {
        self.health.unknown_probe_at <= now && self.jobs.values().all(|job| job.state == JobState::Unknown)
    }

    /// A guess for `Retry-After`: when the job that was submitted first is polled next, at least a second from now.
    fn secs_until_a_slot(&self, now: UnixMillis) -> u32 {
        let soonest = self.jobs.values().filter(|job| job.state == JobState::Running).map(|job| job.poll_at).min();
        secs_until(soonest.unwrap_or(now), now)
    }

    /// Drops a prediction whose create was answered 503, if it was not sent. The answer says which.
    pub fn withdraw(&mut self, job_id: &JobId, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        if self.jobs.get(job_id).is_some_and(|job| job.state == JobState::Waiting) {
            self.jobs.remove(job_id);
            self.changes.jobs.insert(job_id.clone());
            if self.outbox.remove(job_id).is_some() {
                self.changes.outbox.insert(job_id.clone());
            }
        }
        match self.present_state(job_id, now) {
            Some(reply) => reply,
            None => {
                // The enqueue may still be on its way: the tombstone refuses it.
                self.changes.tombstones.insert(job_id.clone());
                DispatcherReply::Unknown
            }
        }
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
        self.state_of(job_id, now)
    }

    /// Where a prediction is.
    pub fn state_of(&mut self, job_id: &JobId, now: UnixMillis) -> DispatcherReply {
        let now = self.advance(now);
        self.present_state(job_id, now).unwrap_or(DispatcherReply::Unknown)
    }

    /// The latest news of a job: those that its Ledger has not acknowledged say more than the row.
    fn present_state(&self, job_id: &JobId, now: UnixMillis) -> Option<DispatcherReply> {
        let unheard = self.outbox.get(job_id).map(|row| row.news.clone());
        let news = unheard.or_else(|| self.jobs.get(job_id).map(|job| job.news(now, None)));
        news.map(|news| DispatcherReply::Job(Box::new(news)))
    }
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

/// Whole seconds from now, rounded up, at least one.
fn secs_until(until: UnixMillis, now: UnixMillis) -> u32 {
    let millis = until.millis_since(now).max(0).saturating_add(999);
    u32::try_from(millis.div_euclid(1_000)).unwrap_or(u32::MAX).max(1)
}
