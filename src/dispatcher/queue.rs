//! Whose turn it is: deficit round robin over users, weighted by plan (protocol 4).
//!
//! At each start every user in line earns its part of it, by weight, the one with the largest deficit goes, and pays for the
//! whole start. So the starts of a user are spread evenly among those of the others instead of coming in one piece, and
//! no one falls more than one start behind its share. A start has one price, however long the line: else whoever goes
//! last in a long line would pay the price of the short one that is left, and go several times in a row. A user who is not in line saves nothing; what it owes it pays back
//! meanwhile, so that leaving the line and coming back is no way to the front.

use std::collections::{BTreeMap, VecDeque};

use crate::constants::SIMULATED_STARTS_MAX;
use crate::types::ids::{JobId, UserKey};

/// What users in line have earned and not used, in parts of a start ([`START`]).
pub type Deficits = BTreeMap<UserKey, i64>;

/// The price of a start. What rounding loses of it is nothing beside a start.
const START: i64 = 1_000_000_000;

/// A user in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who.
    pub user: UserKey,
    /// Share of the starts.
    pub weight: u32,
    /// The job that goes first; the oldest goes first between users with equal deficits.
    pub head: JobId,
}

/// Picks the next user of `line`, and lets everybody earn and the picked one pay. `None` where nobody is in line.
pub fn pick(line: &[Turn], deficits: &mut Deficits) -> Option<UserKey> {
    let weights: i64 = line.iter().map(|turn| i64::from(turn.weight)).sum();
    let part = START.checked_div(weights)?;
    for (_, deficit) in
        deficits.iter_mut().filter(|(user, deficit)| **deficit < 0 && !line.iter().any(|turn| turn.user == **user))
    {
        *deficit = deficit.saturating_add(part).min(0);
    }
    let mut earned: i64 = 0;
    for turn in line {
        let parts = part.saturating_mul(i64::from(turn.weight));
        let deficit = deficits.entry(turn.user.clone()).or_default();
        *deficit = deficit.saturating_add(parts);
        earned = earned.saturating_add(parts);
    }
    let deficit = |turn: &Turn| deficits.get(&turn.user).copied().unwrap_or_default();
    let next = line.iter().max_by(|a, b| deficit(a).cmp(&deficit(b)).then_with(|| b.head.cmp(&a.head)))?;
    let user = next.user.clone();
    if let Some(deficit) = deficits.get_mut(&user) {
        *deficit = deficit.saturating_sub(earned);
    }
    deficits.retain(|_, deficit| *deficit != 0);
    Some(user)
}

/// The jobs of a user in line, first to go first.
pub type Line = BTreeMap<UserKey, (u32, VecDeque<JobId>)>;

/// In which order jobs will start if nothing changes: `returned` ones first, then by turns. Far ends of long queues are
/// told by order of arrival: a guess is enough there, and costs less.
#[must_use]
pub fn start_order(returned: Vec<JobId>, mut line: Line, mut deficits: Deficits) -> Vec<JobId> {
    let mut order = returned;
    for _ in 0..SIMULATED_STARTS_MAX {
        let turns: Vec<Turn> = line
            .iter()
            .filter_map(|(user, (weight, jobs))| {
                Some(Turn { user: user.clone(), weight: *weight, head: jobs.front()?.clone() })
            })
            .collect();
        let Some(user) = pick(&turns, &mut deficits) else { return order };
        let Some((_, jobs)) = line.get_mut(&user) else { return order };
        order.extend(jobs.pop_front());
        if jobs.is_empty() {
            line.remove(&user);
        }
    }
    let mut pause: Vec<JobId> = line.into_values().flat_map(|(_, jobs)| jobs).collect();
    pause.sort();
    order.extend(pause);
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

    fn line(weights: &[u32]) -> Vec<Turn> {
        let turn = |(number, weight): (usize, &u32)| Turn { user: user(number), weight: *weight, head: job(number) };
        weights.iter().enumerate().map(turn).collect()
    }

    fn starts(weights: &[u32], count: usize) -> Vec<usize> {
        let (line, mut deficits) = (line(weights), Deficits::new());
        let number = |picked: UserKey| (0..weights.len()).find(|number| user(*number) == picked).unwrap();
        (0..count).map(|_| number(pick(&line, &mut deficits).unwrap())).collect()
    }

    #[test]
    fn equal_users_take_turns_in_order_of_arrival() {
        assert_eq!(starts(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_heavier_user_goes_more_often_and_not_in_one_piece() {
        assert_eq!(starts(&[2, 1, 1], 8), [0, 1, 2, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn the_order_is_the_one_in_which_jobs_start() {
        let jobs = |times: &[usize]| times.iter().map(|at| job(*at)).collect::<VecDeque<_>>();
        let line = BTreeMap::from([(user(0), (1, jobs(&[1, 2, 3]))), (user(1), (1, jobs(&[4])))]);
        let expected: Vec<JobId> = [9, 1, 4, 2, 3].into_iter().map(job).collect();
        assert_eq!(start_order(vec![job(9)], line, Deficits::new()), expected);
    }

    #[test]
    fn a_user_who_comes_back_has_saved_nothing() {
        let (two, mut deficits) = (line(&[1, 1]), Deficits::new());
        for _ in 0..10 {
            pick(&two[..1], &mut deficits);
        }
        let picked: Vec<UserKey> = (0..4).map(|_| pick(&two, &mut deficits).unwrap()).collect();
        assert_eq!(picked.iter().filter(|picked| **picked == user(1)).count(), 2);
    }

    #[test]
    fn a_user_who_leaves_and_comes_back_is_not_ahead_of_those_who_stayed() {
        let (all, mut deficits) = (line(&[1; 10]), Deficits::new());
        let first = pick(&all, &mut deficits).unwrap();
        // It is back at once, with a new job.
        let mut again = all.clone();
        again[0].head = job(99);
        assert_eq!(first, user(0));
        let next: Vec<UserKey> = (0..9).map(|_| pick(&again, &mut deficits).unwrap()).collect();
        assert!(!next.contains(&first));
    }

    #[test]
    fn a_start_costs_the_last_of_a_long_line_no_less_than_the_first() {
        let (all, mut deficits) = (line(&[1; 10]), Deficits::new());
        assert_eq!(pick(&all, &mut deficits), Some(user(0)));
        // All but the first and the last leave after their turn.
        for gone in 1..9 {
            let left = [&all[..1], &all[gone..]].concat();
            assert_eq!(pick(&left, &mut deficits), Some(user(gone)));
        }
        let two = [&all[..1], &all[9..]].concat();
        let next: Vec<UserKey> = (0..6).map(|_| pick(&two, &mut deficits).unwrap()).collect();
        assert_eq!(next, [9, 0, 9, 0, 9, 0].map(user));
    }

    #[test]
    fn what_is_owed_is_forgotten_in_time() {
        let (all, mut deficits) = (line(&[1; 10]), Deficits::new());
        pick(&all, &mut deficits);
        for _ in 0..30 {
            pick(&all[1..], &mut deficits);
        }
        assert!(!deficits.contains_key(&user(0)));
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        /// Whole starts: of 20, a user with a share of 3.6 may count on 3, and gets at least 2.
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
