//! The range of days that a request names.

use super::BadParameter;
use crate::constants::SPEND_DAYS;
use crate::types::time::UtcDay;
use crate::wire::violation::{Rule, Violation};

/// Returns the first of the days that are kept: the last is today.
#[must_use]
pub const fn first_kept_day(today: UtcDay) -> UtcDay {
    UtcDay(today.0.saturating_sub(SPEND_DAYS).saturating_add(1))
}

/// Reads `from` and `to`, by default all days that are kept. Days before and after these are cut off.
///
/// # Errors
/// A text that is no date, or a `from` after `to`.
pub fn parse_days(from: Option<&str>, to: Option<&str>, today: UtcDay) -> Result<(UtcDay, UtcDay), BadParameter> {
    let (first, last) = (first_kept_day(today), today);
    let parse = |name, text: Option<&str>, default| match text {
        None => Ok(default),
        Some(text) => UtcDay::parse_iso_date(text).ok_or((name, Violation::plain(Rule::Format))),
    };
    let (from, to) = (parse("from", from, first)?, parse("to", to, last)?);
    if from > to {
        return Err(("from", Violation::new(Rule::Max, to.to_iso_date())));
    }
    Ok((from.max(first), to.min(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: UtcDay = UtcDay(20_468);

    #[test]
    fn the_default_is_all_days_that_are_kept() {
        assert_eq!(parse_days(None, None, TODAY), Ok((UtcDay(20_379), TODAY)));
        assert_eq!(parse_days(Some("1999-01-01"), Some("2999-01-01"), TODAY), Ok((UtcDay(20_379), TODAY)));
        assert_eq!(parse_days(Some("2026-01-15"), Some("2026-01-15"), TODAY), Ok((TODAY, TODAY)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["", "2026-1-15", "2026-02-30", "2026-01-15 ", "+026-01-15", "20260115", "2026-01-1é"] {
            assert_eq!(parse_days(Some(bad), None, TODAY), Err(("from", Violation::plain(Rule::Format))), "{bad}");
        }
        let reversed = parse_days(Some("2026-01-15"), Some("2026-01-14"), TODAY);
        assert_eq!(reversed, Err(("from", Violation::new(Rule::Max, "2026-01-14"))));
    }
}
