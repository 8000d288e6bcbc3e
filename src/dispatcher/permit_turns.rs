//! Turns of users in the lane for uploads, vendor streams and file deletions (protocol 4).
//!
//! The edge sends these requests itself, one for each permit, and the vendor allows few of them in a minute. Users take
//! turns by start-time fair queuing (Goyal, Vin and Cheng, 1996): each permit moves its user's tag forward, further for a
//! smaller weight, and of the users who want a permit the lowest tag is first. A user whose client was told to wait keeps
//! its place for 60 s, so that a user who asks more often gets no more permits.
//!
//! In memory only: after a restart each client asks again, within the wait that it was told.

use std::collections::BTreeMap;

use crate::constants::{PERMIT_GRACE_MILLIS, PERMIT_TURN_MILLIS};
use crate::types::ids::UserKey;
use crate::types::time::UnixMillis;

/// How far a permit moves the tag of a user with weight 1. Divisible by small weights.
const TAG_STEP: u64 = 720_720;

/// The users who want a permit or got one lately. `None` stands for the Dispatcher's own requests.
#[derive(Clone, Debug, Default)]
pub(super) struct PermitTurns {
    /// The largest tag of a permit that was granted.
    virtual_time: u64,
    turns: BTreeMap<Option<UserKey>, Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    tag: u64,
    asked_at: UnixMillis,
    /// When the user began to wait; `None` if it got what it asked for.
    waits_since: Option<UnixMillis>,
    /// When a permit becomes free for the user. Its client is told to come back then, and the permit is held for it for a
    /// few seconds. Then it is for whoever asks: a user with many accounts that do not come back must not keep the lane
    /// idle.
    expected_at: UnixMillis,
}

impl PermitTurns {
    /// Returns how many permits are held for other users now, whose turn comes before this one's. The caller grants a
    /// permit if the lane has room for all of them and one more, and reports that with [`Self::grant`].
    pub(super) fn count_held(&mut self, user: Option<&UserKey>, weight: u32, now: UnixMillis) -> usize {
        self.turns.retain(|_, turn| now.millis_since(turn.asked_at) < PERMIT_TURN_MILLIS);
        let is_due = |turn: &Turn| {
            let late = now.millis_since(turn.expected_at);
            (0..=PERMIT_GRACE_MILLIS).contains(&late)
        };
        self.ahead_of(user, weight, now).filter(|turn| is_due(turn)).count()
    }

    /// Returns how many other users wait, whose turn comes before this one's. With them the caller finds out when this
    /// user's turn comes, and reports that with [`Self::wait`].
    pub(super) fn count_ahead(&self, user: Option<&UserKey>, weight: u32, now: UnixMillis) -> usize {
        self.ahead_of(user, weight, now).count()
    }

    fn ahead_of(&self, user: Option<&UserKey>, weight: u32, now: UnixMillis) -> impl Iterator<Item = &Turn> {
        let own = self.turns.get(&user.cloned());
        let place = (self.tag(own, weight), own.and_then(|turn| turn.waits_since).unwrap_or(now));
        let others = self.turns.iter().filter(move |(other, _)| other.as_ref() != user).map(|(_, turn)| turn);
        others.filter(move |turn| turn.waits_since.is_some_and(|since| (turn.tag, since) < place))
    }

    /// Records a permit of a user with this weight.
    pub(super) fn grant(&mut self, user: Option<UserKey>, weight: u32, now: UnixMillis) {
        let tag = self.tag(self.turns.get(&user), weight);
        self.virtual_time = self.virtual_time.max(tag);
        let turn = Turn { tag: tag.saturating_add(step(weight)), asked_at: now, waits_since: None, expected_at: now };
        self.turns.insert(user, turn);
    }

    /// Sets later times to `now`, after the clock was set back.
    pub(super) fn set_back(&mut self, now: UnixMillis) {
        for turn in self.turns.values_mut() {
            turn.asked_at = turn.asked_at.min(now);
            turn.expected_at = turn.expected_at.min(now);
            turn.waits_since = turn.waits_since.map(|since| since.min(now));
        }
    }

    /// Records that a user with this weight waits for the permit that becomes free at `expected_at`.
    pub(super) fn wait(&mut self, user: Option<UserKey>, weight: u32, expected_at: UnixMillis, now: UnixMillis) {
        let own = self.turns.get(&user);
        let waits_since = own.and_then(|turn| turn.waits_since).or(Some(now));
        let tag = self.tag(own, weight);
        self.turns.insert(user, Turn { tag, asked_at: now, waits_since, expected_at });
    }

    /// Returns the tag of a user's next permit. A newcomer has that of a user who has just got a permit: with the lowest
    /// one, a stream of new accounts would keep out everybody who has had a permit before.
    fn tag(&self, turn: Option<&Turn>, weight: u32) -> u64 {
        let newcomer = self.virtual_time.saturating_add(step(weight));
        match turn {
            None => newcomer,
            // A place is kept: the tag stays while its user waits.
            Some(turn) if turn.waits_since.is_some() => turn.tag,
            Some(turn) => turn.tag.max(self.virtual_time),
        }
    }
}

