//! Who is in line, who goes next, and where a job stands.

use std::collections::BTreeMap;

use super::dispatcher::Dispatcher;
use super::job::{Job, JobState};
use super::queue::{self, Line, Turn};
use crate::constants::{VENDOR_CONNECTIONS_RESERVED, VENDOR_CONNECTIONS_MAX, VENDOR_WINDOW_MILLIS};
use crate::limit::minute_window::whole_seconds;
use crate::limit::request_window::Lane;
use crate::messages::QueueShare;
use crate::types::ids::{JobId, UserKey};
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

impl Dispatcher {
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.state == JobState::Waiting)
    }

    fn held_by(&self, user: &UserKey) -> usize {
        self.jobs.values().filter(|job| job.user == *user && job.holds_slot()).count()
    }

    /// Waiting jobs that may go: their user is below its own limit, and their model does not rest. A user at
    /// `concurrent_predictions` is skipped, not refused.
    fn may_go(&self, now: UnixMillis) -> impl Iterator<Item = &Job> {
        let mut held: BTreeMap<&UserKey, usize> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.holds_slot()) {
            let count = held.entry(&job.user).or_default();
            *count = count.saturating_add(1);
        }
        self.waiting().filter(move |job| {
            let most = usize::try_from(job.share.concurrent_predictions).unwrap_or(usize::MAX);
            let is_below = held.get(&job.user).is_none_or(|count| *count < most);
            is_below && self.state.health.model_paused_until(&job.spec.model, now).is_none()
        })
    }

    /// The job that starts next. One that the vendor turned away goes before all others; then users take turns, each
    /// with its oldest job.
    pub(super) fn next_start(&mut self, now: UnixMillis) -> Option<JobId> {
        let returned =
            self.may_go(now).filter(|job| job.returned).min_by_key(|job| (job.enqueued_at, &job.spec.job_id));
        if let Some(job) = returned {
            return Some(job.spec.job_id.clone());
        }
        let mut line: Vec<Turn> = Vec::new();
        let mut heads: BTreeMap<UserKey, JobId> = BTreeMap::new();
        for job in self.may_go(now) {
            if !heads.contains_key(&job.user) {
                let (user, head) = (job.user.clone(), job.spec.job_id.clone());
                heads.insert(user.clone(), head.clone());
                line.push(Turn { user, weight: job.share.weight, head });
            }
        }
        let user = queue::pick(&line, &mut self.state.deficits)?;
        self.changes.is_state_changed = true;
        heads.remove(&user)
    }

    /// Whoever has nothing waiting any more keeps no claim to a turn; what it owes it goes on owing.
    pub(super) fn left_the_line(&mut self, user: &UserKey) {
        self.queue_positions = None;
        if !self.waiting().any(|job| job.user == *user)
            && self.state.deficits.get(user).is_some_and(|deficit| *deficit > 0)
        {
            self.state.deficits.remove(user);
        }
    }

    /// How many new jobs of a user would start at once, were they here.
    pub(super) fn would_start(&self, user: &UserKey, share: &QueueShare, now: UnixMillis) -> usize {
        if !self.may_submit(now) || self.may_go(now).next().is_some() {
            return 0;
        }
        let connections = VENDOR_CONNECTIONS_MAX.saturating_sub(VENDOR_CONNECTIONS_RESERVED);
        let most = usize::try_from(share.concurrent_predictions).unwrap_or(usize::MAX);
        let slots = self.slot_limit(now).saturating_sub(self.held_slots()).max(1);
        let own = most.saturating_sub(self.held_by(user));
        // While the vendor rests, one create at a time is a probe.
        let most_now = if self.state.health.is_paused() { 1 } else { usize::MAX };
        slots.min(own).min(most_now).min(connections.saturating_sub(self.in_flight.connections()))
    }

    /// Where a job stands, while it waits. 1 is next. Users at their own limit are counted like all others: a guess that
    /// errs to the safe side.
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
        let mut returned: Vec<&Job> = self.waiting().filter(|job| job.returned).collect();
        returned.sort_by_key(|job| (job.enqueued_at, &job.spec.job_id));
        let returned = returned.into_iter().map(|job| job.spec.job_id.clone()).collect();
        let mut line = Line::new();
        for job in self.waiting().filter(|job| !job.returned) {
            let (_, jobs) = line.entry(job.user.clone()).or_insert_with(|| (job.share.weight, Default::default()));
            jobs.push_back(job.spec.job_id.clone());
        }
        let order = queue::start_order(returned, line, self.state.deficits.clone());
        let at_index = |index: usize| {
            let position = index.saturating_add(1);
            let eta_seconds = whole_seconds(self.expected_wait_millis(position, now));
            QueuePosition { position: u32::try_from(position).unwrap_or(u32::MAX), eta_seconds }
        };
        order.into_iter().enumerate().map(|(index, job_id)| (job_id, at_index(index))).collect()
    }

    /// How long the job at a position is expected to wait: by the slots and how long predictions run, by the requests
    /// that creates may take, and by the vendor's health.
    pub(super) fn expected_wait_millis(&self, position: usize, now: UnixMillis) -> i64 {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let slots = i64::try_from(self.slot_limit(now)).unwrap_or(i64::MAX).max(1);
        let by_slots = position.saturating_mul(self.average_run_millis()).div_euclid(slots);
        let lane = i64::try_from(Lane::Create.share(self.limits.requests_per_minute)).unwrap_or(i64::MAX).max(1);
        let by_lane = position.saturating_mul(VENDOR_WINDOW_MILLIS).div_euclid(lane);
        by_slots.max(by_lane).saturating_add(self.state.health.expected_pause_millis(now))
    }
}
