//! The wall clock and its text formats. No other file reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Formats a time as ISO 8601 in UTC with whole seconds: `2026-01-15T10:30:00Z`.
pub fn iso8601(time_ms: u64) -> String {
    date_time(time_ms).format(&Rfc3339).unwrap_or_default()
}

/// Formats the UTC day of a time: `2026-01-15`.
pub fn utc_day(time_ms: u64) -> String {
    date_time(time_ms).date().to_string()
}

fn date_time(time_ms: u64) -> OffsetDateTime {
    let seconds = i64::try_from(time_ms / 1000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc_with_whole_seconds() {
        assert_eq!(iso8601(1_768_473_000_999), "2026-01-15T10:30:00Z");
        assert_eq!(utc_day(1_768_473_000_999), "2026-01-15");
    }
}
