//! Points in time as integers; nothing here reads a clock.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Serialize};

use crate::constants::{MILLIS_PER_SECOND, SECONDS_PER_DAY};

/// Milliseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// Seconds since the Unix epoch (UTC), as in JWT's `NumericDate` (RFC 7519 section 2) without fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

/// A UTC day, counted from 1970-01-01. Credits are booked by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UtcDay(pub i64);

impl UnixMillis {
    /// The second that contains this millisecond.
    #[must_use]
    pub const fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0.div_euclid(MILLIS_PER_SECOND))
    }

    /// The UTC day that contains this millisecond.
    #[must_use]
    pub const fn utc_day(self) -> UtcDay {
        UtcDay(self.seconds().0.div_euclid(SECONDS_PER_DAY))
    }

    /// This time plus `millis`, at the ends of the range where it would overflow.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this; negative when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with whole seconds, such as `2026-01-15T10:30:00Z`.
    ///
    /// A time outside the years 0–9999 gives the epoch: no such time is ever stored.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.seconds().0)
            .ok()
            .and_then(|date| date.format(&Rfc3339).ok())
            .unwrap_or_else(|| String::from("1970-01-01T00:00:00Z"))
    }
}

impl UnixSeconds {
    /// The first millisecond of this second.
    #[must_use]
    pub const fn millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(MILLIS_PER_SECOND))
    }
}

impl UtcDay {
    /// The first millisecond of this day.
    #[must_use]
    pub const fn start(self) -> UnixMillis {
        UnixSeconds(self.0.saturating_mul(SECONDS_PER_DAY)).millis()
    }

    /// The day after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// `YYYY-MM-DD`.
    #[must_use]
    pub fn to_iso_date(self) -> String {
        self.start().to_rfc3339().split('T').next().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc3339_with_whole_seconds() {
        assert_eq!(UnixMillis(1_768_473_000_999).to_rfc3339(), "2026-01-15T10:30:00Z");
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn days_change_at_midnight_utc() {
        let midnight = UnixSeconds(1_768_435_200);
        assert_eq!(midnight.millis().utc_day().to_iso_date(), "2026-01-15");
        assert_eq!(midnight.millis().plus_millis(-1).utc_day().to_iso_date(), "2026-01-14");
        assert_eq!(midnight.millis().utc_day().start(), midnight.millis());
        assert_eq!(midnight.millis().utc_day().next().to_iso_date(), "2026-01-16");
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        assert_eq!(UnixMillis(-1).seconds(), UnixSeconds(-1));
        assert_eq!(UnixMillis(-1).utc_day(), UtcDay(-1));
    }
}
