//! Rows that only time deletes: when the alarm deletes the next of them.

use serde::Deserialize;

use crate::constants::{FILE_UNUSED_MAX_DAYS, IDLE_LEDGER_MILLIS, JTI_KEPT_MILLIS, MILLIS_PER_DAY, USAGE_DAYS};
use crate::types::ids::FileId;
use crate::types::time::{UnixMillis, UtcDay};

/// For each kind of row, the one that is to be deleted first. `None` if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FirstExpiries {
    /// When the prediction that ended first is to be deleted.
    pub prediction: Option<UnixMillis>,
    /// The first day without reservations.
    pub day: Option<UtcDay>,
    /// The first expiry of a token with caps.
    pub jti: Option<UnixMillis>,
    /// The first expiry of a mark that is not short-lived.
    pub mark: Option<UnixMillis>,
    /// The first day on which a file was last used.
    pub file_used_on: Option<UtcDay>,
    /// A file that was last used on that day.
    pub file: Option<FileId>,
}

impl FirstExpiries {
    /// Returns when the alarm must fire to delete rows, at a full hour, so that it fires once for the rows of an hour.
    ///
    /// - Rows whose time is over already: a day from now. Their deletion was tried, or the alarm that would have tried it
    ///   was lost.
    /// - Without such rows: a week from now. Then only short-lived marks are left.
    pub(super) fn next_deletion(&self, now: UnixMillis) -> UnixMillis {
        let after = |day: UtcDay, days: i64| UtcDay(day.0.saturating_add(days)).start();
        let first = [
            self.prediction,
            self.day.map(|day| after(day, USAGE_DAYS)),
            self.jti.map(|expires_at| expires_at.plus_millis(JTI_KEPT_MILLIS)),
            self.mark,
            self.file_used_on
                .map(|day| after(day, FILE_UNUSED_MAX_DAYS.saturating_add(1)).plus_millis(self.time_of_day())),
        ];
        match first.into_iter().flatten().min().map(UnixMillis::hour_end) {
            Some(at) if at <= now => now.plus_millis(MILLIS_PER_DAY),
            Some(at) => at,
            None => now.plus_millis(IDLE_LEDGER_MILLIS),
        }
    }

    /// Returns the time of day at which the file was uploaded. Every file is forgotten at midnight; if all Ledgers handed
    /// them over then, the Dispatcher would get all their messages at once.
    fn time_of_day(&self) -> i64 {
        let created_at = self.file.as_ref().map_or(UnixMillis(0), FileId::created_at);
        created_at.millis_since(created_at.utc_day().start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::MILLIS_PER_HOUR;

    const HOUR: i64 = MILLIS_PER_HOUR;
    const NOON: UnixMillis = UnixMillis(1_768_478_400_000);

    fn next(expiries: &FirstExpiries) -> i64 {
        expiries.next_deletion(NOON).millis_since(NOON)
    }

    #[test]
    fn the_alarm_fires_at_the_end_of_the_hour_in_which_the_first_row_expires() {
        let today = NOON.utc_day();
        let of_file = FirstExpiries {
            file_used_on: Some(UtcDay(today.0 - 7)),
            file: Some(FileId::new(NOON.plus_millis(-7 * MILLIS_PER_DAY - 2 * HOUR - 1), [1; 10])),
            ..FirstExpiries::default()
        };
        let with = |change: fn(&mut FirstExpiries)| {
            let mut expiries = of_file.clone();
            change(&mut expiries);
            next(&expiries)
        };
        assert_eq!(next(&of_file), 22 * HOUR, "forgotten at midnight, uploaded before ten");
        assert_eq!(with(|first| first.prediction = Some(NOON.plus_millis(HOUR + 1))), 2 * HOUR);
        assert_eq!(with(|first| first.mark = Some(NOON.plus_millis(1))), HOUR);
        assert_eq!(with(|first| first.jti = Some(NOON.plus_millis(3 * HOUR - JTI_KEPT_MILLIS))), 3 * HOUR);
        assert_eq!(with(|first| first.day = Some(UtcDay(NOON.utc_day().0 - 29))), 12 * HOUR);
    }

    #[test]
    fn rows_that_could_not_be_deleted_are_tried_a_day_later() {
        let overdue = FirstExpiries { mark: Some(NOON.plus_millis(-1)), ..FirstExpiries::default() };
        assert_eq!(next(&overdue), MILLIS_PER_DAY);
    }

    #[test]
    fn short_lived_marks_alone_wait_for_a_week() {
        assert_eq!(next(&FirstExpiries::default()), IDLE_LEDGER_MILLIS);
    }
}
