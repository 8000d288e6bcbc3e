//! When a lane may send its next requests.

use std::collections::VecDeque;

use crate::constants::VENDOR_WINDOW_MILLIS;
use crate::types::time::UnixMillis;

/// A lane's requests of the last window and those that are expected, if the other lanes go on as in the last window.
#[derive(Clone, Debug)]
pub struct LaneForecast {
    /// Send time and number of requests that count, oldest first.
    sent: VecDeque<(UnixMillis, usize)>,
    /// The number of requests in `sent`.
    count: usize,
    /// Requests that the lane may send in a window, at least one.
    capacity: usize,
    /// No request before this time.
    open_from: UnixMillis,
}

impl LaneForecast {
    pub(super) fn new(sent: VecDeque<(UnixMillis, usize)>, capacity: usize, open_from: UnixMillis) -> Self {
        let count = sent.iter().map(|(_, requests)| requests).sum();
        Self { sent, count, capacity: capacity.max(1), open_from }
    }

    /// Counts one more request. Returns when it may be sent: `at` or later, and not before those that were counted
    /// already.
    pub fn send(&mut self, at: UnixMillis) -> UnixMillis {
        let mut at = at.max(self.open_from);
        while let Some((sent, requests)) = self.sent.front().copied() {
            let expires_at = sent.plus_millis(VENDOR_WINDOW_MILLIS);
            if self.count < self.capacity && expires_at > at {
                break;
            }
            at = at.max(expires_at);
            self.count = self.count.saturating_sub(requests);
            self.sent.pop_front();
        }
        self.open_from = at;
        self.sent.push_back((at, 1));
        self.count = self.count.saturating_add(1);
        at
    }
}
