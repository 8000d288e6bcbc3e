//! Rows that cannot be read: of a newer version, or damaged. They stay where they are and are tried at each load.

use std::collections::BTreeMap;

use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// The rows that a load could not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadableRows {
    /// The predictions of these rows, each with the time at which it is given up.
    predictions: BTreeMap<JobId, UnixMillis>,
    /// The end of the time in which each row of `jobs` may hold a slot.
    slots_until: Vec<UnixMillis>,
    /// Rows of other tables. They hold no slot.
    others: usize,
}

impl UnreadableRows {
    /// Adds a row of `jobs`. The prediction may be at the vendor, so the row holds a slot until every prediction that is
    /// as old has given up its own: `longest_slot_millis` after the time in its id
    /// ([`crate::policy::Policy::longest_slot_millis`]).
    pub fn add_job(&mut self, job_id: &str, longest_slot_millis: i64) {
        match self.add_prediction(job_id, longest_slot_millis) {
            Some(until) => self.slots_until.push(until),
            None => self.others = self.others.saturating_add(1),
        }
    }

    /// Adds a row of `outbox`.
    pub fn add_update(&mut self, job_id: &str, longest_slot_millis: i64) {
        self.add_prediction(job_id, longest_slot_millis);
        self.others = self.others.saturating_add(1);
    }

    fn add_prediction(&mut self, job_id: &str, longest_slot_millis: i64) -> Option<UnixMillis> {
        let job_id = JobId::parse(job_id)?;
        let until = job_id.created_at().plus_millis(longest_slot_millis);
        self.predictions.insert(job_id, until);
        Some(until)
    }

    /// Returns whether a row of this prediction cannot be read.
    pub(super) fn contains(&self, job_id: &JobId) -> bool {
        self.predictions.contains_key(job_id)
    }

    /// Returns whether the prediction of such a row may still run.
    pub(super) fn may_run(&self, job_id: &JobId, now: UnixMillis) -> bool {
        self.predictions.get(job_id).is_some_and(|until| *until > now)
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots_until.len().saturating_add(self.others)
    }

    /// Returns the number of slots that they hold.
    pub(super) fn held_slots(&self, now: UnixMillis) -> usize {
        self.slots_until.iter().filter(|until| **until > now).count()
    }

    /// Returns when each of these slots is free.
    pub(super) fn slots_until(&self, now: UnixMillis) -> impl Iterator<Item = UnixMillis> {
        self.slots_until.iter().copied().filter(move |until| *until > now)
    }

    /// Returns when the next of these slots is free.
    pub(super) fn next_free_slot(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.slots_until.iter().filter(|until| **until > now).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_holds_a_slot_and_only_for_so_long() {
        let created = UnixMillis(1_768_473_000_000);
        let mut rows = UnreadableRows::default();
        let ended = JobId::new(created, [2; 10]);
        rows.add_update(ended.as_str(), 10);
        rows.add_job("no id", 10);
        for (age, random) in [(0, [0; 10]), (5, [1; 10])] {
            rows.add_job(JobId::new(created.plus_millis(-age), random).as_str(), 10);
        }
        let at = |millis| {
            let now = created.plus_millis(millis);
            (rows.held_slots(now), rows.next_free_slot(now).map(|at| at.millis_since(created)))
        };
        assert_eq!(rows.count(), 4);
        assert!(rows.contains(&ended) && !rows.contains(&JobId::new(created, [3; 10])));
        assert_eq!([9, 10].map(|millis| rows.may_run(&ended, created.plus_millis(millis))), [true, false]);
        assert_eq!([at(4), at(5), at(9), at(10)], [(2, Some(5)), (1, Some(10)), (1, Some(10)), (0, None)]);
    }
}