/// Returns how far one permit moves a tag of this weight.
fn step(weight: u32) -> u64 {
    TAG_STEP.checked_div(u64::from(weight)).unwrap_or(TAG_STEP).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(name: &str) -> Option<UserKey> {
        Some(UserKey::new("i", name))
    }

    /// A lane with one permit every 20 s, up to three at once, as the Dispatcher uses the turns.
    struct Lane {
        turns: PermitTurns,
        sent: Vec<UnixMillis>,
    }

    impl Lane {
        fn new() -> Self {
            Self { turns: PermitTurns::default(), sent: Vec::new() }
        }

        /// Returns when the lane has room for one request more than these.
        fn free_at(&self, before: usize, now: UnixMillis) -> UnixMillis {
            let counted: Vec<UnixMillis> =
                self.sent.iter().filter(|at| now.millis_since(**at) < 60_000).copied().collect();
            let over = (counted.len() + before + 1).saturating_sub(3);
            if over == 0 {
                return now;
            }
            counted.get(over - 1).map_or(now.plus_millis(60_000), |at| at.plus_millis(60_000))
        }

        /// Asks for one user. Returns whether it got a permit.
        fn ask(&mut self, who: &Option<UserKey>, weight: u32, now: UnixMillis) -> bool {
            let held = self.turns.count_held(who.as_ref(), weight, now);
            if self.free_at(held, now) <= now {
                self.turns.grant(who.clone(), weight, now);
                self.sent.push(now);
                return true;
            }
            let expected_at = self.free_at(self.turns.count_ahead(who.as_ref(), weight, now), now);
            self.turns.wait(who.clone(), weight, expected_at, now);
            false
        }

        /// Uses the lane up, at its own pace.
        fn used_up() -> Self {
            let mut lane = Self::new();
            lane.sent = [-60_000, -40_000, -20_000].map(UnixMillis).into();
            lane
        }
    }

    #[test]
    fn a_user_that_asks_all_the_time_gets_every_other_permit() {
        let mut lane = Lane::used_up();
        let (greedy, victim) = (user("greedy"), user("victim"));
        let mut permits = [0_u32, 0];
        // The greedy one asks ten times a second, the other one every 5 s.
        for tick in 0..6_000_i64 {
            let now = UnixMillis(tick * 100);
            permits[0] += u32::from(lane.ask(&greedy, 1, now));
            if tick % 50 == 3 {
                permits[1] += u32::from(lane.ask(&victim, 1, now));
            }
        }
        assert!(permits[0].abs_diff(permits[1]) <= 3 && permits[1] >= 12, "{permits:?}");
    }

    #[test]
    fn accounts_that_do_not_come_back_keep_nobody_out() {
        for per_minute in [1, 5, 20] {
            let mut lane = Lane::used_up();
            let victim = user("victim");
            let (mut won, mut victim_at) = (0_i64, 0);
            for second in 0..3_600_i64 {
                let now = UnixMillis(second * 1_000);
                if second % (60 / per_minute) == 0 {
                    lane.ask(&user(&second.to_string()), 1, now);
                }
                // The victim comes back when it is told to, a second late.
                if second >= victim_at {
                    let is_granted = lane.ask(&victim, 1, now);
                    won += i64::from(is_granted);
                    let expected_at = lane.turns.turns[&victim].expected_at.min(now.plus_millis(45_000));
                    victim_at = second + 2 + expected_at.millis_since(now) / 1_000;
                }
            }
            // At least half of an equal share among all who asked in a minute.
            assert!(won * 2 * (per_minute + 1) >= 180, "{won} of 180 beside {per_minute} accounts a minute");
        }
    }

    #[test]
    fn a_place_is_kept_for_a_minute_and_a_permit_is_held_when_it_is_due() {
        let mut lane = Lane::new();
        lane.sent = [0; 3].map(UnixMillis).into();
        let (first, second) = (user("first"), user("second"));
        assert!(!lane.ask(&first, 1, UnixMillis(10_000)) && !lane.ask(&second, 1, UnixMillis(10_001)));
        lane.sent = [UnixMillis(0), UnixMillis(100_000), UnixMillis(100_000)].into();
        assert!(!lane.ask(&second, 1, UnixMillis(60_000)), "it is the first one's");
        assert!(!lane.ask(&second, 1, UnixMillis(65_000)), "for five seconds");
        assert!(lane.ask(&first, 1, UnixMillis(65_001)));
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        /// Users that come back when they are told share the permits by weight, however often some of them ask besides.
        #[test]
        fn permits_are_shared_by_weight(
            weights in prop::collection::vec(1_u32..=4, 2..6),
            others in prop::collection::vec(0_usize..100, 3_000),
        ) {
            let mut lane = Lane::used_up();
            let users: Vec<_> = (0..weights.len()).map(|number| user(&number.to_string())).collect();
            let mut permits = vec![0_u32; weights.len()];
            for (second, other) in others.into_iter().enumerate() {
                let now = UnixMillis(i64::try_from(second).unwrap() * 1_000);
                // Everybody asks every other second, and one of them in each second.
                let everybody = (0..users.len()).filter(|_| second % 2 == 0);
                for index in std::iter::once(other % users.len()).chain(everybody) {
                    permits[index] += u32::from(lane.ask(&users[index], weights[index], now));
                }
            }
            let (all, total): (u32, u32) = (permits.iter().sum(), weights.iter().sum());
            for (got, weight) in permits.iter().zip(&weights) {
                let share = f64::from(all) * f64::from(*weight) / f64::from(total);
                prop_assert!((f64::from(*got) - share).abs() <= 0.1 * share + 4.0, "{permits:?} for {weights:?}");
            }
        }
    }
}
