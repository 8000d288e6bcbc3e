//! Points in time as integers; nothing here reads a clock.

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
        let day = self.utc_day();
        let (year, month, date) = day.civil();
        if !(0..=9_999).contains(&year) {
            return String::from("1970-01-01T00:00:00Z");
        }
        let second = self.seconds().0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) =
            (second.div_euclid(3_600), second.div_euclid(60).rem_euclid(60), second.rem_euclid(60));
        format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
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

    /// Year, month and day of the month in the proleptic Gregorian calendar: 400 years of 146,097 days that begin on a
    /// 1 March, so that the leap day is a year's last.
    const fn civil(self) -> (i64, i64, i64) {
        // From 0000-03-01.
        let days = self.0.saturating_add(719_468);
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        // Without the leap days before it, every year of the era has 365.
        let leap_days = day_of_era
            .div_euclid(1_460)
            .saturating_sub(day_of_era.div_euclid(36_524))
            .saturating_add(day_of_era.div_euclid(146_096));
        let year_of_era = day_of_era.saturating_sub(leap_days).div_euclid(365);
        let first = year_of_era
            .saturating_mul(365)
            .saturating_add(year_of_era.div_euclid(4))
            .saturating_sub(year_of_era.div_euclid(100));
        let day_of_year = day_of_era.saturating_sub(first);
        // March is 0. Five months have 153 days, wherever they begin.
        let month = day_of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
        let day =
            day_of_year.saturating_sub(month.saturating_mul(153).saturating_add(2).div_euclid(5)).saturating_add(1);
        let year = era.saturating_mul(400).saturating_add(year_of_era);
        if month < 10 {
            (year, month.saturating_add(3), day)
        } else {
            (year.saturating_add(1), month.saturating_sub(9), day)
        }
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

    /// Every day of the 10,000 years, beside a crate that is used in tests alone.
    #[test]
    fn the_calendar_is_the_one_of_the_time_crate() {
        for day in -719_528..=2_932_896 {
            let date = ::time::Date::from_julian_day(day + 2_440_588).unwrap();
            let expected = (i64::from(date.year()), i64::from(u8::from(date.month())), i64::from(date.day()));
            assert_eq!(UtcDay(i64::from(day)).civil(), expected, "day {day}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_written_and_nothing_beyond() {
        assert_eq!(UnixMillis(253_402_300_799_999).to_rfc3339(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixMillis(-62_167_219_200_000).to_rfc3339(), "0000-01-01T00:00:00Z");
        for outside in [i64::MIN, -62_167_219_200_001, 253_402_300_800_000, i64::MAX] {
            assert_eq!(UnixMillis(outside).to_rfc3339(), "1970-01-01T00:00:00Z");
        }
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
