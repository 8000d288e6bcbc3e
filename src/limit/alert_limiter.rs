//! The rate limit of alerts: one is raised again only after ten minutes without its cause.

use std::collections::BTreeMap;

use crate::constants::ALERT_QUIET_MILLIS;
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::time::UnixMillis;

/// When each alert's cause was last seen. In memory only: an instance that knows no more than when an alert was raised may
/// raise one whose cause lasts once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLimiter {
    seen_at: BTreeMap<(Alert, Option<String>), UnixMillis>,
}

impl AlertLimiter {
    /// Knows no alert yet.
    pub const NEW: Self = Self { seen_at: BTreeMap::new() };

    /// Knows when alerts were raised.
    #[must_use]
    pub fn since<'a>(raised: impl IntoIterator<Item = (&'a RaisedAlert, UnixMillis)>) -> Self {
        let mut limiter = Self::NEW;
        for (raised, at) in raised {
            let seen_at = limiter.seen_at.entry(cause_of(raised)).or_insert(at);
            *seen_at = (*seen_at).max(at);
        }
        limiter
    }

    /// Records that an alert's cause was seen. Returns whether the alert is to be raised. A clock that steps back raises
    /// it again.
    pub fn admit(&mut self, raised: &RaisedAlert, now: UnixMillis) -> bool {
        self.seen_at.retain(|_, at| is_recent(*at, now));
        self.seen_at.insert(cause_of(raised), now).is_none()
    }
}

fn cause_of(raised: &RaisedAlert) -> (Alert, Option<String>) {
    (raised.alert, raised.cause().map(str::to_owned))
}

fn is_recent(at: UnixMillis, now: UnixMillis) -> bool {
    (0..ALERT_QUIET_MILLIS).contains(&now.millis_since(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_raised_again_after_ten_quiet_minutes() {
        let mut limiter = AlertLimiter::default();
        let mut admit = |at| limiter.admit(&Alert::KeyLeak.into(), UnixMillis(at));
        assert_eq!([0, 1, 599_999, 1_199_998].map(&mut admit), [true, false, false, false], "never quiet");
        assert_eq!([1_799_998, 1_799_999].map(&mut admit), [true, false]);
        assert!(admit(5), "the clock was set back");
        assert!(limiter.admit(&Alert::DeadLetter.into(), UnixMillis(6)));
    }

    #[test]
    fn a_limiter_goes_on_from_the_alerts_that_were_raised() {
        let [leak, dead]: [RaisedAlert; 2] = [Alert::KeyLeak.into(), Alert::DeadLetter.into()];
        let mut limiter = AlertLimiter::since([(&leak, UnixMillis(9)), (&leak, UnixMillis(2)), (&dead, UnixMillis(3))]);
        assert!(!limiter.admit(&leak, UnixMillis(600_008)));
        assert!(limiter.admit(&dead, UnixMillis(600_003)));
    }

    #[test]
    fn each_detail_has_alerts_of_its_own_unless_the_vendor_chose_it() {
        let mut limiter = AlertLimiter::default();
        let mut admit = |alert, detail| limiter.admit(&RaisedAlert::about(alert, detail), UnixMillis(1));
        assert_eq!(["window", "time", "window"].map(|kind| admit(Alert::StateUnreadable, kind)), [true, true, false]);
        assert_eq!(["one", "another"].map(|word| admit(Alert::UnknownVendorStatus, word)), [true, false]);
    }
}
