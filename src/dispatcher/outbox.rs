//! The updates that Ledgers have not acknowledged, and their indexes. The tests compare the indexes with a scan of all rows
//! after random changes.

use std::collections::{BTreeMap, BTreeSet};

use super::indexed_rows::{IndexedRows, RowIndexes};
use super::outbox_row::OutboxRow;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixMillis;

/// The rows of `outbox`, by prediction.
pub(super) type Outbox = IndexedRows<OutboxIndexes>;

/// The indexes of updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxIndexes {
    /// The updates to deliver to each Ledger, by time.
    ledgers: BTreeMap<UserKey, BTreeSet<(UnixMillis, JobId)>>,
    /// The Ledgers with updates to deliver and no delivery in flight, by the time of the first update.
    next: BTreeSet<(UnixMillis, UserKey)>,
    /// The Ledgers with a delivery in flight. In memory only: after a restart, each update is delivered again.
    in_flight: BTreeSet<UserKey>,
    /// The updates that are not delivered any more.
    dead: BTreeSet<JobId>,
}

impl Outbox {
    /// Returns an outbox of these rows.
    pub(super) fn new(rows: Vec<OutboxRow>) -> Self {
        Self::with_indexes(OutboxIndexes::default(), rows)
    }

    /// Returns the rows that are not delivered any more.
    pub(super) fn dead(&self) -> impl Iterator<Item = &JobId> {
        self.indexes.dead.iter().inspect(|_| self.visit())
    }

    /// Returns the Ledgers to which a delivery is due now.
    pub(super) fn due_ledgers(&self, now: UnixMillis) -> impl Iterator<Item = &UserKey> {
        let due = self.indexes.next.iter().take_while(move |(at, _)| *at <= now);
        due.inspect(|_| self.visit()).map(|(_, user)| user)
    }

    /// Returns the rows whose delivery to a Ledger is due now, earliest first.
    pub(super) fn due_rows(&self, user: &UserKey, now: UnixMillis) -> impl Iterator<Item = &OutboxRow> {
        let updates = self.indexes.ledgers.get(user).into_iter().flatten();
        let due = updates.take_while(move |(at, _)| *at <= now).inspect(|_| self.visit());
        due.filter_map(|(_, job_id)| self.rows.get(job_id))
    }

    /// Returns when the next delivery is due to a Ledger that has none in flight.
    pub(super) fn next_delivery(&self) -> Option<UnixMillis> {
        self.visit();
        self.indexes.next.first().map(|(at, _)| *at)
    }

    /// Returns whether a Ledger with a delivery in flight has updates. It has none if they were withdrawn meanwhile.
    pub(super) fn awaits_report(&self) -> bool {
        self.indexes.in_flight.iter().inspect(|_| self.visit()).any(|user| self.indexes.ledgers.contains_key(user))
    }

    /// Records that a delivery to a Ledger is in flight. Until [`Self::end_delivery`], none is due to it.
    pub(super) fn start_delivery(&mut self, user: &UserKey) {
        self.visit();
        self.indexes.change_ledger(user, |indexes| _ = indexes.in_flight.insert(user.clone()));
    }

    /// Records that a delivery to a Ledger has reported.
    pub(super) fn end_delivery(&mut self, user: &UserKey) {
        self.visit();
        self.indexes.change_ledger(user, |indexes| _ = indexes.in_flight.remove(user));
    }

    /// Takes over the deliveries in flight of an outbox whose changes could not be stored.
    pub(super) fn resume_deliveries_of(&mut self, before: &Self) {
        before.indexes.in_flight.iter().for_each(|user| self.start_delivery(user));
    }
}

impl RowIndexes for OutboxIndexes {
    type Row = OutboxRow;

    fn job_id(row: &OutboxRow) -> &JobId {
        row.job_id()
    }

    fn add(&mut self, row: &OutboxRow) {
        let job_id = row.job_id().clone();
        if row.is_dead {
            self.dead.insert(job_id);
            return;
        }
        self.change_ledger(&row.user, |indexes| {
            indexes.ledgers.entry(row.user.clone()).or_default().insert((row.next_at, job_id));
        });
    }

    fn remove(&mut self, row: &OutboxRow) {
        if row.is_dead {
            self.dead.remove(row.job_id());
            return;
        }
        self.change_ledger(&row.user, |indexes| {
            let Some(updates) = indexes.ledgers.get_mut(&row.user) else { return };
            updates.remove(&(row.next_at, row.job_id().clone()));
            if updates.is_empty() {
                indexes.ledgers.remove(&row.user);
            }
        });
    }
}

impl OutboxIndexes {
    /// Changes what there is of a Ledger, and its place in `next` with it.
    fn change_ledger(&mut self, user: &UserKey, change: impl FnOnce(&mut Self)) {
        if let Some(place) = self.place_in_next(user) {
            self.next.remove(&place);
        }
        change(self);
        self.next.extend(self.place_in_next(user));
    }

    fn place_in_next(&self, user: &UserKey) -> Option<(UnixMillis, UserKey)> {
        let (at, _) = self.ledgers.get(user)?.first()?;
        (!self.in_flight.contains(user)).then(|| (*at, user.clone()))
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
