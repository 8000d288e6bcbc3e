//! Deficit round robin over the entries of the queue, weighted by plan (protocol 4, docs/decisions/0008-turns.md). An
//! entry is a user, or all users of a plan with `pool_weight` together, who share their entry's starts in the same way.
//!
//! - At each start every waiting entry earns its share of the start, by weight. The one with the largest deficit starts
//!   a job and pays for the whole start. So an entry's starts are spread among those of the others, and none falls more
//!   than one start behind its share.
//! - A start always has the same price, however many entries wait. With a price that depends on their number, the last
//!   user of a long queue would pay the price of the short queue that is left, and start several times in a row.
//! - Whoever does not wait saves nothing, but pays back what it owes. So leaving the queue and returning never brings a
//!   user to the front. Of more than [`DEBTS_MAX`] such debts, the least are forgiven.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::constants::DEBTS_MAX;
use crate::types::ids::{JobId, UserKey};

/// Each entry's earned and unused share of starts. A start costs [`START`]. A debt is negative.
pub type Deficits = BTreeMap<Entry, i64>;

/// The price of a start. It is so large that rounding does not matter.
const START: i64 = 1_000_000_000;

/// An entry in the turns, stored as a text: a user's key, which is hexadecimal, or the name of a plan after `pool:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entry(String);

impl Entry {
    /// Returns the entry of a user.
    #[must_use]
    pub fn user(user: &UserKey) -> Self {
        Self(user.as_str().to_owned())
    }

    /// Returns the entry of all users of a plan.
    #[must_use]
    pub fn pool(plan: &str) -> Self {
        Self(format!("pool:{plan}"))
    }
}

/// An entry with a job that may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEntry {
    /// The entry.
    pub entry: Entry,
    /// Its weight.
    pub weight: u32,
    /// Its oldest job. Between entries with equal deficits the older job starts first.
    pub head: JobId,
}

/// Picks the entry whose job starts next: lets all `waiting` entries earn, and the picked one pay. Returns `None` if
/// none waits.
pub fn pick_next_entry(waiting: &[WaitingEntry], deficits: &mut Deficits) -> Option<Entry> {
    let weights: i64 = waiting.iter().map(|waiting| i64::from(waiting.weight)).sum();
    let part = START.checked_div(weights)?;
    let present: BTreeSet<&Entry> = waiting.iter().map(|waiting| &waiting.entry).collect();
    for (_, debt) in deficits.iter_mut().filter(|(entry, deficit)| **deficit < 0 && !present.contains(entry)) {
        *debt = debt.saturating_add(part).min(0);
    }
    let mut earned: i64 = 0;
    for waiting in waiting {
        let parts = part.saturating_mul(i64::from(waiting.weight));
        let deficit = deficits.entry(waiting.entry.clone()).or_default();
        *deficit = deficit.saturating_add(parts);
        earned = earned.saturating_add(parts);
    }
    let deficit = |waiting: &WaitingEntry| deficits.get(&waiting.entry).copied().unwrap_or_default();
    let next = waiting.iter().max_by(|a, b| deficit(a).cmp(&deficit(b)).then_with(|| b.head.cmp(&a.head)))?;
    let entry = next.entry.clone();
    if let Some(deficit) = deficits.get_mut(&entry) {
        *deficit = deficit.saturating_sub(earned);
    }
    deficits.retain(|_, deficit| *deficit != 0);
    forgive_least_debts(deficits, &present);
    Some(entry)
}

/// Drops the least debts of entries that do not wait, down to [`DEBTS_MAX`]: all deficits are stored in one row.
fn forgive_least_debts(deficits: &mut Deficits, present: &BTreeSet<&Entry>) {
    let most = DEBTS_MAX.saturating_add(present.len());
    if deficits.len() <= most {
        return;
    }
    let absent = deficits.iter().filter(|(entry, _)| !present.contains(entry));
    let mut debts: Vec<(i64, Entry)> = absent.map(|(entry, debt)| (*debt, entry.clone())).collect();
    debts.sort();
    debts.iter().skip(DEBTS_MAX).for_each(|(_, entry)| _ = deficits.remove(entry));
}

