//! The queue positions that one pass over the queue has found.

use std::collections::BTreeMap;

use super::fair_queue::Entry;
use crate::constants::POSITIONS_FRESH_MILLIS;
use crate::limit::seconds::whole_seconds;
use crate::types::ids::JobId;
use crate::types::prediction::QueuePosition;
use crate::types::time::UnixMillis;

/// The positions of the jobs that wait, as of one pass. In memory only.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    /// When the pass was made. `None` before the first one.
    pub(super) made_at: Option<UnixMillis>,
    /// True if the queue has changed since.
    is_stale: bool,
    positions: BTreeMap<JobId, QueuePosition>,
    /// The start tags of all jobs, sorted, after `returned` jobs that come before all of them.
    pub(super) tags: Vec<(i64, JobId)>,
    /// Jobs that the vendor did not take, and that come before all others.
    pub(super) returned: usize,
    /// Milliseconds until the start at each position.
    waits: Vec<i64>,
    /// Jobs of each user that the pass and later queries have placed.
    pub(super) placed: BTreeMap<Entry, usize>,
    /// The sorted tags of each pool's jobs among themselves.
    pub(super) pools: BTreeMap<String, Vec<i64>>,
}

impl Positions {
    /// Notes that the queue has changed.
    pub(super) const fn change(&mut self) {
        self.is_stale = true;
    }

    /// Returns whether a new pass is due: the queue has changed, and the last pass is a second old.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.made_at.is_none_or(|at| self.is_stale && now.millis_since(at) >= POSITIONS_FRESH_MILLIS)
    }

    /// Returns the position of a job, if it is known.
    pub(super) fn get(&self, job_id: &JobId) -> Option<QueuePosition> {
        self.positions.get(job_id).copied()
    }

    /// Sets the positions of all jobs, in the order of their starts.
    pub(super) fn set_all(&mut self, order: Vec<JobId>, waits: Vec<i64>) {
        self.waits = waits;
        let placed = order.into_iter().enumerate().map(|(index, job_id)| (job_id, self.at(index))).collect();
        self.positions = placed;
    }

    /// Places a job that came after the pass, by its tag or in front of all others: O(log n).
    pub(super) fn place(&mut self, job_id: &JobId, entry: Entry, tag: i64, is_returned: bool) -> QueuePosition {
        let before = self.tags.partition_point(|(other, id)| (other, id) < (&tag, job_id));
        let position = self.at(if is_returned { 0 } else { before.saturating_add(self.returned) });
        self.positions.insert(job_id.clone(), position);
        let placed = self.placed.entry(entry).or_default();
        *placed = placed.saturating_add(1);
        position
    }

    fn at(&self, index: usize) -> QueuePosition {
        let position = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        let wait = self.waits.get(index).or(self.waits.last()).copied().unwrap_or_default();
        QueuePosition { position, eta_seconds: whole_seconds(wait) }
    }
}
