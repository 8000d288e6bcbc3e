//! The queue: which waiting job starts next, and where the others stand.

use std::collections::BTreeMap;

use super::fair_queue::{self, WaitingJobs, WaitingUser};
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::constants::{VENDOR_CONNECTIONS_MAX, VENDOR_CONNECTIONS_RESERVED, VENDOR_WINDOW_MILLIS};
use crate::limit::request_window::Lane;
use crate::limit::seconds::whole_seconds;
use crate::messages::QueueShare;
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

impl Dispatcher {
    pub(super) fn waiting_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.state == JobState::Waiting)
    }

    fn slots_of(&self, user: &UserKey) -> usize {
        self.jobs.values().filter(|job| job.user == *user && job.holds_slot()).count()
    }

    /// Returns the waiting jobs that may start: their user is below its `concurrent_predictions`, and their model is
    /// not paused. A user at its limit is skipped, not refused.
    fn startable_jobs(&self, now: UnixMillis) -> impl Iterator<Item = &Job> {
        let mut held: BTreeMap<&UserKey, usize> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.holds_slot()) {
            let count = held.entry(&job.user).or_default();
            *count = count.saturating_add(1);
        }
        self.waiting_jobs().filter(move |job| {
            let limit = usize::try_from(job.share.concurrent_predictions).unwrap_or(usize::MAX);
            let is_below = held.get(&job.user).is_none_or(|count| *count < limit);
            is_below && self.state.health.model_paused_until(&job.spec.model, now).is_none()
        })
    }

    /// Picks the job that starts next: a returned job before all others, then the oldest job of the user whose turn it
    /// is.
    pub(super) fn pick_next_job(&mut self, now: UnixMillis) -> Option<JobId> {
        let returned = self.startable_jobs(now).filter(|job| job.is_returned);
        if let Some(job) = returned.min_by_key(|job| (job.enqueued_at, &job.spec.job_id)) {
            return Some(job.spec.job_id.clone());
        }
        let mut users: Vec<WaitingUser> = Vec::new();
        let mut heads: BTreeMap<UserKey, JobId> = BTreeMap::new();
        for job in self.startable_jobs(now) {
            if !heads.contains_key(&job.user) {
                let (user, head) = (job.user.clone(), job.spec.job_id.clone());
                heads.insert(user.clone(), head.clone());
                users.push(WaitingUser { user, weight: job.share.weight, head });
            }
        }
        self.is_queue_changed = true;
        let user = fair_queue::pick_next_user(&users, &mut self.state.deficits)?;
        heads.remove(&user)
    }

    /// Drops what a user has earned if the user waits for nothing any more. A debt stays.
    pub(super) fn leave_queue(&mut self, user: &UserKey) {
        self.queue_positions = None;
        if !self.waiting_jobs().any(|job| job.user == *user)
            && self.state.deficits.get(user).is_some_and(|deficit| *deficit > 0)
        {
            self.state.deficits.remove(user);
            self.is_queue_changed = true;
        }
    }

    /// Returns how many new jobs of a user would start at once.
    pub(super) fn count_immediate_starts(&self, user: &UserKey, share: &QueueShare, now: UnixMillis) -> usize {
        if !self.may_submit(now) || self.startable_jobs(now).next().is_some() {
            return 0;
        }
        let connections = VENDOR_CONNECTIONS_MAX.saturating_sub(VENDOR_CONNECTIONS_RESERVED);
        let limit = usize::try_from(share.concurrent_predictions).unwrap_or(usize::MAX);
        // At least one: `may_submit` may allow a probe past unknown outcomes.
        let slots = self.slot_limit(now).saturating_sub(self.held_slots()).max(1);
        let own = limit.saturating_sub(self.slots_of(user));
        // While the vendor is paused, one create at a time is a probe.
        let probes = if self.state.health.is_paused() { 1 } else { usize::MAX };
        slots.min(own).min(probes).min(connections.saturating_sub(self.in_flight.connections()))
    }

    /// Returns the queue position of a job, if it waits. Users at their own limit are counted like all others, so the
    /// ETA is rather too long than too short.
    pub fn queue_position(&mut self, job_id: &JobId, now: UnixMillis) -> Option<QueuePosition> {
        if self.jobs.get(job_id).is_none_or(|job| job.state != JobState::Waiting) {
            return None;
        }
        if self.queue_positions.is_none() {
            self.queue_positions = Some(self.compute_queue_positions(now));
        }
        self.queue_positions.as_ref()?.get(job_id).copied()
    }

    fn compute_queue_positions(&self, now: UnixMillis) -> BTreeMap<JobId, QueuePosition> {
        let mut returned: Vec<&Job> = self.waiting_jobs().filter(|job| job.is_returned).collect();
        returned.sort_by_key(|job| (job.enqueued_at, &job.spec.job_id));
        let returned = returned.into_iter().map(|job| job.spec.job_id.clone()).collect();
        let mut waiting = WaitingJobs::new();
        for job in self.waiting_jobs().filter(|job| !job.is_returned) {
            let (_, jobs) = waiting.entry(job.user.clone()).or_insert_with(|| (job.share.weight, Default::default()));
            jobs.push_back(job.spec.job_id.clone());
        }
        let order = fair_queue::simulate_start_order(returned, waiting, self.state.deficits.clone());
        let at_index = |index: usize| {
            let position = index.saturating_add(1);
            let eta_seconds = whole_seconds(self.expected_wait_millis(position, now));
            QueuePosition { position: u32::try_from(position).unwrap_or(u32::MAX), eta_seconds }
        };
        order.into_iter().enumerate().map(|(index, job_id)| (job_id, at_index(index))).collect()
    }

    /// Returns how long the job at a queue position is expected to wait. It is the longer of two times, plus the
    /// vendor's pause: the time until so many slots become free, and the time in which the create lane lets so many
    /// creates pass.
    pub(super) fn expected_wait_millis(&self, position: usize, now: UnixMillis) -> i64 {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let slots = i64::try_from(self.slot_limit(now)).unwrap_or(i64::MAX).max(1);
        let by_slots = position.saturating_mul(self.average_run_millis()).div_euclid(slots);
        let lane = i64::try_from(Lane::Create.share(self.limits.requests_per_minute)).unwrap_or(i64::MAX).max(1);
        let by_lane = position.saturating_mul(VENDOR_WINDOW_MILLIS).div_euclid(lane);
        by_slots.max(by_lane).saturating_add(self.state.health.expected_pause_millis(now))
    }
}
