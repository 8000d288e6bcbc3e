//! A sliding window over request times.

use std::collections::VecDeque;

/// The vendor's window: a minute in milliseconds.
pub const WINDOW_MS: u64 = 60_000;

/// The times of the requests in the last minute.
#[derive(Debug, Default)]
pub struct RateWindow {
    times_ms: VecDeque<u64>,
    max: usize,
}

/// A window compared with a limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowStatus {
    /// Requests that would be admitted now.
    pub remaining: u64,
    /// When the oldest request leaves the window, in milliseconds since the epoch; now for an empty window.
    pub next_free_ms: u64,
}

impl RateWindow {
    /// Counts one request.
    pub fn add(&mut self, now_ms: u64) {
        self.prune(now_ms);
        self.times_ms.push_back(now_ms);
        self.max = self.max.max(self.times_ms.len());
    }

    /// Returns the number of requests in the minute that ends now.
    pub fn count(&mut self, now_ms: u64) -> usize {
        self.prune(now_ms);
        self.times_ms.len()
    }

    /// Returns the highest number of requests in any minute.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Compares this window with `limit`.
    pub fn status(&mut self, limit: u64, now_ms: u64) -> WindowStatus {
        let used = u64::try_from(self.count(now_ms)).unwrap_or(u64::MAX);
        let next_free_ms = self.times_ms.front().map_or(now_ms, |oldest| oldest + WINDOW_MS);
        WindowStatus { remaining: limit.saturating_sub(used), next_free_ms }
    }

    /// Drops requests that are a minute old. A request at `t` counts until just before `t + WINDOW_MS`.
    fn prune(&mut self, now_ms: u64) {
        while self.times_ms.front().is_some_and(|oldest| oldest + WINDOW_MS <= now_ms) {
            self.times_ms.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_exactly_one_minute() {
        let mut window = RateWindow::default();
        window.add(1_000);
        window.add(2_000);
        assert_eq!(window.status(2, 60_999), WindowStatus { remaining: 0, next_free_ms: 61_000 });
        assert_eq!(window.status(2, 61_000), WindowStatus { remaining: 1, next_free_ms: 62_000 });
        assert_eq!(window.count(62_000), 0);
        assert_eq!(window.max(), 2);
    }
}
