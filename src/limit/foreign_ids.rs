//! The detector of a user who asks for predictions of others: ids that are not in the user's Ledger.
//!
//! Such an id reveals nothing: the response is the same for one that does not exist. But nobody who uses an app asks for
//! many of them.

use std::collections::BTreeSet;

use crate::constants::{FOREIGN_IDS_MAX, FOREIGN_IDS_MILLIS};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// The unknown ids of the last minutes, each once. In memory only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignIds {
    since: UnixMillis,
    ids: BTreeSet<JobId>,
}

impl ForeignIds {
    /// Notes an id that the user's Ledger does not know. `retention_millis` is how long it knows one. Returns whether there
    /// are so many different ones that somebody must look. An id from before that may have been the user's own.
    pub fn note(&mut self, job_id: &JobId, retention_millis: i64, now: UnixMillis) -> bool {
        if now.millis_since(job_id.created_at()) >= retention_millis {
            return false;
        }
        if !(0..FOREIGN_IDS_MILLIS).contains(&now.millis_since(self.since)) {
            *self = Self { since: now, ids: BTreeSet::new() };
        }
        if self.ids.len() < FOREIGN_IDS_MAX {
            self.ids.insert(job_id.clone());
        }
        self.ids.len() >= FOREIGN_IDS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_768_473_000_000);
    const WEEK: i64 = 7 * 86_400_000;

    fn id(number: usize, age: i64) -> JobId {
        JobId::new(NOW.plus_millis(-age), [u8::try_from(number).unwrap(); 10])
    }

    /// Notes ids, each twice, one a second. Returns whether it was told.
    fn is_told(ids: impl IntoIterator<Item = JobId>) -> bool {
        let mut foreign = ForeignIds::default();
        let mut told = false;
        for (second, id) in (0_i64..).zip(ids) {
            for _ in 0..2 {
                told |= foreign.note(&id, WEEK, NOW.plus_millis(second * 1_000));
            }
        }
        told
    }

    #[test]
    fn many_different_ids_of_others_are_told() {
        assert!(is_told((0..FOREIGN_IDS_MAX).map(|number| id(number, 1_000))));
    }

    #[test]
    fn few_ids_the_same_one_and_ids_that_may_have_been_the_users_own_are_not() {
        assert!(!is_told((0..FOREIGN_IDS_MAX - 1).map(|number| id(number, 1_000))));
        assert!(!is_told(std::iter::repeat_n(id(1, 1_000), 500)));
        assert!(!is_told((0..200).map(|number| id(number, WEEK))), "deleted by time");
    }

    #[test]
    fn ids_are_forgotten_after_ten_minutes() {
        let mut foreign = ForeignIds::default();
        let told = (0..200).filter(|number| {
            let number = *number;
            let now = NOW.plus_millis(i64::try_from(number).unwrap() * FOREIGN_IDS_MILLIS / 20);
            foreign.note(&id(number, 0), WEEK, now)
        });
        assert_eq!(told.count(), 0, "twenty in ten minutes");
    }
}
