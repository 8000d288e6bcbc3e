//! Rows as builds before stored them, brought up to date at each load: a rollback can bring them back at any time.

use serde_json::json;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::objects::migrations;
use crate::cloudflare::runtime::sql::{Doc, Sql, Statement};
use crate::types::ids::JobId;
use crate::types::time::UnixMillis;

/// Brings the table `inputs` up to date:
///
/// - Rows of the build before hold their input. It is moved by SQL, so that it never is in this program's memory.
/// - An input whose job is gone is deleted: the build before deletes jobs only.
const MOVE_INPUTS: [&str; 3] = [
    "INSERT OR REPLACE INTO inputs (job_id, doc) SELECT job_id, json_extract(doc, '$.order.input') FROM jobs \
     WHERE CASE WHEN json_valid(doc) THEN json_extract(doc, '$.state') = 'waiting' \
     AND json_type(doc, '$.order.input') = 'object' END",
    "UPDATE jobs SET doc = json_set(json_remove(doc, '$.order.input'), '$.order.input_bytes', \
     length(CAST(json_extract(doc, '$.order.input') AS BLOB))) \
     WHERE CASE WHEN json_valid(doc) THEN json_extract(doc, '$.state') = 'waiting' \
     AND json_type(doc, '$.order.input') = 'object' END",
    "DELETE FROM inputs WHERE job_id NOT IN (SELECT job_id FROM jobs)",
];

/// Brings the rows of builds before up to date, before a row is read.
pub fn move_old_rows(sql: &Sql, longest_slot_millis: i64, now: UnixMillis) -> ActorResult<()> {
    restore_quarantine(sql, longest_slot_millis, now)?;
    sql.transaction(&MOVE_INPUTS.map(|statement| Statement::new(statement, [])))
}

/// Puts rows back into their table that a build before moved to `quarantine` at the fifth load. Rows whose time is over
/// stay there, and a job that has ended is dropped: what they say has no effect any more, or a wrong one.
fn restore_quarantine(sql: &Sql, longest_slot_millis: i64, now: UnixMillis) -> ActorResult<()> {
    if !migrations::has_table(sql, "quarantine")? {
        return Ok(());
    }
    let rows: Vec<Doc> = sql.rows("SELECT name AS id, '' AS doc FROM quarantine WHERE attempts >= 5", &[])?;
    for Doc { id: name, .. } in rows {
        // Its key is `{table}:{job_id}`.
        let Some((table, job_id)) = name.split_once(':') else { continue };
        let created_at = JobId::parse(job_id).map_or(UnixMillis(0), |job_id| job_id.created_at());
        if !["jobs", "outbox"].contains(&table) || now.millis_since(created_at) > longest_slot_millis {
            continue;
        }
        let put_back = format!(
            "INSERT OR IGNORE INTO {table} (job_id, doc) SELECT ?, doc FROM quarantine WHERE name = ? \
             AND ('{table}' = 'outbox' OR ? NOT IN (SELECT job_id FROM tombstones))"
        );
        sql.transaction(&[
            Statement::new(&put_back, [json!(job_id), json!(name), json!(job_id)]),
            Statement::new("DELETE FROM quarantine WHERE name = ?", [json!(name)]),
        ])?;
    }
    Ok(())
}
