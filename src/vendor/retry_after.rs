//! `Retry-After` (RFC 9110 section 10.2.3): seconds or a date. Some servers send fractions of a second.

use crate::constants::{MILLIS_PER_SECOND, RETRY_AFTER_MAX_SECS, SECONDS_PER_DAY};
use crate::types::time::UnixMillis;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns the seconds of a `Retry-After`, rounded up, from 1 s to an hour. Returns `None` if it is neither a number of
/// seconds nor an HTTP date.
#[must_use]
pub fn retry_after_secs(text: &str, now: UnixMillis) -> Option<i64> {
    let text = text.trim();
    let secs = match parse_seconds(text) {
        Some(secs) => secs,
        None => parse_http_date(text)?
            .millis_since(now)
            .saturating_add(MILLIS_PER_SECOND.saturating_sub(1))
            .div_euclid(MILLIS_PER_SECOND),
    };
    Some(secs.clamp(1, RETRY_AFTER_MAX_SECS))
}

/// Parses seconds and rounds a fraction up. Clamps a number outside the range.
fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let has_fraction = fraction.bytes().any(|byte| byte != b'0');
    Some(whole.parse::<i64>().unwrap_or(i64::MAX).saturating_add(i64::from(has_fraction)))
}

/// Parses a date in one of the three forms of RFC 9110 section 5.6.7:
///
/// - `Sun, 06 Nov 1994 08:49:37 GMT`
/// - `Sunday, 06-Nov-94 08:49:37 GMT`
/// - `Sun Nov  6 08:49:37 1994`
fn parse_http_date(text: &str) -> Option<UnixMillis> {
    let text = text.strip_suffix(" GMT").or_else(|| text.strip_suffix(" UTC")).unwrap_or(text);
    let (date, time) = match text.split_once(',') {
        Some((_, rest)) => rest.trim().rsplit_once(' ')?,
        None => {
            let (rest, year) = text.rsplit_once(' ')?;
            let (date, time) = rest.trim().rsplit_once(' ')?;
            let (_, date) = date.trim().split_once(' ')?;
            let (month, day) = date.trim().split_once(' ')?;
            return to_time(day.trim(), month, year, time);
        }
    };
    let mut parts = date.split([' ', '-']).filter(|part| !part.is_empty());
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() { None } else { to_time(day, month, year, time) }
}

fn to_time(day: &str, month: &str, year: &str, time: &str) -> Option<UnixMillis> {
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let year = match (parse_number(year)?, year.len()) {
        // A two-digit year, from the older RFC 850 form, is in this century.
        (year, 2) => year.saturating_add(2_000),
        (year, 4) => year,
        _ => return None,
    };
    let mut parts = time.split(':').map(parse_number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_time = parts.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    let day = parse_number(day).filter(|day| (1..=31).contains(day))?;
    let seconds = hour.saturating_mul(3_600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
    let days = days_since_epoch(year, i64::try_from(month).ok()?, day);
    is_time.then(|| {
        UnixMillis(days.saturating_mul(SECONDS_PER_DAY).saturating_add(seconds).saturating_mul(MILLIS_PER_SECOND))
    })
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar. `month` counts from 0. The calculation starts
/// the year in March, so that the leap day is the last day of the year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) =
        if month < 2 { (year.saturating_sub(1), month.saturating_add(10)) } else { (year, month.saturating_sub(2)) };
    let leap_days = year.div_euclid(4).saturating_sub(year.div_euclid(100)).saturating_add(year.div_euclid(400));
    // Days of the earlier months: from March on, each group of five months has 153 days.
    let before_month = month.saturating_mul(153).saturating_add(2).div_euclid(5);
    let days = year.saturating_mul(365).saturating_add(leap_days).saturating_add(before_month).saturating_add(day);
    // 719,469 is the day number of 1970-01-01.
    days.saturating_sub(719_469)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_number(text: &str) -> Option<i64> {
    is_digits(text).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-21T07:28:00Z.
    const DATE: UnixMillis = UnixMillis(1_792_567_680_000);

    #[test]
    fn seconds_are_read_and_rounded_up() {
        let cases =
            [("7", 7), (" 7 ", 7), ("1.5", 2), ("2.000", 2), ("0", 1), ("0.2", 1), ("99999999999999999999", 3_600)];
        for (text, secs) in cases {
            assert_eq!(retry_after_secs(text, DATE), Some(secs), "{text}");
        }
    }

    #[test]
    fn a_date_is_read_in_its_three_forms() {
        for text in [
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "Wednesday, 21-Oct-26 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2026",
            "wed, 21 oct 2026 07:28:00",
        ] {
            assert_eq!(retry_after_secs(text, DATE.plus_millis(-7_500)), Some(8), "{text}");
            assert_eq!(retry_after_secs(text, DATE.plus_millis(9_000)), Some(1), "{text}: past");
            assert_eq!(retry_after_secs(text, DATE.plus_millis(-90_000_000)), Some(3_600), "{text}: far");
        }
        assert_eq!(retry_after_secs("Sun Nov  6 08:49:37 1994", UnixMillis(784_111_775_000)), Some(2));
    }

    #[test]
    fn anything_else_is_not_read() {
        for bad in [
            "",
            "-1",
            "soon",
            "1e3",
            "1.",
            ".5",
            "1.5.2",
            "Wed, 21 Oct 2026",
            "Wed, 32 Oct 2026 07:28:00 GMT",
            "Wed, 21 Okt 2026 07:28:00 GMT",
            "Wed, 21 Oct 2026 25:28:00 GMT",
            "Wed, 21 Oct 2026 07:28 GMT",
            "Wed, 21 Oct 226 07:28:00 GMT",
        ] {
            assert_eq!(retry_after_secs(bad, DATE), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        use crate::types::time::UtcDay;
        for day in (-10_000..60_000).step_by(13) {
            let text = UtcDay(day).to_iso_date();
            let mut parts = text.split('-').map(|part| part.parse::<i64>().unwrap());
            let (year, month, of_month) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            assert_eq!(days_since_epoch(year, month - 1, of_month), day, "{text}");
        }
    }
}
