//! The deadline of a message: its sender gives up then.

use serde::{Deserialize, Serialize};

use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::types::time::UnixMillis;

/// The time of sending, and how long the sender waits after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Time of sending, by the sender's clock.
    pub sent_at_ms: UnixMillis,
    /// Milliseconds for which the sender waits.
    pub ttl_ms: i64,
}

impl Deadline {
    /// Returns the deadline `ttl_ms` after `now`.
    #[must_use]
    pub const fn after(now: UnixMillis, ttl_ms: i64) -> Self {
        Self { sent_at_ms: now, ttl_ms }
    }

    /// Returns whether the sender has given up. The clocks of two objects may differ by 2 s (protocol 5).
    #[must_use]
    pub const fn is_expired(self, now: UnixMillis) -> bool {
        now.millis_since(self.sent_at_ms) > self.ttl_ms.saturating_add(ACK_TIMEOUT_MILLIS)
    }
}
