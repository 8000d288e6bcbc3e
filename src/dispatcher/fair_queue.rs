//! Deficit round robin over users, weighted by plan (protocol 4, docs/decisions/0008-turns.md).
//!
//! - At each start every waiting user earns its share of the start, by weight. The user with the largest deficit starts
//!   a job and pays for the whole start. So a user's starts are spread among those of the others, and no user falls
//!   more than one start behind its share.
//! - A start always has the same price, however many users wait. With a price that depends on their number, the last
//!   user of a long queue would pay the price of the short queue that is left, and start several times in a row.
//! - A user who does not wait saves nothing, but pays back what it owes. So leaving the queue and returning never
//!   brings a user to the front.

use std::collections::{BTreeMap, VecDeque};

use crate::constants::SIMULATED_STARTS_MAX;
use crate::types::ids::{JobId, UserKey};

/// Each user's earned and unused share of starts. A start costs [`START`]. A debt is negative.
pub type Deficits = BTreeMap<UserKey, i64>;

/// The price of a start. It is so large that rounding does not matter.
const START: i64 = 1_000_000_000;

/// A user with a job that may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingUser {
    /// The user.
    pub user: UserKey,
    /// The user's weight.
    pub weight: u32,
    /// The user's oldest job. Between users with equal deficits the older job starts first.
    pub head: JobId,
}

/// Picks the user whose job starts next: lets all `waiting` users earn, and the picked one pay. Returns `None` if no
/// user waits.
pub fn pick_next_user(waiting: &[WaitingUser], deficits: &mut Deficits) -> Option<UserKey> {
    let weights: i64 = waiting.iter().map(|user| i64::from(user.weight)).sum();
    let part = START.checked_div(weights)?;
    let is_absent = |user: &UserKey| !waiting.iter().any(|other| other.user == *user);
    for (_, debt) in deficits.iter_mut().filter(|(user, deficit)| **deficit < 0 && is_absent(user)) {
        *debt = debt.saturating_add(part).min(0);
    }
    let mut earned: i64 = 0;
    for user in waiting {
        let parts = part.saturating_mul(i64::from(user.weight));
        let deficit = deficits.entry(user.user.clone()).or_default();
        *deficit = deficit.saturating_add(parts);
        earned = earned.saturating_add(parts);
    }
    let deficit = |user: &WaitingUser| deficits.get(&user.user).copied().unwrap_or_default();
    let next = waiting.iter().max_by(|a, b| deficit(a).cmp(&deficit(b)).then_with(|| b.head.cmp(&a.head)))?;
    let user = next.user.clone();
    if let Some(deficit) = deficits.get_mut(&user) {
        *deficit = deficit.saturating_sub(earned);
    }
    deficits.retain(|_, deficit| *deficit != 0);
    Some(user)
}

/// Each waiting user's weight and jobs, the oldest job first.
pub type WaitingJobs = BTreeMap<UserKey, (u32, VecDeque<JobId>)>;

/// Returns the order in which jobs will start if nothing changes: `returned` jobs first, then by turns.
///
/// At most [`SIMULATED_STARTS_MAX`] starts are simulated. Later jobs follow in order of arrival: an estimate is enough
/// there, and the work does not grow with the queue.
#[must_use]
pub fn simulate_start_order(returned: Vec<JobId>, mut waiting: WaitingJobs, mut deficits: Deficits) -> Vec<JobId> {
    let mut order = returned;
    for _ in 0..SIMULATED_STARTS_MAX {
        let users: Vec<WaitingUser> = waiting
            .iter()
            .filter_map(|(user, (weight, jobs))| {
                Some(WaitingUser { user: user.clone(), weight: *weight, head: jobs.front()?.clone() })
            })
            .collect();
        let Some(user) = pick_next_user(&users, &mut deficits) else { return order };
        let Some((_, jobs)) = waiting.get_mut(&user) else { return order };
        order.extend(jobs.pop_front());
        if jobs.is_empty() {
            waiting.remove(&user);
        }
    }
    let mut later: Vec<JobId> = waiting.into_values().flat_map(|(_, jobs)| jobs).collect();
    later.sort();
    order.extend(later);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;
    use proptest::prelude::*;

    fn user(number: usize) -> UserKey {
        UserKey::new("i", &number.to_string())
    }

    fn job(at: usize) -> JobId {
        JobId::new(UnixMillis(i64::try_from(at).unwrap()), [0; 10])
    }

    fn waiting(weights: &[u32]) -> Vec<WaitingUser> {
        let user_at =
            |(number, weight): (usize, &u32)| WaitingUser { user: user(number), weight: *weight, head: job(number) };
        weights.iter().enumerate().map(user_at).collect()
    }

    fn starts(weights: &[u32], count: usize) -> Vec<usize> {
        let (users, mut deficits) = (waiting(weights), Deficits::new());
        let number = |picked: UserKey| (0..weights.len()).find(|number| user(*number) == picked).unwrap();
        (0..count).map(|_| number(pick_next_user(&users, &mut deficits).unwrap())).collect()
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
    fn the_order_is_the_one_in_which_jobs_start() {
        let jobs_at = |times: &[usize]| times.iter().map(|at| job(*at)).collect::<VecDeque<_>>();
        let jobs = BTreeMap::from([(user(0), (1, jobs_at(&[1, 2, 3]))), (user(1), (1, jobs_at(&[4])))]);
        let expected: Vec<JobId> = [9, 1, 4, 2, 3].into_iter().map(job).collect();
        assert_eq!(simulate_start_order(vec![job(9)], jobs, Deficits::new()), expected);
    }

    #[test]
    fn a_user_who_comes_back_has_saved_nothing() {
        let (two, mut deficits) = (waiting(&[1, 1]), Deficits::new());
        for _ in 0..10 {
            pick_next_user(&two[..1], &mut deficits);
        }
        let picked: Vec<UserKey> = (0..4).map(|_| pick_next_user(&two, &mut deficits).unwrap()).collect();
        assert_eq!(picked.iter().filter(|picked| **picked == user(1)).count(), 2);
    }

    #[test]
    fn a_user_who_leaves_and_comes_back_is_not_ahead_of_those_who_stayed() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        let first = pick_next_user(&all, &mut deficits).unwrap();
        // The user returns at once, with a new job.
        let mut again = all.clone();
        again[0].head = job(99);
        assert_eq!(first, user(0));
        let next: Vec<UserKey> = (0..9).map(|_| pick_next_user(&again, &mut deficits).unwrap()).collect();
        assert!(!next.contains(&first));
    }

    #[test]
    fn a_start_costs_the_last_of_a_long_line_no_less_than_the_first() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        assert_eq!(pick_next_user(&all, &mut deficits), Some(user(0)));
        // All users but the first and the last leave after their start.
        for gone in 1..9 {
            let left = [&all[..1], &all[gone..]].concat();
            assert_eq!(pick_next_user(&left, &mut deficits), Some(user(gone)));
        }
        let two = [&all[..1], &all[9..]].concat();
        let next: Vec<UserKey> = (0..6).map(|_| pick_next_user(&two, &mut deficits).unwrap()).collect();
        assert_eq!(next, [9, 0, 9, 0, 9, 0].map(user));
    }

    #[test]
    fn a_debt_is_paid_back_in_time() {
        let (all, mut deficits) = (waiting(&[1; 10]), Deficits::new());
        pick_next_user(&all, &mut deficits);
        for _ in 0..30 {
            pick_next_user(&all[1..], &mut deficits);
        }
        assert!(!deficits.contains_key(&user(0)));
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