/// Returns the virtual time of an entry's start, which sorts the starts of all entries as their turns come: when the
/// entry has earned the price of `before` other starts of its own. One unit is one start of all of them.
#[must_use]
pub fn start_tag(before: usize, weight: u32, deficit: i64) -> i64 {
    let price = i64::try_from(before).unwrap_or(i64::MAX).saturating_mul(START);
    price.saturating_sub(deficit).checked_div(i64::from(weight)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;
    use proptest::prelude::*;

    fn entry(number: usize) -> Entry {
        Entry::user(&UserKey::new("i", &number.to_string()))
    }

    fn job(at: usize) -> JobId {
        JobId::new(UnixMillis(i64::try_from(at).unwrap()), [0; 10])
    }

    fn waiting(weights: &[u32]) -> Vec<WaitingEntry> {
        let user_at =
            |(number, weight): (usize, &u32)| WaitingEntry { entry: entry(number), weight: *weight, head: job(number) };
        weights.iter().enumerate().map(user_at).collect()
    }

    fn starts(weights: &[u32], count: usize) -> Vec<usize> {
        let (users, mut deficits) = (waiting(weights), Deficits::new());
        let number = |picked: Entry| (0..weights.len()).find(|number| entry(*number) == picked).unwrap();
        (0..count).map(|_| number(pick_next_entry(&users, &mut deficits).unwrap())).collect()
    }

    #[test]
    fn equal_users_take_turns_in_order_of_arrival() {
        assert_eq!(starts(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_heavier_user_starts_more_often_and_not_in_one_piece() {
        assert_eq!(starts(&[2, 1, 1], 8), [0, 1, 2, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn tags_sort_starts_as_their_turns_come() {
        // Weights 2 and 1, with three and two jobs: the heavier one's second start comes with the other one's first.
        let mut tags: Vec<(i64, usize)> = (0..3).map(|before| (start_tag(before, 2, 0), before)).collect();
        tags.extend((0..2).map(|before| (start_tag(before, 1, 0), 10 + before)));
        tags.sort();
        assert_eq!(tags.into_iter().map(|(_, name)| name).collect::<Vec<_>>(), [0, 10, 1, 2, 11]);
        // Whoever has started last waits for the others, and who has earned a start is first.
        assert!(start_tag(0, 1, -START) > start_tag(0, 1, 0));
        assert!(start_tag(0, 1, START) < start_tag(0, 1, 0));
    }

    #[test]
    fn a_user_who_comes_back_has_saved_nothing() {
        let (two, mut deficits) = (waiting(&[1, 1]), Deficits::new());
        for _ in 0..10 {
            pick_next_entry(&two[..1], &mut deficits);
        }
        let picked: Vec<Entry> = (0..4).map(|_| pick_next_entry(&two, &mut deficits).unwrap()).collect();
        assert_eq!(picked.iter().filter(|picked| **picked == entry(1)).count(), 2);
    }

    #[test]
    fn a_user_who_leaves_and_comes_back_is_not_ahead_of_those_who_stayed() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        let first = pick_next_entry(&all, &mut deficits).unwrap();
        // The user returns at once, with a new job.
        let mut again = all.clone();
        again[0].head = job(99);
        assert_eq!(first, entry(0));
        let next: Vec<Entry> = (0..9).map(|_| pick_next_entry(&again, &mut deficits).unwrap()).collect();
        assert!(!next.contains(&first));
    }

    #[test]
    fn a_start_costs_the_last_of_a_long_line_no_less_than_the_first() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        assert_eq!(pick_next_entry(&all, &mut deficits), Some(entry(0)));
        // All users but the first and the last leave after their start.
        for gone in 1..9 {
            let left = [&all[..1], &all[gone..]].concat();
            assert_eq!(pick_next_entry(&left, &mut deficits), Some(entry(gone)));
        }
        let two = [&all[..1], &all[9..]].concat();
        let next: Vec<Entry> = (0..6).map(|_| pick_next_entry(&two, &mut deficits).unwrap()).collect();
        assert_eq!(next, [9, 0, 9, 0, 9, 0].map(entry));
    }

    #[test]
    fn a_debt_is_paid_back_in_time() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        pick_next_entry(&all, &mut deficits);
        for _ in 0..30 {
            pick_next_entry(&all[1..], &mut deficits);
        }
        assert!(!deficits.contains_key(&entry(0)));
    }

    #[test]
    fn of_too_many_debts_the_least_are_forgiven() {
        let debt_of = |number: usize| -START - i64::try_from(number).unwrap();
        let mut deficits: Deficits = (10..DEBTS_MAX + 17).map(|number| (entry(number), debt_of(number))).collect();
        let weights = [1_000; 2];
        pick_next_entry(&waiting(&weights), &mut deficits);
        assert_eq!(deficits.len(), DEBTS_MAX + weights.len());
        assert!((10..17).all(|number| !deficits.contains_key(&entry(number))), "the least");
        assert!((17..DEBTS_MAX + 17).all(|number| deficits.contains_key(&entry(number))));
        assert!((0..2).all(|number| deficits.contains_key(&entry(number))), "those who wait");
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        /// Shares are rounded down to whole starts. Of 20 starts, a user with a share of 3.6 has a share of 3, and gets
        /// at least 2.
        #[test]
        fn no_user_is_more_than_one_start_behind_its_share_over_any_twenty(
            weights in proptest::collection::vec(1_u32..12, 1..12)
        ) {
            let total: u32 = weights.iter().sum();
            for window in starts(&weights, 140).windows(20) {
                for (number, weight) in weights.iter().enumerate() {
                    let share = usize::try_from(20 * weight / total).unwrap();
                    let got = window.iter().filter(|start| **start == number).count();
                    prop_assert!(got + 1 >= share, "{weights:?}: {number} got {got} of {share} in {window:?}");
                }
            }
        }
    }
}
