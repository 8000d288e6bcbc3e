//! A user's minute window: requests and creates never exceed their limit in any 60 s (protocol 4).
//!
//! - Creates are counted in buckets of one second. Each create is a durable write.
//! - Requests are drawn in [blocks](super::request_blocks).
//! - Repeats have an allowance of their own, so that a client that is out of requests still finds out what it has
//!   created, and a flood of repeats does not use up its requests.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub use super::request_blocks::Exhausted;
use super::request_blocks::RequestBlocks;
use super::seconds::whole_seconds;
use crate::constants::REPEATS_PER_REQUEST;
use crate::messages::Rate;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The counts of one user, stored as one JSON document (`minute_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteWindow {
    /// Requests.
    #[serde(default)]
    requests: RequestBlocks,
    /// Repeats.
    #[serde(default, skip_serializing_if = "RequestBlocks::is_empty")]
    repeats: RequestBlocks,
    /// Buckets of creates, oldest first. Each has its second (Unix time), and the number of creates in that second.
    #[serde(default)]
    creates: VecDeque<(UnixSeconds, u32)>,
    /// The latest time that this instance has seen. Its clock never goes back (protocol 5).
    #[serde(skip)]
    latest_now: UnixMillis,
}

/// The limit that a request counts against.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimit {
    /// Requests in any minute.
    pub requests_per_minute: u32,
    /// True for a repeat: these are counted apart, and four times as many pass.
    pub is_repeat: bool,
}

/// Seconds for which a bucket of creates counts after its own second. A create may have come at the end of that second,
/// and counts for 60 s.
const CREATE_WINDOW_SECS: i64 = 60;

impl MinuteWindow {
    /// Counts one request. `Ok(true)` means that a block was drawn: store the document before serving the request.
    ///
    /// # Errors
    /// [`Exhausted`] if the limit is reached. Then nothing was counted.
    pub fn take_request(&mut self, limit: u32, now: UnixMillis) -> Result<bool, Exhausted> {
        let now = self.advance(now);
        self.requests.take(limit, now)
    }

    /// Counts one repeat, as [`Self::take_request`] counts requests. `limit` is that of requests; of repeats, four times
    /// as many pass.
    ///
    /// # Errors
    /// [`Exhausted`] if the limit is reached. Then nothing was counted.
    pub fn take_repeat(&mut self, limit: u32, now: UnixMillis) -> Result<bool, Exhausted> {
        let now = self.advance(now);
        self.repeats.take(limit.saturating_mul(REPEATS_PER_REQUEST), now)
    }

    /// Returns how many requests are left, and when the whole limit is available again.
    #[must_use]
    pub fn requests_left(&self, limit: u32, now: UnixMillis) -> Rate {
        self.requests.left(limit, self.monotonic(now))
    }

    /// Counts `count` creates, all or none.
    ///
    /// # Errors
    /// [`Exhausted`] if the limit does not leave room for all of them. Then nothing was counted.
    pub fn take_creates(&mut self, count: u32, limit: u32, now: UnixMillis) -> Result<(), Exhausted> {
        self.check_creates(count, limit, now)?;
        let second = self.advance(now).seconds();
        match self.creates.back_mut() {
            Some((at, before)) if *at == second => *before = before.saturating_add(count),
            _ => self.creates.push_back((second, count)),
        }
        Ok(())
    }

    /// Checks that `count` creates would pass now. Counts nothing.
    ///
    /// # Errors
    /// [`Exhausted`] if the limit does not leave room for all of them.
    pub fn check_creates(&mut self, count: u32, limit: u32, now: UnixMillis) -> Result<(), Exhausted> {
        let now = self.advance(now);
        let second = now.seconds();
        while self.creates.front().is_some_and(|(at, _)| !is_counted(*at, second)) {
            self.creates.pop_front();
        }
        let mut counted: u32 = self.creates.iter().map(|(_, count)| count).sum();
        if counted.saturating_add(count) > limit {
            let mut free_at = second;
            for (at, expired) in &self.creates {
                counted = counted.saturating_sub(*expired);
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

    /// Gives back `count` creates that were refused at a later step.
    pub fn return_creates(&mut self, count: u32, created_at: UnixMillis) {
        let second = created_at.seconds();
        if let Some((_, taken)) = self.creates.iter_mut().rev().find(|(at, _)| *at == second) {
            *taken = taken.saturating_sub(count);
        }
    }

    /// Returns how many creates are left, and when the whole limit is available again.
    #[must_use]
    pub fn creates_left(&self, limit: u32, now: UnixMillis) -> Rate {
        let second = self.monotonic(now).seconds();
        let counted = || self.creates.iter().filter(|(at, count)| is_counted(*at, second) && *count > 0);
        let remaining = limit.saturating_sub(counted().map(|(_, count)| count).sum());
        Rate { limit, remaining, reset: counted().next_back().map_or(second, |(at, _)| free_from(*at)) }
    }

    /// Returns when nothing in the document counts any more.
    #[must_use]
    pub fn ends_at(&self) -> UnixMillis {
        let creates = self.creates.back().map(|(at, _)| free_from(*at).millis());
        self.requests.ends_at().max(self.repeats.ends_at()).max(creates).unwrap_or_default()
    }

    fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest_now = self.monotonic(now);
        self.latest_now
    }

    /// Returns `now`, or the latest time that was seen or counted if that is later.
    fn monotonic(&self, now: UnixMillis) -> UnixMillis {
        let drawn_at = self.requests.drawn_at().max(self.repeats.drawn_at());
        let created_at = self.creates.back().map(|(at, _)| at.millis());
        now.max(self.latest_now).max(drawn_at.max(created_at).unwrap_or(now))
    }
}

/// Returns whether the creates of the second `bucket` count in `second`.
fn is_counted(bucket: UnixSeconds, second: UnixSeconds) -> bool {
    bucket.0 >= second.0.saturating_sub(CREATE_WINDOW_SECS)
}

/// Returns the first second in which the creates of `bucket` do not count.
const fn free_from(bucket: UnixSeconds) -> UnixSeconds {
    UnixSeconds(bucket.0.saturating_add(CREATE_WINDOW_SECS).saturating_add(1))
}

#[cfg(test)]
#[path = "minute_window_tests.rs"]
mod tests;
