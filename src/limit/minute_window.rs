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
    /// Revocations.
    #[serde(default, skip_serializing_if = "RequestBlocks::is_empty")]
    revocations: RequestBlocks,
    /// Buckets of creates, oldest first. Each has its second (Unix time), and the number of creates in that second.
    #[serde(default)]
    creates: VecDeque<(UnixSeconds, u32)>,
    /// The latest time that this instance has seen. Its clock never goes back (protocol 5).
    #[serde(skip)]
    latest_now: UnixMillis,
}

/// The kind of a counted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A request.
    Request,
    /// A repeat. Four times as many as requests pass.
    Repeat,
    /// A holder's revocation, as many as repeats. They are counted apart from these: whoever has stolen a token could
    /// use up the repeats, so that its owner could not revoke it.
    Revocation,
}

/// Seconds for which a bucket of creates counts after its own second. A create may have come at the end of that second,
/// and counts for 60 s.
const CREATE_WINDOW_SECS: i64 = 60;

impl MinuteWindow {
    /// Counts one request. `limit` is in requests per minute. `Ok(true)` means that a block was drawn: store the document
    /// before serving the request.
    ///
    /// # Errors
    /// [`Exhausted`] if the limit is reached. Then nothing was counted.
    pub fn take(&mut self, counted: Counted, limit: u32, now: UnixMillis) -> Result<bool, Exhausted> {
        let now = self.advance(now);
        let repeats = limit.saturating_mul(REPEATS_PER_REQUEST);
        match counted {
            Counted::Request => self.requests.take(limit, now),
            Counted::Repeat => self.repeats.take(repeats, now),
            Counted::Revocation => self.revocations.take(repeats, now),
        }
    }

    /// Returns how many are left of what a request counts as, and when all are available again. `limit` is in requests
    /// per minute.
    #[must_use]
    pub fn left(&self, counted: Counted, limit: u32, now: UnixMillis) -> Rate {
        let (now, repeats) = (self.monotonic(now), limit.saturating_mul(REPEATS_PER_REQUEST));
        match counted {
            Counted::Request => self.requests.left(limit, now),
            Counted::Repeat => self.repeats.left(repeats, now),
            Counted::Revocation => self.revocations.left(repeats, now),
        }
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
        self.blocks().filter_map(RequestBlocks::ends_at).max().max(creates).unwrap_or_default()
    }

    fn blocks(&self) -> impl Iterator<Item = &RequestBlocks> {
        [&self.requests, &self.repeats, &self.revocations].into_iter()
    }

    fn advance(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest_now = self.monotonic(now);
        self.latest_now
    }

    /// Returns `now`, or the latest time that was seen or counted if that is later.
    fn monotonic(&self, now: UnixMillis) -> UnixMillis {
        let drawn_at = self.blocks().filter_map(RequestBlocks::drawn_at).max();
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
