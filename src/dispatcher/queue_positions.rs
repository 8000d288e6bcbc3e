//! Queue positions and ETAs, from virtual start tags: one pass over the queue, at most once a second.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::fair_queue::{Entry, start_tag};
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use super::positions::Positions;
use crate::constants::RUN_LEFT_PARTS;
use crate::types::ids::JobId;
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Returns the queue position of a job, if it waits. It may be a second old. Users at their own limit are counted
    /// like all others, so the ETA is rather too long than too short.
    pub fn queue_position(&mut self, job_id: &JobId, now: UnixMillis) -> Option<QueuePosition> {
        if self.jobs.get(job_id).is_none_or(|job| job.state != JobState::Waiting) {
            return None;
        }
        if self.positions.is_due(now) {
            self.positions = self.compute_positions(now);
        }
        self.positions.get(job_id).or_else(|| self.place_new_job(job_id))
    }

    /// Places all jobs that wait: O(n log n).
    fn compute_positions(&self, now: UnixMillis) -> Positions {
        let mut made = Positions::default();
        made.made_at = Some(now);
        let mut returned: Vec<&Job> = self.waiting_jobs().filter(|job| job.is_returned).collect();
        returned.sort_by_key(|job| (job.enqueued_at, &job.spec.job_id));
        let mut pools: BTreeMap<&str, Vec<(i64, &Job)>> = BTreeMap::new();
        for job in self.waiting_jobs().filter(|job| !job.is_returned) {
            let entry = Entry::user(&job.user);
            let before = made.placed.entry(entry.clone()).or_default();
            let tag = self.tag_among_peers(job, &entry, *before);
            match self.pool_weight(&job.share.plan) {
                Some(_) => pools.entry(&job.share.plan).or_default().push((tag, job)),
                None => made.tags.push((tag, job.spec.job_id.clone())),
            }
            *before = before.saturating_add(1);
        }
        for (plan, mut members) in pools {
            members.sort_by(|(tag, job), (other_tag, other)| {
                (tag, &job.spec.job_id).cmp(&(other_tag, &other.spec.job_id))
            });
            for (before, (_, job)) in members.iter().enumerate() {
                made.tags.push((self.pool_tag(plan, before), job.spec.job_id.clone()));
            }
            made.pools.insert(plan.to_owned(), members.into_iter().map(|(tag, _)| tag).collect());
        }
        made.tags.sort();
        made.returned = returned.len();
        let order: Vec<JobId> = returned
            .into_iter()
            .map(|job| job.spec.job_id.clone())
            .chain(made.tags.iter().map(|(_, job_id)| job_id.clone()))
            .collect();
        let waits = self.waits(&order, now);
        made.set_all(order, waits);
        made
    }

    /// Places a job that has come to the queue since the last pass.
    fn place_new_job(&mut self, job_id: &JobId) -> Option<QueuePosition> {
        let job = self.jobs.get(job_id)?;
        let (entry, plan) = (Entry::user(&job.user), job.share.plan.as_str());
        let before = self.positions.placed.get(&entry).copied().unwrap_or_default();
        let own = self.tag_among_peers(job, &entry, before);
        let tag = if self.pool_weight(plan).is_some() {
            let members = self.positions.pools.get(plan).map_or(&[][..], Vec::as_slice);
            self.pool_tag(plan, members.partition_point(|tag| *tag <= own))
        } else {
            own
        };
        let is_returned = job.is_returned;
        Some(self.positions.place(job_id, entry, tag, is_returned))
    }

    /// Returns the tag of a job after `before` others of its user: among the users of its pool, or among all entries if
    /// its user is one.
    fn tag_among_peers(&self, job: &Job, entry: &Entry, before: usize) -> i64 {
        let (weight, deficits) = match self.pool_weight(&job.share.plan) {
            Some(_) => (1, self.state.pool_deficits.get(&job.share.plan)),
            None => (job.share.weight, Some(&self.state.deficits)),
        };
        let deficit = deficits.and_then(|deficits| deficits.get(entry)).copied().unwrap_or_default();
        start_tag(before, weight, deficit)
    }

    fn pool_tag(&self, plan: &str, before: usize) -> i64 {
        let deficit = self.state.deficits.get(&Entry::pool(plan)).copied().unwrap_or_default();
        start_tag(before, self.pool_weight(plan).unwrap_or(1), deficit)
    }

    /// Returns how long each job of the queue is expected to wait, in milliseconds: until a slot is free for it, or until
    /// the create lane has let all creates before it pass, whichever is later, plus the vendor's pause.
    fn waits(&self, order: &[JobId], now: UnixMillis) -> Vec<i64> {
        let pause = self.state.health.expected_pause_millis(now);
        let mut slots = self.slot_times(now);
        let mut waits = Vec::new();
        for job_id in order {
            let Some(Reverse(free_in)) = slots.pop() else { break };
            let run = self.jobs.get(job_id).map_or(0, |job| self.mean_run_millis(job));
            slots.push(Reverse(free_in.saturating_add(run)));
            let passed = i64::try_from(waits.len()).unwrap_or(i64::MAX).saturating_add(1);
            waits.push(free_in.max(self.lane_wait_millis(passed)).saturating_add(pause));
        }
        waits
    }

    /// Returns in how many milliseconds each slot that may be used is expected to be free; at least one slot.
    fn slot_times(&self, now: UnixMillis) -> BinaryHeap<Reverse<i64>> {
        let held = self.jobs.values().filter(|job| job.holds_slot());
        let mut times: Vec<i64> = held.map(|job| self.time_left_millis(job, now)).collect();
        times.sort_unstable();
        let limit = self.slot_limit(now);
        // If more slots are held than may be used, the first that become free stay empty.
        let unused = times.len().saturating_sub(limit);
        let free = limit.saturating_sub(self.held_slots()).max(usize::from(times.is_empty()));
        times.into_iter().skip(unused).chain(std::iter::repeat_n(0, free)).map(Reverse).collect()
    }

    /// Returns how long a job is expected to hold its slot. A run that is longer than the mean is expected to take
    /// another part of the mean: it has not ended, so that "any moment now" would be wrong again and again.
    fn time_left_millis(&self, job: &Job, now: UnixMillis) -> i64 {
        let mean = self.mean_run_millis(job);
        match job.state {
            JobState::Unknown => job.run_deadline().millis_since(now).max(0),
            _ => {
                let age = now.millis_since(job.submitted_at.unwrap_or(now));
                mean.saturating_sub(age).max(mean.div_euclid(RUN_LEFT_PARTS))
            }
        }
    }

    /// Returns the mean run time of the job's model, or of all models before one of its own has ended.
    fn mean_run_millis(&self, job: &Job) -> i64 {
        self.state.average_runs.get(&job.spec.model).copied().unwrap_or_else(|| self.average_run_millis())
    }
}

#[cfg(test)]
#[path = "queue_positions_tests.rs"]
mod tests;
