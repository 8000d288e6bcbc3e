//! A user's minute window: requests and creates never exceed their limit in any 60 s (protocol 4).
//!
//! - Creates are counted in buckets of one second. Each create is a durable write.
//! - Requests are drawn in blocks of a tenth of the limit. Drawing a block is one durable write; then the block serves
//!   from memory for 5 s. It counts for 65 s from its draw, so that a request at its end counts for a whole minute.
//!   The next draw gives back what the block did not serve.
//! - An instance that dies loses the number served from its last block. That block then counts as a whole, which costs
//!   the user at most a tenth of the limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::seconds::whole_seconds;
use crate::constants::{REQUEST_BLOCK_MILLIS, REQUEST_BLOCKS_PER_LIMIT, REQUEST_WINDOW_MILLIS};
use crate::messages::Rate;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The counts of one user, stored as one JSON document (`minute_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteWindow {
    /// Blocks of requests, oldest first. Each has the time of its draw, and its size.
    #[serde(default)]
    requests: VecDeque<(UnixMillis, u32)>,
    /// Buckets of creates, oldest first. Each has its second (Unix time), and the number of creates in that second.
    #[serde(default)]
    creates: VecDeque<(UnixSeconds, u32)>,
    /// Requests that this instance served from the newest block. `None` after a load: the number is not known.
    #[serde(skip)]
    served: Option<u32>,
    /// The latest time that this instance has seen. Its clock never goes back (protocol 5).
    #[serde(skip)]
    latest_now: UnixMillis,
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whole seconds until a retry can pass, at least one.
    pub retry_after_secs: u32,
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

    /// Returns how many requests are left, and when the whole limit is available again.
    #[must_use]
    pub fn requests_left(&self, limit: u32, now: UnixMillis) -> Rate {
        let now = self.monotonic(now);
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
        let requests = self.requests.back().map(|(at, _)| at.plus_millis(REQUEST_WINDOW_MILLIS));
        let creates = self.creates.back().map(|(at, _)| free_from(*at).millis());
        requests.max(creates).unwrap_or_default()
    }

    fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest_now = self.monotonic(now);
        self.latest_now
    }

    /// Returns `now`, or the latest time that was seen or counted if that is later.
    fn monotonic(&self, now: UnixMillis) -> UnixMillis {
        let requests = self.requests.back().map_or(now, |(at, _)| *at);
        let creates = self.creates.back().map_or(now, |(at, _)| at.millis());
        now.max(self.latest_now).max(requests).max(creates)
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
