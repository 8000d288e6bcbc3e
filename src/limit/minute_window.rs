//! A user's minute: requests and creates, never above the limit in any 60 s (protocol 4).
//!
//! Creates are counted in buckets of a second, each with a durable write. Requests are drawn in blocks of a tenth of the
//! limit: one durable write for a block, which then serves from memory for 5 s. A block counts for 65 s from its draw, so
//! that a request at its end is counted for a whole minute; what a block did not serve is given back with the next draw.
//! An instance that dies loses the count of its last block, which then counts whole: a tenth of the limit at most.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::constants::{REQUEST_BLOCK_MILLIS, REQUEST_BLOCKS_PER_LIMIT, REQUEST_WINDOW_MILLIS};
use crate::messages::Rate;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The counts of one user, stored as one JSON document (`minute_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteWindow {
    /// When a block of requests was drawn, and how many it held, oldest first.
    #[serde(default)]
    requests: VecDeque<(UnixMillis, u32)>,
    /// A second, and the creates in it, oldest first.
    #[serde(default)]
    creates: VecDeque<(UnixSeconds, u32)>,
    /// How many of the newest block this instance has served; unknown to one that has just loaded it.
    #[serde(skip)]
    served: Option<u32>,
    /// The latest time that this instance has seen: its clock never goes back (protocol 5).
    #[serde(skip)]
    seen: UnixMillis,
}

/// A limit is reached: when the next one would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whole seconds, at least one.
    pub retry_after_secs: u32,
}

/// Seconds for which a bucket of creates counts beyond its own: any part of it may be younger than 60 s.
const CREATE_WINDOW_SECS: i64 = 60;

impl MinuteWindow {
    /// Counts one request. `Ok(true)` when a block was drawn: the document must be stored before the request is served.
    ///
    /// # Errors
    /// [`Exhausted`] when the limit is reached; nothing was counted.
    pub fn take_request(&mut self, limit: u32, now: UnixMillis) -> Result<bool, Exhausted> {
        let now = self.advance(now);
        if let (Some(served), Some((drawn_at, size))) = (self.served, self.requests.back_mut()) {
            if now.millis_since(*drawn_at) <= REQUEST_BLOCK_MILLIS && served < *size {
                self.served = Some(served.saturating_add(1));
                return Ok(false);
            }
            *size = served;
            self.served = None;
        }
        while self.requests.front().is_some_and(|(at, _)| now.millis_since(*at) >= REQUEST_WINDOW_MILLIS) {
            self.requests.pop_front();
        }
        let left = limit.saturating_sub(self.requests.iter().map(|(_, count)| count).sum());
        if left == 0 {
            let oldest = self.requests.front().map_or(now, |(at, _)| *at);
            let wait = oldest.plus_millis(REQUEST_WINDOW_MILLIS).millis_since(now);
            return Err(Exhausted { retry_after_secs: whole_seconds(wait) });
        }
        self.requests.push_back((now, limit.div_ceil(REQUEST_BLOCKS_PER_LIMIT).min(left)));
        self.served = Some(1);
        Ok(true)
    }

    /// What is left of the requests, and when all of it is back.
    #[must_use]
    pub fn requests_left(&self, limit: u32, now: UnixMillis) -> Rate {
        let now = self.now(now);
        let counted = || self.requests.iter().filter(|(at, _)| now.millis_since(*at) < REQUEST_WINDOW_MILLIS);
        let drawn: u32 = counted().map(|(_, count)| count).sum();
        let unserved = match (self.served, self.requests.back()) {
            (Some(served), Some((_, size))) => size.saturating_sub(served),
            _ => 0,
        };
        let full_at = counted().next_back().map_or(now, |(at, _)| at.plus_millis(REQUEST_WINDOW_MILLIS));
        let remaining = limit.saturating_sub(drawn.saturating_sub(unserved));
        Rate { limit, remaining, reset: full_at.plus_millis(999).seconds() }
    }

    /// Counts `count` creates: all or none.
    ///
    /// # Errors
    /// [`Exhausted`] when the limit does not leave room for all of them; nothing was counted.
    pub fn take_creates(&mut self, count: u32, limit: u32, now: UnixMillis) -> Result<(), Exhausted> {
        self.check_creates(count, limit, now)?;
        let second = self.advance(now).seconds();
        match self.creates.back_mut() {
            Some((at, before)) if *at == second => *before = before.saturating_add(count),
            _ => self.creates.push_back((second, count)),
        }
        Ok(())
    }

    /// Whether `count` creates would pass now; nothing is counted.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn check_creates(&mut self, count: u32, limit: u32, now: UnixMillis) -> Result<(), Exhausted> {
        let now = self.advance(now);
        let second = now.seconds();
        while self.creates.front().is_some_and(|(at, _)| !counts(*at, second)) {
            self.creates.pop_front();
        }
        let mut counted: u32 = self.creates.iter().map(|(_, count)| count).sum();
        if counted.saturating_add(count) > limit {
            let mut free_at = second;
            for (at, gone) in &self.creates {
                counted = counted.saturating_sub(*gone);
                free_at = free_from(*at);
                if counted.saturating_add(count) <= limit {
                    break;
                }
            }
            let wait = free_at.millis().millis_since(now);
            return Err(Exhausted { retry_after_secs: whole_seconds(wait) });
        }
        Ok(())
    }

    /// Gives back `count` creates that were refused further on.
    pub fn return_creates(&mut self, count: u32, created_at: UnixMillis) {
        let second = created_at.seconds();
        if let Some((_, taken)) = self.creates.iter_mut().rev().find(|(at, _)| *at == second) {
            *taken = taken.saturating_sub(count);
        }
    }

    /// What is left of the creates, and when all of it is back.
    #[must_use]
    pub fn creates_left(&self, limit: u32, now: UnixMillis) -> Rate {
        let second = self.now(now).seconds();
        let counted = || self.creates.iter().filter(|(at, count)| counts(*at, second) && *count > 0);
        let remaining = limit.saturating_sub(counted().map(|(_, count)| count).sum());
        Rate { limit, remaining, reset: counted().next_back().map_or(second, |(at, _)| free_from(*at)) }
    }

    /// When nothing here counts any more.
    #[must_use]
    pub fn ends_at(&self) -> UnixMillis {
        let requests = self.requests.back().map(|(at, _)| at.plus_millis(REQUEST_WINDOW_MILLIS));
        let creates = self.creates.back().map(|(at, _)| free_from(*at).millis());
        requests.max(creates).unwrap_or_default()
    }

    fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.seen = self.now(now);
        self.seen
    }

    /// Never before what was seen or counted.
    fn now(&self, now: UnixMillis) -> UnixMillis {
        let requests = self.requests.back().map_or(now, |(at, _)| *at);
        let creates = self.creates.back().map_or(now, |(at, _)| at.millis());
        now.max(self.seen).max(requests).max(creates)
    }
}

/// Whether creates of a second count in another.
fn counts(bucket: UnixSeconds, second: UnixSeconds) -> bool {
    bucket.0 >= second.0.saturating_sub(CREATE_WINDOW_SECS)
}

const fn free_from(bucket: UnixSeconds) -> UnixSeconds {
    UnixSeconds(bucket.0.saturating_add(CREATE_WINDOW_SECS).saturating_add(1))
}

/// Whole seconds that cover `millis`, at least one.
#[must_use]
pub fn whole_seconds(millis: i64) -> u32 {
    u32::try_from(millis.max(0).saturating_add(999).div_euclid(1_000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: UnixMillis = UnixMillis(1_768_473_000_400);

    #[test]
    fn minute_format_unchanged() {
        let mut minute = MinuteWindow::default();
        minute.take_request(60, START).unwrap();
        minute.take_creates(2, 10, START).unwrap();
        let text = r#"{"requests":[[1768473000400,6]],"creates":[[1768473000,2]]}"#;
        assert_eq!(serde_json::to_string(&minute).unwrap(), text);
        assert_eq!(serde_json::from_str::<MinuteWindow>("{}").unwrap(), MinuteWindow::default());
    }

    #[test]
    fn a_block_is_drawn_once_for_a_tenth_of_the_limit() {
        let mut minute = MinuteWindow::default();
        let drawn: Vec<bool> = (0..12).map(|_| minute.take_request(60, START).unwrap()).collect();
        assert_eq!(drawn.iter().filter(|drawn| **drawn).count(), 2);
        assert!(drawn[0] && drawn[6]);
        assert_eq!(minute.requests_left(60, START).remaining, 48);
    }

    #[test]
    fn what_a_block_did_not_serve_is_given_back() {
        let mut minute = MinuteWindow::default();
        let mut now = START;
        for _ in 0..20 {
            minute.take_request(18, now).unwrap();
            now = now.plus_millis(6_600);
        }
    }

    #[test]
    fn the_limit_is_reached_exactly_and_comes_back_when_it_says() {
        let mut minute = MinuteWindow::default();
        for _ in 0..60 {
            minute.take_request(60, START).unwrap();
        }
        let left = minute.requests_left(60, START);
        assert_eq!((left.remaining, left.reset), (0, UnixSeconds(1_768_473_066)));
        let refused = minute.take_request(60, START.plus_millis(1_000)).unwrap_err();
        assert_eq!(refused.retry_after_secs, 64);
        assert!(minute.take_request(60, START.plus_millis(65_000)).is_ok());
    }

    #[test]
    fn an_instance_that_died_costs_a_tenth_at_most() {
        let mut minute = MinuteWindow::default();
        minute.take_request(60, START).unwrap();
        let text = serde_json::to_string(&minute).unwrap();
        let mut again: MinuteWindow = serde_json::from_str(&text).unwrap();
        assert_eq!(again.requests_left(60, START).remaining, 54);
        let served = (0..100).filter(|_| again.take_request(60, START).is_ok()).count();
        assert_eq!(served, 54);
    }

    #[test]
    fn a_batch_counts_whole_or_not_at_all() {
        let mut minute = MinuteWindow::default();
        minute.take_creates(8, 10, START).unwrap();
        let refused = minute.take_creates(3, 10, START.plus_millis(500)).unwrap_err();
        assert_eq!(refused.retry_after_secs, 61);
        minute.take_creates(2, 10, START).unwrap();
        minute.return_creates(2, START);
        assert_eq!(minute.creates_left(10, START).remaining, 2);
        assert_eq!(minute.creates_left(10, START).reset, UnixSeconds(1_768_473_061));
        assert!(minute.take_creates(10, 10, UnixSeconds(1_768_473_061).millis()).is_ok());
    }

    #[test]
    fn what_is_left_comes_back_in_the_moment_that_was_named() {
        let mut minute = MinuteWindow::default();
        for _ in 0..60 {
            minute.take_request(60, START).unwrap();
        }
        minute.take_creates(10, 10, START).unwrap();
        for (millis, requests, creates) in [(60_599, 0, 0), (60_600, 0, 10), (64_999, 0, 10), (65_000, 60, 10)] {
            let now = START.plus_millis(millis);
            let left = (minute.requests_left(60, now).remaining, minute.creates_left(10, now).remaining);
            assert_eq!(left, (requests, creates), "{millis}");
        }
    }

    #[test]
    fn creates_of_one_second_are_one_count_and_given_back_as_one() {
        let mut minute = MinuteWindow::default();
        minute.take_creates(1, 10, START).unwrap();
        minute.take_creates(2, 10, START.plus_millis(500)).unwrap();
        assert_eq!(minute.creates, [(START.seconds(), 3)]);
        minute.return_creates(3, START);
        let left = minute.creates_left(10, START);
        assert_eq!((left.remaining, left.reset), (10, START.seconds()));
    }

    #[test]
    fn a_refused_batch_hears_of_the_first_second_that_has_room_for_it() {
        let mut minute = MinuteWindow::default();
        minute.take_creates(5, 10, START).unwrap();
        minute.take_creates(5, 10, START.plus_millis(10_000)).unwrap();
        for (count, retry_after_secs) in [(1, 41), (5, 41), (6, 51), (10, 51)] {
            let refused = minute.check_creates(count, 10, START.plus_millis(20_000)).unwrap_err();
            assert_eq!(refused, Exhausted { retry_after_secs }, "{count}");
        }
    }

    #[test]
    fn a_minute_ends_with_what_counts_longest() {
        let mut minute = MinuteWindow::default();
        assert_eq!(minute.ends_at(), UnixMillis(0));
        minute.take_request(60, START).unwrap();
        assert_eq!(minute.ends_at(), START.plus_millis(65_000));
        minute.take_creates(1, 10, START.plus_millis(5_000)).unwrap();
        assert_eq!(minute.ends_at(), UnixSeconds(1_768_473_066).millis());
        minute.take_request(60, START.plus_millis(10_000)).unwrap();
        assert_eq!(minute.ends_at(), START.plus_millis(75_000));
    }

    /// Steps of at most two seconds, as a client would take, with a restart now and then.
    fn steps() -> impl Strategy<Value = Vec<(i64, bool, bool)>> {
        proptest::collection::vec((-500_i64..2_000, any::<bool>(), proptest::bool::weighted(0.05)), 1..400)
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        #[test]
        fn no_sixty_seconds_hold_more_than_the_limit(limit in 1_u32..40, steps in steps()) {
            let mut minute = MinuteWindow::default();
            let (mut now, mut latest) = (START, START);
            // It has seen the clock before that steps back.
            minute.take_request(limit, START).unwrap();
            let (mut requests, mut creates) = (vec![START], Vec::new());
            for (step, is_create, dies) in steps {
                now = now.plus_millis(step);
                latest = latest.max(now);
                if dies {
                    now = latest;
                    minute = serde_json::from_str(&serde_json::to_string(&minute).unwrap()).unwrap();
                }
                let passed = if is_create {
                    minute.take_creates(1, limit, now).map(|()| creates.push(latest)).err()
                } else {
                    minute.take_request(limit, now).map(|_| requests.push(latest)).err()
                };
                for times in [&requests, &creates] {
                    let inside = times.iter().filter(|at| latest.millis_since(**at) < 60_000).count();
                    prop_assert!(inside <= usize::try_from(limit).unwrap());
                }
                if let Some(refused) = passed {
                    // What it says is enough.
                    let mut later = minute.clone();
                    let at = latest.plus_millis(i64::from(refused.retry_after_secs) * 1_000);
                    let is_over = if is_create { later.take_creates(1, limit, at).is_ok() } else { later.take_request(limit, at).is_ok() };
                    prop_assert!(is_over);
                }
            }
        }

        #[test]
        fn remaining_is_what_would_pass_now(limit in 1_u32..50, times in proptest::collection::vec(0_i64..4_000, 0..80)) {
            let mut minute = MinuteWindow::default();
            let mut now = START;
            for step in times {
                now = now.plus_millis(step);
                let _ = minute.take_request(limit, now);
                let _ = minute.take_creates(1, limit, now);
            }
            let left = minute.requests_left(limit, now).remaining;
            let mut probe = minute.clone();
            prop_assert_eq!((0..100).take_while(|_| probe.take_request(limit, now).is_ok()).count(), usize::try_from(left).unwrap());
            let left = minute.creates_left(limit, now).remaining;
            let mut probe = minute.clone();
            prop_assert_eq!((0..100).take_while(|_| probe.take_creates(1, limit, now).is_ok()).count(), usize::try_from(left).unwrap());
        }
    }
}
