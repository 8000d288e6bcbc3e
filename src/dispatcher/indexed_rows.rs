//! Rows by prediction, with the indexes by which a turn finds the few that it needs: no turn looks at all rows.
//!
//! Invariant: [`IndexedRows::insert`], [`IndexedRows::change`] and [`IndexedRows::remove`] are the only ways to change a
//! row, and each of them updates every index.

use std::collections::BTreeMap;

use crate::types::ids::JobId;

/// The indexes of rows: they answer without a look at each row.
pub(super) trait RowIndexes {
    /// A row.
    type Row;

    /// Returns the prediction of a row.
    fn job_id(row: &Self::Row) -> &JobId;
    /// Adds a row.
    fn add(&mut self, row: &Self::Row);
    /// Removes a row that was added as it is now.
    fn remove(&mut self, row: &Self::Row);
}

/// Rows with their indexes.
#[derive(Clone, Debug)]
pub(super) struct IndexedRows<I: RowIndexes> {
    pub(super) rows: BTreeMap<JobId, I::Row>,
    pub(super) indexes: I,
    /// How many rows and entries of indexes were looked at or changed.
    #[cfg(test)]
    pub(super) visits: std::cell::Cell<usize>,
}

impl<I: RowIndexes> IndexedRows<I> {
    /// Returns these rows with their indexes, which are empty.
    pub(super) fn with_indexes(indexes: I, rows: Vec<I::Row>) -> Self {
        let mut indexed = Self {
            rows: BTreeMap::new(),
            indexes,
            #[cfg(test)]
            visits: std::cell::Cell::default(),
        };
        rows.into_iter().for_each(|row| indexed.insert(row));
        indexed
    }

    /// Counts what a turn looks at, in tests.
    #[allow(clippy::unused_self, clippy::missing_const_for_fn, reason = "used in tests")]
    pub(super) fn visit(&self) {
        #[cfg(test)]
        self.visits.set(self.visits.get().saturating_add(1));
    }

    /// Adds a row, or replaces the one of the same prediction.
    pub(super) fn insert(&mut self, row: I::Row) {
        let job_id = I::job_id(&row).clone();
        drop(self.remove(&job_id));
        self.visit();
        self.indexes.add(&row);
        self.rows.insert(job_id, row);
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, job_id: &JobId) -> Option<I::Row> {
        self.visit();
        let row = self.rows.remove(job_id)?;
        self.indexes.remove(&row);
        Some(row)
    }

    /// Changes a row. Returns what `change` returns, or `None` if there is no such row.
    pub(super) fn change<R>(&mut self, job_id: &JobId, change: impl FnOnce(&mut I::Row) -> R) -> Option<R> {
        self.visit();
        let row = self.rows.get_mut(job_id)?;
        self.indexes.remove(row);
        let result = change(row);
        self.indexes.add(row);
        Some(result)
    }

    /// Changes all rows: only after the clock was set back, and for the deletion of a user. Returns those for which
    /// `change` returned true.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut I::Row) -> bool) -> Vec<JobId> {
        let mut job_ids: Vec<JobId> = self.rows.keys().cloned().collect();
        job_ids.retain(|job_id| self.change(job_id, &change) == Some(true));
        job_ids
    }

    /// Returns a row.
    pub(super) fn get(&self, job_id: &JobId) -> Option<&I::Row> {
        self.visit();
        self.rows.get(job_id)
    }
}
