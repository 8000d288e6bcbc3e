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
    positions: BTreeMap<JobId, QueuePosition>,
    /// The start tags of all jobs, sorted, after `returned` jobs that come before all of them.
    pub(super) tags: Vec<(i64, JobId)>,
    /// The start tags of the jobs that came after the pass, sorted.
    newcomers: Vec<(i64, JobId)>,
    /// Jobs that the vendor did not take, and that come before all others.
    pub(super) returned: usize,
    /// Milliseconds until each start, sorted.
    waits: Vec<i64>,
    /// Jobs of each user that the pass and later queries have placed.
    pub(super) placed: BTreeMap<Entry, usize>,
    /// The sorted tags of each pool's jobs among themselves.
    pub(super) pools: BTreeMap<String, Vec<i64>>,
}

impl Positions {
    /// Returns whether a new pass is due: the last one is a second old. An ETA changes as time passes, even if the queue
    /// does not.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.made_at.is_none_or(|at| now.millis_since(at) >= POSITIONS_FRESH_MILLIS)
    }

    /// Returns the position of a job, if it is known.
    pub(super) fn get(&self, job_id: &JobId) -> Option<QueuePosition> {
        self.positions.get(job_id).copied()
    }

    /// Sets the positions of all jobs, in the order of their starts, with the time that each is expected to wait.
    pub(super) fn set_all(&mut self, order: impl Iterator<Item = (JobId, i64)>) {
        for (index, (job_id, wait)) in order.enumerate() {
            self.positions.insert(job_id, position(index, wait));
            self.waits.push(wait);
        }
        // A job whose user is at its own limit starts after jobs behind it.
        self.waits.sort_unstable();
    }

    /// Places a job that came after the pass, by its tag or in front of all others: O(log n), and the few jobs that came in
    /// this second.
    pub(super) fn place(&mut self, job_id: &JobId, entry: Entry, tag: i64, is_returned: bool) -> QueuePosition {
        let rank = |tags: &[(i64, JobId)]| tags.partition_point(|(other, id)| (other, id) < (&tag, job_id));
        let newcomers_before = rank(&self.newcomers);
        let before = rank(&self.tags).saturating_add(newcomers_before).saturating_add(self.returned);
        let placed = self.at(if is_returned { 0 } else { before });
        self.newcomers.insert(newcomers_before, (tag, job_id.clone()));
        self.positions.insert(job_id.clone(), placed);
        let count = self.placed.entry(entry).or_default();
        *count = count.saturating_add(1);
        placed
    }

    /// Returns the position of a start. Behind all starts of the pass, the queue is expected to go on as fast.
    fn at(&self, index: usize) -> QueuePosition {
        let behind = |last: &i64| {
            let (places, of) = (index.saturating_add(1), self.waits.len());
            let [places, of] = [places, of].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            last.saturating_mul(places).checked_div(of).unwrap_or_default()
        };
        let wait = self.waits.get(index).copied().or_else(|| self.waits.last().map(behind));
        position(index, wait.unwrap_or_default())
    }
}

fn position(index: usize, wait_millis: i64) -> QueuePosition {
    let position = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
    QueuePosition { position, eta_seconds: whole_seconds(wait_millis) }
}
