//! The exact window over vendor requests: never more than the grant in any minute (protocol 4).

use std::collections::VecDeque;

use crate::constants::{CANCEL_RESERVE_REQUESTS, VENDOR_WINDOW_MILLIS};
use crate::time::UnixMillis;

/// What a vendor request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Creates.
    Create,
    /// Polls.
    Status,
    /// Cancels, which always find room.
    Cancel,
    /// The model list.
    Other,
}

/// The send times of the last 61 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestWindow {
    sent: VecDeque<UnixMillis>,
    /// No request before this: the vendor said so.
    closed_until: UnixMillis,
}

impl RequestWindow {
    /// A window with these send times, oldest first, as they were stored.
    #[must_use]
    pub fn restore(sent: Vec<UnixMillis>, closed_until: UnixMillis) -> Self {
        Self { sent: sent.into(), closed_until }
    }

    /// The send times that still count, oldest first.
    pub fn sent(&self) -> impl Iterator<Item = UnixMillis> + '_ {
        self.sent.iter().copied()
    }

    /// Until when the vendor asked for silence.
    #[must_use]
    pub const fn closed_until(&self) -> UnixMillis {
        self.closed_until
    }

    /// When a request of `lane` may be sent at the earliest: `now`, or later. `limit` is the grant for a minute.
    #[must_use]
    pub fn earliest(&self, lane: Lane, limit: usize, now: UnixMillis) -> UnixMillis {
        let reserve = match lane {
            Lane::Cancel => 0,
            Lane::Create | Lane::Status | Lane::Other => CANCEL_RESERVE_REQUESTS.min(limit.saturating_sub(1)),
        };
        let usable = limit.saturating_sub(reserve);
        let counted = self.sent.iter().filter(|sent| now.millis_since(**sent) < VENDOR_WINDOW_MILLIS).count();
        let Some(excess) = counted.checked_sub(usable) else { return now.max(self.closed_until) };
        // The request after whose end there is room: the oldest, or one more for each above the limit.
        let first_counted = self.sent.len().saturating_sub(counted);
        let leaves = self.sent.get(first_counted.saturating_add(excess)).copied().unwrap_or(now);
        leaves.plus_millis(VENDOR_WINDOW_MILLIS).max(now).max(self.closed_until)
    }

    /// Books a request that is sent now, and forgets those that no longer count.
    pub fn book(&mut self, now: UnixMillis) {
        while self.sent.front().is_some_and(|sent| now.millis_since(*sent) >= VENDOR_WINDOW_MILLIS) {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// The vendor asked for silence until `until`; it is never shortened.
    pub fn close_until(&mut self, until: UnixMillis) {
        self.closed_until = self.closed_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cancels_find_room_when_nothing_else_does() {
        let mut window = RequestWindow::default();
        for _ in 0..57 {
            window.book(UnixMillis(0));
        }
        let now = UnixMillis(10);
        assert_eq!(window.earliest(Lane::Create, 60, now), UnixMillis(VENDOR_WINDOW_MILLIS));
        assert_eq!(window.earliest(Lane::Cancel, 60, now), now);
    }

    #[test]
    fn the_vendors_silence_holds_for_every_lane() {
        let mut window = RequestWindow::default();
        window.close_until(UnixMillis(500));
        window.close_until(UnixMillis(100));
        assert_eq!(window.earliest(Lane::Cancel, 60, UnixMillis(10)), UnixMillis(500));
    }

    #[test]
    fn a_limit_of_one_still_lets_one_pass() {
        let mut window = RequestWindow::default();
        assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(0)), UnixMillis(0));
        window.book(UnixMillis(0));
        assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(5)), UnixMillis(VENDOR_WINDOW_MILLIS));
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_the_limit(
            limit in 1_usize..70, steps in proptest::collection::vec((0_i64..3_000, 0_usize..4), 1..400)
        ) {
            let mut window = RequestWindow::default();
            let mut now = UnixMillis(0);
            let mut sent = Vec::new();
            for (step, lane) in steps {
                now = now.plus_millis(step);
                let lane = [Lane::Create, Lane::Status, Lane::Cancel, Lane::Other][lane];
                if window.earliest(lane, limit, now) <= now {
                    window.book(now);
                    sent.push(now);
                }
                let inside = sent.iter().filter(|at| now.millis_since(**at) < 60_000).count();
                prop_assert!(inside <= limit);
            }
        }

        #[test]
        fn the_time_it_names_is_the_first_that_passes(
            limit in 1_usize..20, times in proptest::collection::vec(0_i64..10_000, 0..60)
        ) {
            let mut window = RequestWindow::default();
            let mut now = UnixMillis(0);
            for step in times {
                now = now.plus_millis(step);
                if window.earliest(Lane::Cancel, limit, now) <= now {
                    window.book(now);
                }
            }
            let earliest = window.earliest(Lane::Cancel, limit, now);
            prop_assert_eq!(window.earliest(Lane::Cancel, limit, earliest), earliest);
            if earliest > now {
                let before = earliest.plus_millis(-1);
                prop_assert!(window.earliest(Lane::Cancel, limit, before) > before);
            }
        }
    }
}
