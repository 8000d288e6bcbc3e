//! The queue: which waiting job starts next.

use std::collections::BTreeMap;

use super::fair_queue::{self, Deficits, Entry, WaitingEntry};
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use super::waiting_jobs::Head;
use crate::constants::{VENDOR_CONNECTIONS_MAX, VENDOR_CONNECTIONS_RESERVED, VENDOR_WINDOW_MILLIS};
use crate::limit::request_window::Lane;
use crate::messages::QueueShare;
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UnixMillis;

impl Dispatcher {
    pub(super) fn waiting_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.in_state(JobState::Waiting)
    }

    /// Returns the weight of a plan whose users are one entry in the turns.
    pub(super) fn pool_weight(&self, plan: &str) -> Option<u32> {
        self.limits.pools.get(plan).and_then(|pool| pool.weight)
    }

    /// Returns how many predictions of all users of a plan may be at the vendor at once.
    pub(super) fn pool_limit(&self, plan: &str) -> usize {
        self.limits.pools.get(plan).and_then(|pool| pool.concurrent_predictions).unwrap_or(usize::MAX)
    }

    /// Returns whether the jobs of a plan and of a model may start: the plan is below its `pool_concurrent_predictions`,
    /// and the model is not paused. A user whose jobs may not start is skipped, not refused.
    pub(super) fn is_open(&self, plan: &str, model: &ModelId, now: UnixMillis) -> bool {
        self.jobs.counts_of_plan(plan).held < self.pool_limit(plan) && self.model_paused_until(model, now).is_none()
    }

    /// Picks the job that starts next: a returned job before all others, then the oldest job of the user whose turn it
    /// is. Looks at each user who has a job that may start.
    pub(super) fn pick_next_job(&mut self, now: UnixMillis) -> Option<JobId> {
        let waiting = self.jobs.waiting();
        let is_startable = |job: &Job| waiting.is_ready(job) && self.is_open(&job.share.plan, &job.spec.model, now);
        let returned = waiting.returned().find(|job_id| self.jobs.get(job_id).is_some_and(is_startable));
        if let Some(job_id) = returned {
            return Some(job_id.clone());
        }
        let (mut entries, mut pools) = (Vec::new(), BTreeMap::<String, Vec<WaitingEntry>>::new());
        for Head { job_id: head, user, plan, weight } in waiting.heads(|plan, model| self.is_open(plan, model, now)) {
            let entry = Entry::user(&user);
            match self.pool_weight(&plan) {
                None => entries.push(WaitingEntry { entry, weight, head }),
                // Users of a pool share it equally.
                Some(_) => pools.entry(plan).or_default().push(WaitingEntry { entry, weight: 1, head }),
            }
        }
        for (plan, members) in &pools {
            let (weight, head) = (self.pool_weight(plan).unwrap_or(1), members.first()?.head.clone());
            entries.push(WaitingEntry { entry: Entry::pool(plan), weight, head });
        }
        let picked = fair_queue::pick_next_entry(&entries, &mut self.state.deficits)?;
        self.is_queue_changed = true;
        let (waiting, user) = match pools.into_iter().find(|(plan, _)| picked == Entry::pool(plan)) {
            None => (entries, picked),
            Some((plan, members)) => {
                let deficits = self.state.pool_deficits.entry(plan).or_default();
                let user = fair_queue::pick_next_entry(&members, deficits)?;
                (members, user)
            }
        };
        waiting.into_iter().find(|waiting| waiting.entry == user).map(|waiting| waiting.head)
    }

    /// Drops what a user has earned if the user waits for nothing any more, and so with its pool. A debt stays.
    pub(super) fn leave_queue(&mut self, user: &UserKey, plan: &str) {
        let is_user_gone = !self.jobs.waiting().has_waiting(user);
        let is_pool_gone = is_user_gone && self.jobs.counts_of_plan(plan).waiting == 0;
        let is_queue_changed = &mut self.is_queue_changed;
        let mut drop_earned = |deficits: &mut Deficits, entry: &Entry| {
            if deficits.get(entry).is_some_and(|deficit| *deficit > 0) {
                deficits.remove(entry);
                *is_queue_changed = true;
            }
        };
        if is_user_gone {
            drop_earned(&mut self.state.deficits, &Entry::user(user));
            if let Some(members) = self.state.pool_deficits.get_mut(plan) {
                drop_earned(members, &Entry::user(user));
            }
        }
        if is_pool_gone {
            drop_earned(&mut self.state.deficits, &Entry::pool(plan));
        }
        self.state.pool_deficits.retain(|_, members| !members.is_empty());
    }

    /// Returns how many new jobs of a user would start at once, if their models are open.
    pub(super) fn count_immediate_starts(&self, user: &UserKey, share: &QueueShare, now: UnixMillis) -> usize {
        if !self.may_submit(now) || self.jobs.waiting().has_startable(|plan, model| self.is_open(plan, model, now)) {
            return 0;
        }
        let connections = VENDOR_CONNECTIONS_MAX.saturating_sub(VENDOR_CONNECTIONS_RESERVED);
        let limit = usize::try_from(share.concurrent_predictions).unwrap_or(usize::MAX);
        // At least one: `may_submit` may allow a probe past unknown outcomes.
        let slots = self.slot_limit(now).saturating_sub(self.held_slots()).max(1);
        let own = limit.saturating_sub(self.jobs.counts_of_user(user).held);
        let pool = self.pool_limit(&share.plan).saturating_sub(self.jobs.counts_of_plan(&share.plan).held);
        // While the vendor is paused, one create at a time is a probe.
        let probes = if self.state.health.is_paused() { 1 } else { usize::MAX };
        slots.min(own).min(pool).min(probes).min(connections.saturating_sub(self.in_flight.connections()))
    }

    /// Returns how long a job that comes to this position now is expected to wait, at the mean run time of all models. It is the longer of two times, plus the
    /// vendor's pause: the time until so many slots become free, and the time in which the create lane lets so many
    /// creates pass.
    pub(super) fn expected_wait_millis(&self, position: usize, now: UnixMillis) -> i64 {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let slots = i64::try_from(self.slot_limit(now)).unwrap_or(i64::MAX).max(1);
        let by_slots = position.saturating_mul(self.average_run_millis()).div_euclid(slots);
        by_slots.max(self.lane_wait_millis(position)).saturating_add(self.state.health.expected_pause_millis(now))
    }

    /// Returns how long the create lane takes to let this many creates pass.
    pub(super) fn lane_wait_millis(&self, creates: i64) -> i64 {
        let lane = i64::try_from(Lane::Create.share(self.limits.requests_per_minute)).unwrap_or(i64::MAX).max(1);
        creates.saturating_mul(VENDOR_WINDOW_MILLIS).div_euclid(lane)
    }
}
