//! Turns of users in the lane for uploads, vendor streams and file deletions (protocol 4).
//!
//! The edge sends these requests itself, one for each permit, and the vendor allows few of them in a minute. Users take
//! turns by start-time fair queuing (Goyal, Vin and Cheng, 1996): each permit moves its user's tag forward, further for a
//! smaller weight, and of the users who want a permit the lowest tag is first. A user whose client was told to wait keeps
//! its place for 60 s, so that a user who asks more often gets no more permits.
//!
//! In memory only: after a restart each client asks again, within the wait that it was told.

use std::collections::BTreeMap;

use crate::constants::PERMIT_TURN_MILLIS;
use crate::types::ids::UserKey;
use crate::types::time::UnixMillis;

/// How far a permit moves the tag of a user with weight 1. Divisible by small weights.
const TAG_STEP: u64 = 720_720;

/// The users who want a permit or got one lately. `None` stands for the Dispatcher's own requests.
#[derive(Clone, Debug, Default)]
pub(super) struct PermitTurns {
    /// The tag of the last permit.
    virtual_time: u64,
    turns: BTreeMap<Option<UserKey>, Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    tag: u64,
    asked_at: UnixMillis,
    /// When the user began to wait; `None` if it got what it asked for.
    waits_since: Option<UnixMillis>,
}

impl PermitTurns {
    /// Returns how many other users have a better claim to a permit. The caller grants one if the lane has room for all
    /// of them and one more, and reports that with [`Self::grant`]; else it reports [`Self::wait`].
    pub(super) fn count_ahead(&mut self, user: Option<&UserKey>, now: UnixMillis) -> usize {
        self.turns.retain(|_, turn| now.millis_since(turn.asked_at) < PERMIT_TURN_MILLIS);
        let own = self.turns.get(&user.cloned());
        let place = (self.tag(own), own.and_then(|turn| turn.waits_since).unwrap_or(now));
        let others = self.turns.iter().filter(|(other, _)| other.as_ref() != user);
        others.filter(|(_, turn)| turn.waits_since.is_some_and(|since| (turn.tag, since) < place)).count()
    }

    /// Records a permit of a user with this weight.
    pub(super) fn grant(&mut self, user: Option<UserKey>, weight: u32, now: UnixMillis) {
        let tag = self.tag(self.turns.get(&user));
        self.virtual_time = self.virtual_time.max(tag);
        let step = TAG_STEP.checked_div(u64::from(weight)).unwrap_or(TAG_STEP).max(1);
        self.turns.insert(user, Turn { tag: tag.saturating_add(step), asked_at: now, waits_since: None });
    }

    /// Records that a user was told to wait.
    pub(super) fn wait(&mut self, user: Option<UserKey>, now: UnixMillis) {
        let own = self.turns.get(&user);
        let waits_since = own.and_then(|turn| turn.waits_since).or(Some(now));
        let tag = self.tag(own);
        self.turns.insert(user, Turn { tag, asked_at: now, waits_since });
    }

    /// Returns the tag of a user's next permit. Whoever wanted none for a while has earned nothing by that.
    fn tag(&self, turn: Option<&Turn>) -> u64 {
        turn.map_or(0, |turn| turn.tag).max(self.virtual_time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(name: &str) -> Option<UserKey> {
        Some(UserKey::new("i", name))
    }

    /// Asks for one user while the lane has this much room. Returns whether it got a permit.
    fn ask(turns: &mut PermitTurns, who: &Option<UserKey>, weight: u32, room: usize, now: UnixMillis) -> bool {
        let is_granted = turns.count_ahead(who.as_ref(), now) < room;
        if is_granted {
            turns.grant(who.clone(), weight, now)
        } else {
            turns.wait(who.clone(), now)
        }
        is_granted
    }

    #[test]
    fn a_user_that_asks_all_the_time_gets_every_other_permit() {
        let mut turns = PermitTurns::default();
        let (greedy, victim) = (user("greedy"), user("victim"));
        let mut permits = [0_u32, 0];
        // The greedy one asks ten times a second, the other one every 20 s. The lane has a permit every 20 s.
        let mut room_at = 0;
        for tick in 0..6_000_i64 {
            let now = UnixMillis(tick * 100);
            let mut room = usize::from(tick * 100 >= room_at);
            for (index, who) in [&greedy, &victim].into_iter().enumerate() {
                if (index == 0 || tick % 200 == 3) && ask(&mut turns, who, 1, room, now) {
                    permits[index] += 1;
                    room = 0;
                    room_at = tick * 100 + 20_000;
                }
            }
        }
        assert!(permits[0].abs_diff(permits[1]) <= 1 && permits[1] >= 9, "{permits:?}");
    }

    #[test]
    fn a_place_is_kept_for_a_minute_after_each_wait() {
        let mut turns = PermitTurns::default();
        let (first, second) = (user("first"), user("second"));
        assert!(!ask(&mut turns, &first, 1, 0, UnixMillis(0)));
        assert!(!ask(&mut turns, &second, 1, 1, UnixMillis(59_999)), "the first one's");
        assert!(ask(&mut turns, &second, 1, 1, UnixMillis(60_000)), "who did not come back");
        assert!(ask(&mut turns, &second, 1, 1, UnixMillis(60_001)), "and nobody else waits");
        assert!(ask(&mut turns, &first, 1, 2, UnixMillis(60_002)));
    }

    #[test]
    fn room_for_everybody_ahead_is_room_for_one_more() {
        let mut turns = PermitTurns::default();
        let users: Vec<_> = ["a", "b", "c"].map(user).into();
        for (index, who) in users.iter().enumerate() {
            assert!(!ask(&mut turns, who, 1, 0, UnixMillis(i64::try_from(index).unwrap())));
        }
        assert!(!ask(&mut turns, &users[2], 1, 2, UnixMillis(10)));
        assert!(ask(&mut turns, &users[2], 1, 3, UnixMillis(11)));
        assert!(ask(&mut turns, &users[1], 1, 2, UnixMillis(12)));
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        /// Users that want permits all the time share them by weight, however often each of them asks.
        #[test]
        fn permits_are_shared_by_weight(
            weights in prop::collection::vec(1_u32..=4, 2..6),
            order in prop::collection::vec(0_usize..100, 3_000),
        ) {
            let mut turns = PermitTurns::default();
            let users: Vec<_> = (0..weights.len()).map(|number| user(&number.to_string())).collect();
            let mut permits = vec![0_u32; weights.len()];
            for (round, asks) in order.chunks(30).enumerate() {
                let now = UnixMillis(i64::try_from(round).unwrap() * 20_000);
                // Each round has one permit. Everybody asks in an order of chance, some of them many times.
                let mut room = 1;
                let everybody = asks.iter().map(|ask| ask % users.len()).chain(0..users.len());
                for index in everybody {
                    if ask(&mut turns, &users[index], weights[index], room, now) {
                        permits[index] += 1;
                        room = 0;
                    }
                }
            }
            let (all, total): (u32, u32) = (permits.iter().sum(), weights.iter().sum());
            for (got, weight) in permits.iter().zip(&weights) {
                let share = f64::from(all) * f64::from(*weight) / f64::from(total);
                prop_assert!((f64::from(*got) - share).abs() <= 4.0, "{permits:?} for {weights:?}");
            }
        }
    }
}
