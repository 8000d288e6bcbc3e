//! The detector of a leaked vendor key: somebody else uses up its requests.
//!
//! The vendor reports with each response how many requests of the key's minute are used (vendor-api 5). More than our own
//! and the expected ones were made by somebody else. The detector sends nothing itself, so an idle deployment notices
//! nothing.

use crate::constants::{KEY_LEAK_TOLERANCE_REQUESTS, SECONDS_PER_MINUTE};
use crate::types::time::UnixSeconds;

/// A report of the vendor, compared with our own requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// When the vendor's minute ends: `X-RateLimit-Reset`.
    pub reset: UnixSeconds,
    /// Requests of that minute, by anybody: `X-RateLimit-Limit` − `X-RateLimit-Remaining`.
    pub used: usize,
    /// Our own of them.
    pub own: usize,
    /// Requests a minute that other programs are expected to make.
    pub expected_other: usize,
}

impl KeyUsage {
    /// Returns whether somebody else used the key more than expected.
    const fn is_exceeded(&self) -> bool {
        let explained = self.own.saturating_add(self.expected_other).saturating_add(KEY_LEAK_TOLERANCE_REQUESTS);
        self.used > explained
    }
}

/// Two minutes in a row with more requests than are explained are a leak: a single one may be a burst on the way, or a
/// restart that lost count. In memory only, because a leak goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLeakDetector {
    /// The minute of the newest report, counted from the epoch.
    minute: i64,
    /// True if a report of this minute exceeded what is explained.
    is_exceeded: bool,
    /// True if one of the minute before did.
    was_exceeded: bool,
}

impl KeyLeakDetector {
    /// Takes a report. Returns whether somebody else has used the key for two minutes in a row.
    pub const fn observe(&mut self, usage: &KeyUsage) -> bool {
        let minute = usage.reset.0.div_euclid(SECONDS_PER_MINUTE);
        if minute > self.minute {
            self.was_exceeded = self.is_exceeded && minute.saturating_sub(1) == self.minute;
            self.is_exceeded = false;
            self.minute = minute;
        }
        // Responses can overtake each other. One of an earlier minute says nothing about this one.
        if minute == self.minute && usage.is_exceeded() {
            self.is_exceeded = true;
        }
        self.is_exceeded && self.was_exceeded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::property_config;

    fn usage(minute: i64, used: usize, own: usize) -> KeyUsage {
        KeyUsage { reset: UnixSeconds(minute * 60 + 30), used, own, expected_other: 10 }
    }

    #[test]
    fn two_minutes_in_a_row_are_a_leak_and_one_is_none() {
        let mut detector = KeyLeakDetector::default();
        assert!(!detector.observe(&usage(100, 30, 5)));
        assert!(!detector.observe(&usage(100, 40, 5)), "still the same minute");
        assert!(!detector.observe(&usage(101, 18, 5)), "explained: 5 + 10 + 3");
        assert!(detector.observe(&usage(101, 19, 5)));
        assert!(!detector.observe(&usage(102, 18, 5)));
        assert!(!detector.observe(&usage(103, 40, 5)), "not in a row");
        assert!(!detector.observe(&usage(105, 40, 5)), "nothing was heard in between");
        assert!(detector.observe(&usage(106, 40, 5)));
    }

    #[test]
    fn a_late_report_of_an_earlier_minute_changes_nothing() {
        let mut detector = KeyLeakDetector::default();
        detector.observe(&usage(101, 5, 5));
        assert!(!detector.observe(&usage(100, 60, 5)));
        assert!(!detector.observe(&usage(102, 60, 5)));
    }

    proptest! {
        #![proptest_config(property_config())]

        #[test]
        fn requests_that_are_explained_are_never_a_leak(
            reports in proptest::collection::vec((100_i64..110, 0_usize..60, 0_usize..14), 1..50),
        ) {
            let mut detector = KeyLeakDetector::default();
            for (minute, own, other) in reports {
                prop_assert!(!detector.observe(&usage(minute, own + other, own)));
            }
        }
    }
}
