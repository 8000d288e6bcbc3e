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

/// Reads `from` and `to`, by default all days that are kept. Days before and after these are cut off, so that the range may
/// be empty: then its first day is after its last.
///
/// # Errors
/// A text that is no date, or a given `from` after a given `to`.
pub fn parse_days(from: Option<&str>, to: Option<&str>, today: UtcDay) -> Result<(UtcDay, UtcDay), BadParameter> {
    let (first, last) = (first_kept_day(today), today);
    let parse = |name, text: Option<&str>| {
        text.map(|text| UtcDay::parse_iso_date(text).ok_or((name, Violation::plain(Rule::Format)))).transpose()
    };
    let (from, to) = (parse("from", from)?, parse("to", to)?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(("from", Violation::new(Rule::Max, to.to_iso_date())));
    }
    Ok((from.map_or(first, |from| from.max(first)), to.map_or(last, |to| to.min(last))))
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
    fn a_range_of_days_that_are_not_kept_is_empty() {
        let is_empty = |from, to| parse_days(from, to, TODAY).map(|(from, to)| from > to);
        for (from, to) in
            [(None, Some("1034-04-07")), (Some("2999-01-01"), None), (Some("1999-01-01"), Some("2000-01-01"))]
        {
            assert_eq!(is_empty(from, to), Ok(true), "{from:?} {to:?}");
        }
        assert_eq!(is_empty(None, Some("2026-01-15")), Ok(false));
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
