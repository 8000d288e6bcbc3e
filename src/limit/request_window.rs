//! The exact window over vendor requests: never more than the grant in any minute, shared by lanes (protocol 4).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::constants::{CANCEL_RESERVE_REQUESTS, LANE_PERCENT, VENDOR_EXACT_REQUESTS, VENDOR_WINDOW_MILLIS};
use crate::types::time::UnixMillis;
use crate::types::vocabulary::vocabulary;

vocabulary! {
    /// What a vendor request is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Lane {
        /// Creates.
        #[serde(rename = "c")]
        Create,
        /// Polls.
        #[serde(rename = "s")]
        Status,
        /// Cancels, which always find room.
        #[serde(rename = "x")]
        Cancel,
        /// The model list, streams, files.
        #[serde(rename = "o")]
        Other,
    }
}

impl Lane {
    const fn index(self) -> usize {
        match self {
            Self::Create => 0,
            Self::Status => 1,
            Self::Cancel => 2,
            Self::Other => 3,
        }
    }

    /// This lane's share of `limit` requests a minute, at least one.
    #[must_use]
    pub fn share(self, limit: usize) -> usize {
        let percent = LANE_PERCENT.get(self.index()).copied().unwrap_or_default();
        limit.saturating_mul(percent).div_euclid(100).max(1)
    }
}

/// The vendor's own count, where it said less than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorCount {
    /// Requests that it still takes.
    pub remaining: u32,
    /// Until then.
    pub until: UnixMillis,
}

/// The send times of the last 61 s, and what the vendor said of its own count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestWindow {
    /// When, for what, how many; oldest first.
    #[serde(default)]
    sent: VecDeque<(UnixMillis, Lane, usize)>,
    /// No request before this: the vendor said so.
    #[serde(default)]
    closed_until: UnixMillis,
    /// What the vendor counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorCount>,
}

/// How many requests of each lane count.
#[derive(Clone, Copy)]
struct Counts([usize; 4]);

impl Counts {
    fn of(&self, lane: Lane) -> usize {
        self.0.get(lane.index()).copied().unwrap_or_default()
    }

    fn add(&mut self, lane: Lane, requests: usize) {
        if let Some(count) = self.0.get_mut(lane.index()) {
            *count = count.saturating_add(requests);
        }
    }

    fn remove(&mut self, lane: Lane, requests: usize) {
        if let Some(count) = self.0.get_mut(lane.index()) {
            *count = count.saturating_sub(requests);
        }
    }

    /// Whether one more of `lane` may be sent. A lane within its share needs room beside what cancels keep; one that is
    /// over it borrows, and leaves half of what the others have not used of theirs.
    fn allow(&self, lane: Lane, limit: usize) -> bool {
        let total: usize = self.0.iter().sum();
        let room = limit.saturating_sub(total);
        let kept = CANCEL_RESERVE_REQUESTS.min(limit.saturating_sub(1));
        match lane {
            Lane::Cancel => room > 0,
            _ if room <= kept => false,
            _ if self.of(lane) < lane.share(limit) => true,
            Lane::Other => false,
            Lane::Create | Lane::Status => {
                let others = Lane::ALL.into_iter().filter(|other| *other != lane && *other != Lane::Cancel);
                let unused = others.map(|other| other.share(limit).saturating_sub(self.of(other)).div_ceil(2));
                room > kept.saturating_add(unused.sum())
            }
        }
    }
}

impl RequestWindow {
    /// When a request of `lane` may be sent at the earliest: `now`, or later. `limit` is the grant for a minute.
    #[must_use]
    pub fn earliest(&self, lane: Lane, limit: usize, now: UnixMillis) -> UnixMillis {
        let open = self.open_from(lane, now);
        let mut counts = Counts([0; 4]);
        let counted = || self.sent.iter().filter(|(at, ..)| now.millis_since(*at) < VENDOR_WINDOW_MILLIS);
        counted().for_each(|(_, lane, requests)| counts.add(*lane, *requests));
        if counts.allow(lane, limit) {
            return open;
        }
        for (at, gone, requests) in counted() {
            counts.remove(*gone, *requests);
            if counts.allow(lane, limit) {
                return at.plus_millis(VENDOR_WINDOW_MILLIS).max(open);
            }
        }
        open
    }

    /// From when the vendor itself would take a request: its count leaves the last ones to cancels.
    fn open_from(&self, lane: Lane, now: UnixMillis) -> UnixMillis {
        let kept = if lane == Lane::Cancel { 0 } else { CANCEL_RESERVE_REQUESTS };
        let vendor = self.vendor.filter(|vendor| usize::try_from(vendor.remaining).unwrap_or(usize::MAX) <= kept);
        now.max(self.closed_until).max(vendor.map_or(now, |vendor| vendor.until))
    }

