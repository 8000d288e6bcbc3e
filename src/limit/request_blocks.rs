//! Requests of a user's minute, drawn in blocks (protocol 4).
//!
//! - A block is a tenth of the limit. Drawing one is one durable write; then the block serves from memory for 5 s. It
//!   counts for 65 s from its draw, so that a request at its end counts for a whole minute. The next draw gives back what
//!   the block did not serve.
//! - An instance that dies loses the number served from its last block. That block then counts as a whole, which costs
//!   the user at most a tenth of the limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::seconds::whole_seconds;
use crate::constants::{REQUEST_BLOCK_MILLIS, REQUEST_BLOCKS_PER_LIMIT, REQUEST_WINDOW_MILLIS};
use crate::messages::Rate;
use crate::types::time::UnixMillis;

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whole seconds until a retry can pass, at least one.
    pub retry_after_secs: u32,
}

/// The blocks that count, stored as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RequestBlocks {
    /// Oldest first. Each has the time of its draw, and its size.
    drawn: VecDeque<(UnixMillis, u32)>,
    /// Requests that this instance served from the newest block. `None` after a load: the number is not known.
    #[serde(skip)]
    served: Option<u32>,
}

impl RequestBlocks {
    pub(super) fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Returns when the newest block was drawn.
    pub(super) fn drawn_at(&self) -> Option<UnixMillis> {
        self.drawn.back().map(|(at, _)| *at)
    }

    /// Returns when no block counts any more.
    pub(super) fn ends_at(&self) -> Option<UnixMillis> {
        self.drawn_at().map(|at| at.plus_millis(REQUEST_WINDOW_MILLIS))
    }

    /// Counts one request. `Ok(true)` means that a block was drawn.
    pub(super) fn take(&mut self, limit: u32, now: UnixMillis) -> Result<bool, Exhausted> {
        if let (Some(served), Some((drawn_at, size))) = (self.served, self.drawn.back_mut()) {
            if now.millis_since(*drawn_at) <= REQUEST_BLOCK_MILLIS && served < *size {
                self.served = Some(served.saturating_add(1));
                return Ok(false);
            }
            *size = served;
            self.served = None;
        }
        while self.drawn.front().is_some_and(|(at, _)| now.millis_since(*at) >= REQUEST_WINDOW_MILLIS) {
            self.drawn.pop_front();
        }
        let left = limit.saturating_sub(self.drawn.iter().map(|(_, count)| count).sum());
        if left == 0 {
            let oldest = self.drawn.front().map_or(now, |(at, _)| *at);
            let wait = oldest.plus_millis(REQUEST_WINDOW_MILLIS).millis_since(now);
            return Err(Exhausted { retry_after_secs: whole_seconds(wait) });
        }
        self.drawn.push_back((now, limit.div_ceil(REQUEST_BLOCKS_PER_LIMIT).min(left)));
        self.served = Some(1);
        Ok(true)
    }

    /// Returns how many requests are left, and when the whole limit is available again.
    pub(super) fn left(&self, limit: u32, now: UnixMillis) -> Rate {
        let counted = || self.drawn.iter().filter(|(at, _)| now.millis_since(*at) < REQUEST_WINDOW_MILLIS);
        let drawn: u32 = counted().map(|(_, count)| count).sum();
        let unserved = match (self.served, self.drawn.back()) {
            (Some(served), Some((_, size))) => size.saturating_sub(served),
            _ => 0,
        };
        let full_at = counted().next_back().map_or(now, |(at, _)| at.plus_millis(REQUEST_WINDOW_MILLIS));
        let remaining = limit.saturating_sub(drawn.saturating_sub(unserved));
        Rate { limit, remaining, reset: full_at.plus_millis(999).seconds() }
    }
}
