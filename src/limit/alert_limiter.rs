//! The rate limit of alerts: one is raised again only after ten minutes without its cause.

use std::collections::BTreeMap;

use crate::constants::ALERT_QUIET_MILLIS;
use crate::types::time::UnixMillis;

/// When each alert's cause was last seen. In memory only: a new instance tells a cause that lasts once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLimiter {
    seen_at: BTreeMap<&'static str, UnixMillis>,
}

impl AlertLimiter {
    /// Records that an alert's cause was seen. Returns whether the alert is to be raised. A clock that steps back raises
    /// it again.
    pub fn admit(&mut self, alert: &'static str, now: UnixMillis) -> bool {
        let seen_at = self.seen_at.insert(alert, now);
        seen_at.is_none_or(|at| !(0..ALERT_QUIET_MILLIS).contains(&now.millis_since(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_raised_again_after_ten_quiet_minutes() {
        let mut limiter = AlertLimiter::default();
        let mut admit = |at| limiter.admit("key_leak", UnixMillis(at));
        assert_eq!([0, 1, 599_999, 1_199_998].map(&mut admit), [true, false, false, false], "never quiet");
        assert_eq!([1_799_998, 1_799_999].map(&mut admit), [true, false]);
        assert!(admit(5), "the clock was set back");
        assert!(limiter.admit("another", UnixMillis(6)));
    }
}