    /// Books a request that is sent now, and forgets those that no longer count. Of a large grant the requests of a second
    /// are booked together, at its end: a little too long, so that what is stored stays small.
    pub fn book(&mut self, lane: Lane, limit: usize, now: UnixMillis) {
        while self.sent.front().is_some_and(|(at, ..)| now.millis_since(*at) >= VENDOR_WINDOW_MILLIS) {
            self.sent.pop_front();
        }
        let at = if limit > VENDOR_EXACT_REQUESTS { now.plus_millis(999).seconds().millis() } else { now };
        match self.sent.iter_mut().rev().take_while(|(booked, ..)| *booked == at).find(|(_, booked, _)| *booked == lane)
        {
            Some((.., requests)) => *requests = requests.saturating_add(1),
            None => self.sent.push_back((at, lane, 1)),
        }
        self.vendor = self.vendor.filter(|vendor| vendor.until > now);
        if let Some(vendor) = &mut self.vendor {
            vendor.remaining = vendor.remaining.saturating_sub(1);
        }
    }

    /// The vendor asked for silence until `until`; it is never shortened.
    pub fn close_until(&mut self, until: UnixMillis) {
        self.closed_until = self.closed_until.max(until);
    }

    /// The vendor says how many requests it still takes until a moment. Of two counts the lower one holds.
    pub fn heard(&mut self, count: VendorCount) {
        let before = self.vendor.filter(|vendor| vendor.until == count.until);
        let remaining = before.map_or(count.remaining, |before| before.remaining.min(count.remaining));
        self.vendor = Some(VendorCount { remaining, ..count });
    }

