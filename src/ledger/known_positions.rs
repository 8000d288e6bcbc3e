//! The queue positions that a Ledger remembers.

use std::collections::BTreeMap;

use crate::constants::{QUEUE_POSITION_FRESH_MAX_MILLIS, QUEUE_POSITION_FRESH_MIN_MILLIS};
use crate::messages::{FreshPosition, LedgerReply};
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;

/// The Dispatcher's last answer. In memory only.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownPositions {
    /// When the Dispatcher was asked.
    pub asked_at: UnixMillis,
    /// The positions that it named.
    pub positions: BTreeMap<JobId, FreshPosition>,
}

impl KnownPositions {
    /// Returns how long no newer position of a prediction is asked for. A prediction that the Dispatcher did not name is
    /// asked for again after the shortest time.
    fn fresh_millis(&self, job_id: &JobId, now: UnixMillis) -> i64 {
        let fresh =
            self.positions.get(job_id).map_or(QUEUE_POSITION_FRESH_MIN_MILLIS, |position| position.fresh_millis);
        let fresh = fresh.clamp(QUEUE_POSITION_FRESH_MIN_MILLIS, QUEUE_POSITION_FRESH_MAX_MILLIS);
        // A clock that was set back keeps no position for longer.
        let age = now.millis_since(self.asked_at);
        if age < 0 { 0 } else { fresh.saturating_sub(age).max(0) }
    }

    /// Returns how long the queue positions in a reply stay fresh: the shortest of their times. `None` without any.
    pub(super) fn fresh_millis_of(&self, reply: &mut LedgerReply, now: UnixMillis) -> Option<i64> {
        let queued = records_of(reply).iter().filter(|record| is_queued(record));
        queued.map(|record| self.fresh_millis(&record.job_id, now)).min()
    }

    /// Notes that the Dispatcher is asked now, so that concurrent requests do not ask too. If it does not answer, the
    /// last positions are shown for the shortest time.
    pub(super) fn ask(&mut self, now: UnixMillis) {
        self.asked_at = now;
        self.positions.values_mut().for_each(|position| position.fresh_millis = QUEUE_POSITION_FRESH_MIN_MILLIS);
    }
}

/// Returns the predictions in a reply.
pub(super) fn records_of(reply: &mut LedgerReply) -> &mut [PredictionRecord] {
    match reply {
        LedgerReply::Prediction(record) => std::slice::from_mut(record),
        LedgerReply::Created { records, .. } | LedgerReply::Page { records, .. } => records,
        LedgerReply::Account(_)
        | LedgerReply::Files { .. }
        | LedgerReply::Export(_)
        | LedgerReply::Done
        | LedgerReply::Refused(_) => &mut [],
    }
}

pub(super) fn is_queued(record: &PredictionRecord) -> bool {
    record.status == Status::Queued
}
