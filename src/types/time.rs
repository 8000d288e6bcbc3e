//! Points in time as integers, and how they are written. Nothing here reads a clock.
//!
//! Every function accepts any `i64`: arithmetic saturates, and no value panics.

use ::time::{Date, Month, OffsetDateTime};
use serde::{Deserialize, Serialize};

use crate::constants::{MILLIS_PER_HOUR, MILLIS_PER_SECOND, SECONDS_PER_DAY};
use crate::parse::digits::parse_digits;

/// Milliseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// Seconds since the Unix epoch (UTC), as in JWT's `NumericDate` (RFC 7519 section 2) without fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

/// A UTC day, counted from 1970-01-01. Credits are accounted by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UtcDay(pub i64);

impl UnixMillis {
    /// Returns the second that contains this millisecond.
    #[must_use]
    pub const fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0.div_euclid(MILLIS_PER_SECOND))
    }

    /// Returns the UTC day that contains this millisecond.
    #[must_use]
    pub const fn utc_day(self) -> UtcDay {
        UtcDay(self.seconds().0.div_euclid(SECONDS_PER_DAY))
    }

    /// Returns this time plus `millis`. Saturates at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds from `earlier` to this time; negative if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the end of the hour that contains this millisecond, or this time if it is a full hour.
    #[must_use]
    pub const fn hour_end(self) -> Self {
        let since = self.0.rem_euclid(MILLIS_PER_HOUR);
        if since == 0 { self } else { self.plus_millis(MILLIS_PER_HOUR.saturating_sub(since)) }
    }

    /// Parses a time as RFC 3339 in UTC, such as `2026-01-15T10:30:00Z`. A fraction of the second is dropped.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut parts = time.split(':');
        let mut number = |most: i64| {
            let part = parts.next().filter(|part| part.len() == 2)?;
            parse_digits::<i64>(part).filter(|number| *number <= most)
        };
        let (hours, minutes, seconds) = (number(23)?, number(59)?, number(59)?);
        let is_complete =
            parts.next().is_none() && !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let day = UtcDay::parse_iso_date(date).filter(|_| is_complete)?;
        let of_day = hours.saturating_mul(60).saturating_add(minutes).saturating_mul(60).saturating_add(seconds);
        Some(day.start().plus_millis(of_day.saturating_mul(MILLIS_PER_SECOND)))
    }

    /// Writes the time as RFC 3339 in UTC with whole seconds, such as `2026-01-15T10:30:00Z`.
    ///
    /// A time outside the years 0–9999 is written as the epoch: no such time is ever stored.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let time = calendar_time(self);
        let (hour, minute, second) = time.to_hms();
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", iso_date(time.date()))
    }
}

impl UnixSeconds {
    /// Returns the first millisecond of this second. Saturates at the ends of the range.
    #[must_use]
    pub const fn millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(MILLIS_PER_SECOND))
    }
}

impl UtcDay {
    /// Returns the first millisecond of this day. Saturates at the ends of the range.
    #[must_use]
    pub const fn start(self) -> UnixMillis {
        UnixSeconds(self.0.saturating_mul(SECONDS_PER_DAY)).millis()
    }

