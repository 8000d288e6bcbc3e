//! The exact sliding window over vendor requests: never more than the limit in any minute, shared by lanes (protocol
//! 4).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::lane_forecast::LaneForecast;
use crate::constants::{CANCEL_RESERVE_REQUESTS, LANE_PERCENT, VENDOR_EXACT_REQUESTS, VENDOR_WINDOW_MILLIS};
use crate::types::time::UnixMillis;

/// The purpose of a vendor request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
pub enum Lane {
    /// Creates.
    #[serde(rename = "c")]
    Create,
    /// Polls.
    #[serde(rename = "s")]
    Status,
    /// Cancels. Requests are reserved for them.
    #[serde(rename = "x")]
    Cancel,
    /// The model list, streams and files.
    #[serde(rename = "o")]
    Other,
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

    /// Returns this lane's share of `limit` requests per minute, at least one.
    #[must_use]
    pub fn share(self, limit: usize) -> usize {
        let percent = LANE_PERCENT.get(self.index()).copied().unwrap_or_default();
        limit.saturating_mul(percent).div_euclid(100).max(1)
    }
}

/// The vendor's own count, from its `X-RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorCount {
    /// Requests that the vendor still accepts.
    pub remaining: u32,
    /// The end of the count, when the vendor's window starts anew.
    pub until: UnixMillis,
}

/// The send times of the last 61 s, and the vendor's own count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestWindow {
    /// Send time, lane and number of requests, oldest first.
    #[serde(default)]
    sent: VecDeque<(UnixMillis, Lane, usize)>,
    /// No request before this time: the vendor throttled us.
    #[serde(default)]
    closed_until: UnixMillis,
    /// The vendor's count, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorCount>,
}

/// The number of counted requests in each lane.
#[derive(Clone, Copy)]
struct Counts([usize; 4]);

impl Counts {
    fn get(&self, lane: Lane) -> usize {
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

    /// Returns whether `lane` may send one more request: whether it has sent fewer than its [`Counts::capacity`].
    fn allow(&self, lane: Lane, limit: usize) -> bool {
        self.get(lane) < self.capacity(lane, limit)
    }

    /// Returns how many requests `lane` may send in the window, beside those of the other lanes.
    ///
    /// - A lane within its share needs room beside the requests that are reserved for cancels.
    /// - A lane that has used its share borrows from the others, but leaves them half of what they have not used.
    fn capacity(&self, lane: Lane, limit: usize) -> usize {
        let total: usize = self.0.iter().sum();
        let room = limit.saturating_sub(total.saturating_sub(self.get(lane)));
        let reserved = CANCEL_RESERVE_REQUESTS.min(limit.saturating_sub(1));
        let unreserved = room.saturating_sub(reserved);
        match lane {
            Lane::Cancel => room,
            Lane::Other => lane.share(limit).min(unreserved),
            Lane::Create | Lane::Status => {
                let others = Lane::VARIANTS.iter().filter(|other| **other != lane && **other != Lane::Cancel);
                let unused: usize =
                    others.map(|other| other.share(limit).saturating_sub(self.get(*other)).div_ceil(2)).sum();
                lane.share(limit).min(unreserved).max(unreserved.saturating_sub(unused))
            }
        }
    }
}

impl RequestWindow {
    /// Returns the earliest time at which `lane` may send a request: `now` or later. `limit` is in requests per minute.
    #[must_use]
    pub fn earliest(&self, lane: Lane, limit: usize, now: UnixMillis) -> UnixMillis {
        self.earliest_after(0, lane, limit, now)
    }

    /// Returns the earliest time at which `lane` may send a request after `ahead` others that it sends before.
    #[must_use]
    pub fn earliest_after(&self, ahead: usize, lane: Lane, limit: usize, now: UnixMillis) -> UnixMillis {
        let open = self.open_from(lane, now);
        if ahead >= lane.share(limit) {
            // More than the lane sends in a whole window.
            return now.plus_millis(VENDOR_WINDOW_MILLIS).max(open);
        }
        let mut counts = Counts([0; 4]);
        counts.add(lane, ahead);
        let counted = || self.sent.iter().filter(|(at, ..)| now.millis_since(*at) < VENDOR_WINDOW_MILLIS);
        counted().for_each(|(_, lane, requests)| counts.add(*lane, *requests));
        if counts.allow(lane, limit) {
            return open;
        }
        for (at, expired, requests) in counted() {
            counts.remove(*expired, *requests);
            if counts.allow(lane, limit) {
                return at.plus_millis(VENDOR_WINDOW_MILLIS).max(open);
            }
        }
        open
    }

