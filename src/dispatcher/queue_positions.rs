//! Queue positions and ETAs, from virtual start tags: one pass over the queue, at most once a second.

use std::collections::BTreeMap;

use super::expected_starts::ExpectedStarts;
use super::fair_queue::{Entry, start_tag};
use super::job::{Job, JobState};
use super::machine::Dispatcher;
use super::positions::Positions;
use crate::types::ids::JobId;
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

impl Dispatcher {
    /// Returns the queue position of a job, if it waits. It may be a second old.
    pub fn queue_position(&mut self, job_id: &JobId, now: UnixMillis) -> Option<QueuePosition> {
        if self.jobs.state(job_id) != Some(JobState::Waiting) {
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
        let in_turn = made.tags.iter().filter_map(|(_, job_id)| self.jobs.get(job_id));
        let order: Vec<&Job> = returned.into_iter().chain(in_turn).collect();
        let waits = ExpectedStarts::waits(self, &order, now);
        made.set_all(order.into_iter().map(|job| job.spec.job_id.clone()).zip(waits));
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
}

#[cfg(test)]
#[path = "queue_positions_tests.rs"]
mod tests;