    /// Returns the day after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Parses `YYYY-MM-DD`. Nothing else.
    #[must_use]
    pub fn parse_iso_date(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |length: usize| {
            parts.next().filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let (year, month, day) = (number(4)?.parse().ok()?, number(2)?.parse::<u8>().ok()?, number(2)?.parse().ok()?);
        if parts.next().is_some() {
            return None;
        }
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        Some(UnixSeconds(date.midnight().assume_utc().unix_timestamp()).millis().utc_day())
    }

    /// Writes the day as `YYYY-MM-DD`. A day outside the years 0–9999 is written as 1970-01-01.
    #[must_use]
    pub fn to_iso_date(self) -> String {
        iso_date(calendar_time(self.start()).date())
    }
}

/// Returns the date and time of day in UTC, or the epoch for a time outside the years 0–9999.
fn calendar_time(time: UnixMillis) -> OffsetDateTime {
    let found = OffsetDateTime::from_unix_timestamp(time.seconds().0).ok();
    found.filter(|time| (0..=9_999).contains(&time.year())).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn iso_date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::property_config;

    #[test]
    fn an_hour_ends_at_the_next_full_hour() {
        let noon = UnixMillis(1_768_478_400_000);
        for (time, end) in [
            (noon, noon),
            (noon.plus_millis(1), noon.plus_millis(3_600_000)),
            (noon.plus_millis(3_599_999), noon.plus_millis(3_600_000)),
            (UnixMillis(-1), UnixMillis(0)),
            (UnixMillis(i64::MAX), UnixMillis(i64::MAX)),
        ] {
            assert_eq!(time.hour_end(), end, "{time:?}");
        }
    }

    #[test]
    fn a_time_is_written_as_rfc3339_with_whole_seconds() {
        assert_eq!(UnixMillis(1_768_473_000_999).to_rfc3339(), "2026-01-15T10:30:00Z");
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00Z");
    }

    /// Returns year, month and day of the month of a day since 1970-01-01 in the proleptic Gregorian calendar, without
    /// the `time` crate: eras of 400 years with 146,097 days that begin on March 1, so that the leap day comes last.
    fn civil_date(day: i64) -> (i64, i64, i64) {
        // Days since 0000-03-01.
        let days = day + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        // Without the leap days before it, every year of the era has 365 days.
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
        // Month 0 is March. Any five months from there have 153 days.
        let month = (day_of_year * 5 + 2) / 153;
        let date = day_of_year - (month * 153 + 2) / 5 + 1;
        let year = era * 400 + year_of_era;
        if month < 10 { (year, month + 3, date) } else { (year + 1, month - 9, date) }
    }

    /// Every day of 10,000 years.
    #[test]
    fn the_calendar_is_the_one_of_the_time_crate() {
        for day in -719_528..=2_932_896 {
            let date = calendar_time(UtcDay(day).start()).date();
            let found = (i64::from(date.year()), i64::from(u8::from(date.month())), i64::from(date.day()));
            assert_eq!(found, civil_date(day), "day {day}");
        }
    }

    proptest! {
        #![proptest_config(property_config())]

        /// From 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z.
        #[test]
        fn texts_follow_the_gregorian_calendar(millis in -62_135_596_800_000..=253_402_300_799_999_i64) {
            let (day, second) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000) / 1_000);
            let (year, month, date) = civil_date(day);
            let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
            let expected = format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z");
            prop_assert_eq!(UnixMillis(millis).to_rfc3339(), expected.clone());
            prop_assert_eq!(UnixMillis::parse_rfc3339(&expected), Some(UnixMillis(millis).seconds().millis()));
            prop_assert_eq!(UnixMillis(millis).utc_day().to_iso_date(), &expected[..10]);
            prop_assert_eq!(UtcDay::parse_iso_date(&expected[..10]), Some(UtcDay(day)));
        }

        #[test]
        fn no_time_panics(number: i64) {
            prop_assert_eq!(UnixMillis(number).to_rfc3339().len(), 20);
            prop_assert_eq!(UnixSeconds(number).millis().to_rfc3339().len(), 20);
            prop_assert_eq!(UtcDay(number).to_iso_date().len(), 10);
        }
    }

    #[test]
    fn only_utc_is_read() {
        let time = Some(UnixMillis(1_768_473_000_000));
        assert_eq!(UnixMillis::parse_rfc3339("2026-01-15T10:30:00.999Z"), time);
        for bad in [
            "",
            "Z",
            "2026-01-15",
            "2026-01-15T10:30Z",
            "2026-01-15T10:30:00",
            "2026-01-15T10:30:00+01:00",
            "2026-01-15T24:00:00Z",
            "2026-01-15T10:60:00Z",
            "2026-01-15T10:30:60Z",
            "2026-01-15T10:30:00.Z",
            "2026-01-15T10:30:00.xZ",
            "2026-01-15T1:30:00Z",
            "2026-01-15T10:30:00:00Z",
            "2026-02-30T10:30:00Z",
            "2026-01-15t10:30:00z",
        ] {
            assert_eq!(UnixMillis::parse_rfc3339(bad), None, "{bad}");
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
