//! The table `spend` (docs/schema.md): a row for each UTC day, plan, model and user.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::sql::{Sql, Statement};
use crate::constants::{MAX_CREDITS_MICROS, SPEND_PAGE_MAX};
use crate::dispatcher::Booking;
use crate::messages::{SpendColumns, SpendGroup, SpendQuery, SpendRow};
use crate::types::ids::UserKey;
use crate::types::time::UtcDay;

/// Books a prediction. No sum exceeds what JavaScript's numbers hold exactly.
pub fn book(booking: &Booking) -> Statement {
    let Booking { day, plan, model, user, credits } = booking;
    Statement::new(
        "INSERT INTO spend (day, plan, model, user, credits, predictions) VALUES (?, ?, ?, ?, ?, 1) \
         ON CONFLICT (day, plan, model, user) DO UPDATE SET credits = MIN(credits + excluded.credits, ?), \
         predictions = predictions + 1",
        [
            json!(day),
            json!(plan),
            json!(model),
            json!(user_column(user.as_ref())),
            json!(credits),
            json!(MAX_CREDITS_MICROS),
        ],
    )
}

/// Returns the column `user`: empty for a user that was deleted.
fn user_column(user: Option<&UserKey>) -> &str {
    user.map_or("", UserKey::as_str)
}

/// Adds a user's rows to those of no user, so that the sums stay, and deletes them.
pub fn forget(user: &UserKey) -> [Statement; 2] {
    [
        Statement::new(
            "INSERT INTO spend (day, plan, model, user, credits, predictions) \
             SELECT day, plan, model, '', credits, predictions FROM spend WHERE user = ? \
             ON CONFLICT (day, plan, model, user) DO UPDATE SET credits = MIN(credits + excluded.credits, ?), \
             predictions = predictions + excluded.predictions",
            [json!(user), json!(MAX_CREDITS_MICROS)],
        ),
        Statement::new("DELETE FROM spend WHERE user = ?", [json!(user)]),
    ]
}

/// Returns whether a user has spent anything.
pub fn has_user(sql: &Sql, user: &UserKey) -> ActorResult<bool> {
    let found: Vec<IgnoredAny> = sql.rows("SELECT user FROM spend WHERE user = ? LIMIT 1", &[json!(user)])?;
    Ok(!found.is_empty())
}

/// The number of predictions of a day that have ended. SQL adds up the day's rows once: a page that is open asks every
/// few seconds, and the platform bills each row that is read.
#[derive(Default)]
pub struct DayCount {
    counted: Cell<Option<(UtcDay, u64)>>,
}

impl DayCount {
    /// Returns the number of a day.
    pub fn read(&self, sql: &Sql, day: UtcDay) -> ActorResult<u64> {
        if let Some((_, count)) = self.counted.get().filter(|(counted, _)| *counted == day) {
            return Ok(count);
        }
        let sums: Vec<DaySum> =
            sql.rows("SELECT COALESCE(SUM(predictions), 0) AS predictions FROM spend WHERE day = ?", &[json!(day)])?;
        let count = sums.first().map_or(0, |sum| sum.predictions);
        self.counted.set(Some((day, count)));
        Ok(count)
    }

    /// Adds what a turn has stored.
    pub fn add(&self, bookings: &[Booking]) {
        let Some((day, count)) = self.counted.get() else { return };
        let more = bookings.iter().filter(|booking| booking.day == day).count();
        self.counted.set(Some((day, count.saturating_add(u64::try_from(more).unwrap_or_default()))));
    }
}

#[derive(Deserialize)]
struct DaySum {
    predictions: u64,
}

/// Deletes up to `count` of the oldest rows, of days before `first_day`.
pub fn prune(first_day: UtcDay, count: u32) -> Statement {
    Statement::new(
        "DELETE FROM spend WHERE (day, plan, model, user) IN (SELECT day, plan, model, user FROM spend WHERE day < ? \
         ORDER BY day, plan, model, user LIMIT ?)",
        [json!(first_day), json!(count)],
    )
}

/// Reads a page. SQL adds up, so nothing but the page is in memory. Groups by day are read day by day: then one page of
/// many reads few days.
pub fn read(sql: &Sql, query: &SpendQuery) -> ActorResult<Vec<SpendRow>> {
    let limit = usize::try_from(query.limit.min(SPEND_PAGE_MAX)).unwrap_or(usize::MAX);
    let after = query.after.as_ref();
    if !query.by.day {
        return read_days(sql, query, (query.from, query.to), after, limit);
    }
    let mut day = after.map_or(query.from, |after| after.day.max(query.from));
    let mut rows = Vec::new();
    while day <= query.to && rows.len() < limit {
        rows.extend(read_days(sql, query, (day, day), after, limit.saturating_sub(rows.len()))?);
        day = day.next();
    }
    Ok(rows)
}

fn read_days(
    sql: &Sql,
    query: &SpendQuery,
    (first, last): (UtcDay, UtcDay),
    after: Option<&SpendGroup>,
    limit: usize,
) -> ActorResult<Vec<SpendRow>> {
    // Before every group.
    let start = SpendGroup { day: UtcDay(-1), ..SpendGroup::default() };
    let SpendColumns { day, plan, model, user } = query.by;
    let columns = [day, plan, model, user].map(|is_column| json!(u32::from(is_column)));
    let SpendGroup { day, plan, model, user } = after.unwrap_or(&start);
    let others = [json!(first), json!(last), json!(day), json!(plan), json!(model), json!(user), json!(limit)];
    let parameters: Vec<_> = [json!(MAX_CREDITS_MICROS)].into_iter().chain(columns).chain(others).collect();
    sql.rows(
        "SELECT day, plan, model, user, MIN(SUM(credits), ?) AS credits, SUM(predictions) AS predictions \
         FROM (SELECT iif(?, day, 0) AS day, iif(?, plan, '') AS plan, iif(?, model, '') AS model, \
         iif(?, user, '') AS user, credits, predictions FROM spend WHERE day BETWEEN ? AND ?) \
         WHERE (day, plan, model, user) > (?, ?, ?, ?) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT ?",
        &parameters,
    )
}