    /// Requests that count now.
    #[must_use]
    pub fn counted(&self, now: UnixMillis) -> usize {
        let counted = self.sent.iter().filter(|(at, ..)| now.millis_since(*at) < VENDOR_WINDOW_MILLIS);
        counted.map(|(.., requests)| requests).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(lane: Lane, count: usize) -> RequestWindow {
        let mut window = RequestWindow::default();
        (0..count).for_each(|_| window.book(lane, 60, UnixMillis(0)));
        window
    }

    const NOW: UnixMillis = UnixMillis(10);
    const LATER: UnixMillis = UnixMillis(VENDOR_WINDOW_MILLIS);

    #[test]
    fn window_format_unchanged() {
        let mut window = filled(Lane::Create, 1);
        window.book(Lane::Status, 60, UnixMillis(1));
        window.heard(VendorCount { remaining: 5, until: UnixMillis(9) });
        let text = r#"{"sent":[[0,"c",1],[1,"s",1]],"closed_until":0,"vendor":{"remaining":5,"until":9}}"#;
        assert_eq!(serde_json::to_string(&window).unwrap(), text);
        assert_eq!(serde_json::from_str::<RequestWindow>(text).unwrap(), window);
    }

    #[test]
    fn cancels_find_room_when_nothing_else_does() {
        let mut window = filled(Lane::Create, 30);
        (0..27).for_each(|_| window.book(Lane::Status, 60, UnixMillis(0)));
        assert_eq!(window.earliest(Lane::Create, 60, NOW), LATER);
        assert_eq!(window.earliest(Lane::Other, 60, NOW), LATER);
        assert_eq!(window.earliest(Lane::Cancel, 60, NOW), NOW);
    }

    #[test]
    fn creates_borrow_half_of_what_polls_do_not_use() {
        // 60 less 3 for cancels, 11 of 21 for polls, 2 of 3 for the rest.
        assert_eq!(filled(Lane::Create, 43).earliest(Lane::Create, 60, NOW), NOW);
        let window = filled(Lane::Create, 44);
        assert_eq!(window.earliest(Lane::Create, 60, NOW), LATER);
        assert_eq!(window.earliest(Lane::Status, 60, NOW), NOW);
        assert_eq!(window.earliest(Lane::Other, 60, NOW), NOW);
    }

    #[test]
    fn a_large_grant_is_counted_by_the_second() {
        let mut window = RequestWindow::default();
        (0..5_000).for_each(|millis| window.book(Lane::Create, 100_000, UnixMillis(millis)));
        assert_eq!((window.sent.len(), window.counted(UnixMillis(5_000))), (6, 5_000));
    }

    #[test]
    fn up_to_six_hundred_a_minute_each_request_counts_by_itself_and_for_its_own_minute() {
        let mut window = RequestWindow::default();
        (0..3).for_each(|millis| window.book(Lane::Create, VENDOR_EXACT_REQUESTS, UnixMillis(millis)));
        assert_eq!(window.sent.len(), 3);
        for (millis, counted) in [(-1, 3), (0, 2), (1, 1), (2, 0)] {
            assert_eq!(window.counted(LATER.plus_millis(millis)), counted, "{millis}");
        }
    }

    #[test]
    fn the_other_lane_never_borrows() {
        assert_eq!(filled(Lane::Other, 3).earliest(Lane::Other, 60, NOW), LATER);
    }

    #[test]
    fn the_vendors_silence_holds_for_every_lane() {
        let mut window = RequestWindow::default();
        window.close_until(UnixMillis(500));
        window.close_until(UnixMillis(100));
        assert_eq!(window.earliest(Lane::Cancel, 60, NOW), UnixMillis(500));
    }

    #[test]
    fn the_vendors_count_wins_when_it_says_less() {
        let mut window = RequestWindow::default();
        window.heard(VendorCount { remaining: 4, until: UnixMillis(30_000) });
        assert_eq!(window.earliest(Lane::Create, 60, NOW), NOW);
        window.book(Lane::Create, 60, NOW);
        assert_eq!(window.earliest(Lane::Create, 60, NOW), UnixMillis(30_000));
        assert_eq!(window.earliest(Lane::Cancel, 60, NOW), NOW);
        window.heard(VendorCount { remaining: 50, until: UnixMillis(30_000) });
        assert_eq!(window.earliest(Lane::Create, 60, NOW), UnixMillis(30_000));
        assert_eq!(window.earliest(Lane::Create, 60, UnixMillis(30_000)), UnixMillis(30_000));
    }

    #[test]
    fn the_vendors_count_is_forgotten_when_its_time_comes() {
        let mut window = RequestWindow::default();
        window.heard(VendorCount { remaining: 9, until: UnixMillis(30_000) });
        for (now, remaining) in [(29_999, Some(8)), (30_000, None)] {
            window.book(Lane::Create, 60, UnixMillis(now));
            assert_eq!(window.vendor.map(|vendor| vendor.remaining), remaining, "{now}");
        }
    }

    #[test]
    fn a_limit_of_one_still_lets_one_pass() {
        let mut window = RequestWindow::default();
        assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(0)), UnixMillis(0));
        window.book(Lane::Create, 1, UnixMillis(0));
        assert_eq!(window.earliest(Lane::Create, 1, UnixMillis(5)), LATER);
    }

    proptest! {
        #![proptest_config(crate::testing::property_config())]

        #[test]
        fn no_minute_ever_holds_more_than_the_limit_and_cancels_always_find_three(
            limit in prop_oneof![8_usize..70, 601_usize..610], steps in proptest::collection::vec((0_i64..3_000, 0_usize..4), 1..400)
        ) {
            let mut window = RequestWindow::default();
            let mut now = UnixMillis(0);
            let mut sent = Vec::new();
            for (step, lane) in steps {
                now = now.plus_millis(step);
                let lane = Lane::ALL[lane];
                if window.earliest(lane, limit, now) <= now {
                    window.book(lane, limit, now);
                    sent.push(now);
                }
                let inside = sent.iter().filter(|at| now.millis_since(**at) < 60_000).count();
                prop_assert!(inside <= limit);
                if lane != Lane::Cancel && window.counted(now) + CANCEL_RESERVE_REQUESTS > limit {
                    prop_assert!(window.sent.iter().any(|(_, lane, _)| *lane == Lane::Cancel));
                }
            }
        }

        #[test]
        fn the_time_it_names_is_the_first_that_passes(
            limit in 1_usize..20, lane in 0_usize..4, times in proptest::collection::vec((0_i64..10_000, 0_usize..4), 0..60)
        ) {
            let mut window = RequestWindow::default();
            let mut now = UnixMillis(0);
            for (step, lane) in times {
                now = now.plus_millis(step);
                if window.earliest(Lane::ALL[lane], limit, now) <= now {
                    window.book(Lane::ALL[lane], limit, now);
                }
            }
            let lane = Lane::ALL[lane];
            let earliest = window.earliest(lane, limit, now);
            prop_assert_eq!(window.earliest(lane, limit, earliest), earliest);
            if earliest > now {
                let before = earliest.plus_millis(-1);
                prop_assert!(window.earliest(lane, limit, before) > before);
            }
        }
    }
}
