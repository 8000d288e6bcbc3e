//! The queue: which waiting job starts next.

use std::collections::{BTreeMap, BTreeSet};

use super::fair_queue::{self, Deficits, Entry, WaitingEntry};
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use crate::constants::{VENDOR_CONNECTIONS_MAX, VENDOR_CONNECTIONS_RESERVED, VENDOR_WINDOW_MILLIS};
use crate::limit::request_window::Lane;
use crate::messages::QueueShare;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixMillis;

impl Dispatcher {
    pub(super) fn waiting_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.state == JobState::Waiting)
    }

    fn slots_of(&self, user: &UserKey) -> usize {
        self.jobs.values().filter(|job| job.user == *user && job.holds_slot()).count()
    }

    fn slots_of_pool(&self, plan: &str) -> usize {
        self.jobs.values().filter(|job| job.share.plan == plan && job.holds_slot()).count()
    }

    /// Returns the weight of a plan whose users are one entry in the turns.
    pub(super) fn pool_weight(&self, plan: &str) -> Option<u32> {
        self.limits.pools.get(plan).and_then(|pool| pool.weight)
    }

    /// Returns how many predictions of all users of a plan may be at the vendor at once.
    pub(super) fn pool_limit(&self, plan: &str) -> usize {
        self.limits.pools.get(plan).and_then(|pool| pool.concurrent_predictions).unwrap_or(usize::MAX)
    }

    /// Returns the waiting jobs that may start: their user is below its `concurrent_predictions`, their plan below its
    /// `pool_concurrent_predictions`, and their model is not paused. A user at a limit is skipped, not refused.
    fn startable_jobs(&self, now: UnixMillis) -> impl Iterator<Item = &Job> {
        let mut held: BTreeMap<&UserKey, usize> = BTreeMap::new();
        let mut held_by_plan: BTreeMap<&str, usize> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.holds_slot()) {
            for count in [held.entry(&job.user).or_default(), held_by_plan.entry(&job.share.plan).or_default()] {
                *count = count.saturating_add(1);
            }
        }
        self.waiting_jobs().filter(move |job| {
            let limit = usize::try_from(job.share.concurrent_predictions).unwrap_or(usize::MAX);
            let plan = job.share.plan.as_str();
            held.get(&job.user).is_none_or(|count| *count < limit)
                && held_by_plan.get(plan).is_none_or(|count| *count < self.pool_limit(plan))
                && self.state.health.model_paused_until(&job.spec.model, now).is_none()
        })
    }

    /// Picks the job that starts next: a returned job before all others, then the oldest job of the user whose turn it
    /// is.
    pub(super) fn pick_next_job(&mut self, now: UnixMillis) -> Option<JobId> {
        let returned = self.startable_jobs(now).filter(|job| job.is_returned);
        if let Some(job) = returned.min_by_key(|job| (job.enqueued_at, &job.spec.job_id)) {
            return Some(job.spec.job_id.clone());
        }
        let (mut entries, mut pools) = (Vec::new(), BTreeMap::<String, Vec<WaitingEntry>>::new());
        let mut seen = BTreeSet::new();
        for job in self.startable_jobs(now).filter(|job| seen.insert(&job.user)) {
            let waiting =
                |weight| WaitingEntry { entry: Entry::user(&job.user), weight, head: job.spec.job_id.clone() };
            match self.pool_weight(&job.share.plan) {
                None => entries.push(waiting(job.share.weight)),
                // Users of a pool share it equally.
                Some(_) => pools.entry(job.share.plan.clone()).or_default().push(waiting(1)),
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
        let is_user_gone = !self.waiting_jobs().any(|job| job.user == *user);
        let is_pool_gone = is_user_gone && !self.waiting_jobs().any(|job| job.share.plan == plan);
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
        let pool = self.pool_limit(&share.plan).saturating_sub(self.slots_of_pool(&share.plan));
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
