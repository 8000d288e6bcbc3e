//! The table `refusals` (docs/schema.md): a row for each UTC day, with the counts of refused requests by code.

use serde::Deserialize;
use serde_json::json;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::sql::{Sql, Statement};
use crate::messages::RefusalCount;
use crate::operator::days::first_kept_day;
use crate::operator::refusals::{add_counts, read_counts};
use crate::types::time::UtcDay;

/// A row as it is stored.
#[derive(Deserialize)]
struct Stored {
    day: UtcDay,
    doc: String,
}

/// Adds an isolate's counts, of today and of the day before: one row each. Deletes the rows that are too old.
pub fn count(sql: &Sql, counts: &[RefusalCount], today: UtcDay) -> ActorResult<()> {
    let mut statements = vec![Statement::new("DELETE FROM refusals WHERE day < ?", [json!(first_kept_day(today))])];
    for day in [UtcDay(today.0.saturating_sub(1)), today] {
        let mut of_day = counts.iter().filter(|count| count.day == day).peekable();
        if of_day.peek().is_some() {
            let stored = rows(sql, day, day)?.pop();
            let doc = add_counts(stored.as_ref().map(|row| row.doc.as_str()), of_day);
            statements.push(Statement::new(
                "INSERT OR REPLACE INTO refusals (day, doc) VALUES (?, ?)",
                [json!(day), json!(doc)],
            ));
        }
    }
    sql.transaction(&statements)
}

/// Reads the counts of these days.
pub fn read(sql: &Sql, from: UtcDay, to: UtcDay) -> ActorResult<Vec<RefusalCount>> {
    let of_day =
        |Stored { day, doc }| read_counts(&doc).into_iter().map(move |(code, count)| RefusalCount { day, code, count });
    Ok(rows(sql, from, to)?.into_iter().flat_map(of_day).collect())
}

fn rows(sql: &Sql, from: UtcDay, to: UtcDay) -> ActorResult<Vec<Stored>> {
    sql.rows("SELECT day, doc FROM refusals WHERE day BETWEEN ? AND ? ORDER BY day", &[json!(from), json!(to)])
}
