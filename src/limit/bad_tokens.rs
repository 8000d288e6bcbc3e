//! The detector of callers that try tokens: an isolate counts those that it refuses.

use crate::constants::{BAD_TOKENS_PER_MINUTE, MILLIS_PER_MINUTE};
use crate::types::time::UnixMillis;

/// The refused tokens of a minute of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadTokens {
    minute: i64,
    count: u32,
}

impl BadTokens {
    /// No token was refused yet.
    pub const NEW: Self = Self { minute: 0, count: 0 };

    /// Counts a refused token. Returns whether there are so many in this minute that somebody must look.
    pub const fn add(&mut self, now: UnixMillis) -> bool {
        let minute = now.0.div_euclid(MILLIS_PER_MINUTE);
        if minute != self.minute {
            *self = Self { minute, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count >= BAD_TOKENS_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> UnixMillis {
        UnixMillis(number * MILLIS_PER_MINUTE)
    }

    #[test]
    fn many_refused_tokens_in_a_minute_are_told_and_few_are_not() {
        let mut tokens = BadTokens::NEW;
        let mut add = |now, count: u32| (0..count).filter(|_| tokens.add(now)).count() > 0;
        assert!(!add(minute(1), BAD_TOKENS_PER_MINUTE - 1));
        assert!(!add(minute(2), BAD_TOKENS_PER_MINUTE - 1), "another minute");
        assert!(add(minute(2), 1));
    }
}