    /// Returns when `lane` may send its next requests, if the other lanes go on as in the last window.
    #[must_use]
    pub fn forecast(&self, lane: Lane, limit: usize, now: UnixMillis) -> LaneForecast {
        let counted = || self.sent.iter().filter(|(at, ..)| now.millis_since(*at) < VENDOR_WINDOW_MILLIS);
        let mut counts = Counts([0; 4]);
        counted().for_each(|(_, of, requests)| counts.add(*of, *requests));
        let own = counted().filter(|(_, of, _)| *of == lane).map(|(at, _, requests)| (*at, *requests)).collect();
        LaneForecast::new(own, counts.capacity(lane, limit), self.open_from(lane, now))
    }

    /// Returns the earliest time at which the vendor accepts a request, by its own count. The last requests of that
    /// count are reserved for cancels.
    fn open_from(&self, lane: Lane, now: UnixMillis) -> UnixMillis {
        let reserved = if lane == Lane::Cancel { 0 } else { CANCEL_RESERVE_REQUESTS };
        let vendor = self.vendor.filter(|vendor| usize::try_from(vendor.remaining).unwrap_or(usize::MAX) <= reserved);
        now.max(self.closed_until).max(vendor.map_or(now, |vendor| vendor.until))
    }

    /// Records a request that is sent now, and drops requests that no longer count.
    ///
    /// With a large limit the requests of one second are recorded together, at the end of the second. They count up to
    /// a second too long, and the stored document stays small.
    pub fn record(&mut self, lane: Lane, limit: usize, now: UnixMillis) {
        while self.sent.front().is_some_and(|(at, ..)| now.millis_since(*at) >= VENDOR_WINDOW_MILLIS) {
            self.sent.pop_front();
        }
        let at = if limit > VENDOR_EXACT_REQUESTS { now.plus_millis(999).seconds().millis() } else { now };
        let mut newest = self.sent.iter_mut().rev().take_while(|(recorded, ..)| *recorded == at);
        match newest.find(|(_, recorded, _)| *recorded == lane) {
            Some((.., requests)) => *requests = requests.saturating_add(1),
            None => self.sent.push_back((at, lane, 1)),
        }
        self.vendor = self.vendor.filter(|vendor| vendor.until > now);
        if let Some(vendor) = &mut self.vendor {
            vendor.remaining = vendor.remaining.saturating_sub(1);
        }
    }

    /// Returns the time of the newest request of a lane, while it counts.
    #[must_use]
    pub fn newest_of(&self, lane: Lane) -> Option<UnixMillis> {
        self.sent.iter().rev().find(|(_, of, _)| *of == lane).map(|(at, ..)| *at)
    }

    /// Returns the time of the newest request.
    #[must_use]
    pub fn newest(&self) -> Option<UnixMillis> {
        self.sent.iter().map(|(at, ..)| *at).max()
    }

    /// Forgets requests later than `now` and ends later pauses, after the clock was set back.
    pub fn set_back(&mut self, now: UnixMillis) {
        self.sent.retain(|(at, ..)| *at <= now);
        self.closed_until = self.closed_until.min(now);
        self.vendor = self.vendor.filter(|vendor| vendor.until <= now);
    }

    /// Lets no request pass before `until`, after the vendor throttled one. A later time stands.
    pub fn close_until(&mut self, until: UnixMillis) {
        self.closed_until = self.closed_until.max(until);
    }

    /// Applies the vendor's count. Of two counts with the same end the lower one stands.
    pub fn apply_vendor_count(&mut self, count: VendorCount) {
        let before = self.vendor.filter(|vendor| vendor.until == count.until);
        let remaining = before.map_or(count.remaining, |before| before.remaining.min(count.remaining));
        self.vendor = Some(VendorCount { remaining, ..count });
    }

    /// Returns how many requests were sent at `from` or later, as far back as the window goes.
    #[must_use]
    pub fn count_since(&self, from: UnixMillis) -> usize {
        self.sent.iter().filter(|(at, ..)| *at >= from).map(|(.., requests)| requests).sum()
    }

    /// Returns how many requests count now.
    #[must_use]
    pub fn count(&self, now: UnixMillis) -> usize {
        let counted = self.sent.iter().filter(|(at, ..)| now.millis_since(*at) < VENDOR_WINDOW_MILLIS);
        counted.map(|(.., requests)| requests).sum()
    }
}

#[cfg(test)]
#[path = "request_window_tests.rs"]
mod tests;
