//! The audit log: a table of its own, written before an operator's action and after it, and read in pages.

use serde_json::json;

use super::store::DispatcherStore;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::Statement;
use crate::constants::{AUDIT_MAX_ROWS, AUDIT_RETENTION_MILLIS};
use crate::messages::{ActionResult, AuditEntry, AuditRow};
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// Deletes the two oldest rows if they are too old or too many. Without a scan: it reads no others.
fn prune(now: UnixMillis) -> Statement {
    Statement::new(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT 2) \
         AND (at < ? OR id <= (SELECT max(id) FROM audit) - ?)",
        [json!(now.plus_millis(-AUDIT_RETENTION_MILLIS)), json!(AUDIT_MAX_ROWS)],
    )
}

/// A row as it is stored.
#[derive(serde::Deserialize)]
struct Stored {
    id: u64,
    at: UnixMillis,
    doc: String,
    result: Option<String>,
}

impl DispatcherStore {
    /// Records an action, once for each request, and deletes rows: more than it adds, so the table keeps its size.
    pub fn begin_action(&self, entry: &AuditEntry, now: UnixMillis) -> ActorResult<()> {
        let doc = serde_json::to_string(entry).map_err(|_| PlatformError)?;
        self.sql().transaction(&[
            Statement::new(
                "INSERT OR IGNORE INTO audit (request_id, at, doc) VALUES (?, ?, ?)",
                [json!(entry.request_id), json!(now), json!(doc)],
            ),
            prune(now),
        ])
    }

    /// Deletes rows that are too old, also if no operator does anything any more.
    pub fn prune_actions(&self, now: UnixMillis) -> ActorResult<()> {
        self.sql().transaction(&[prune(now)])
    }

    /// Records the result of an action.
    pub fn finish_action(&self, request_id: &RequestId, result: ActionResult) -> ActorResult<()> {
        let result = json!(result);
        self.sql().transaction(&[Statement::new(
            "UPDATE audit SET result = ? WHERE request_id = ?",
            [result, json!(request_id)],
        )])
    }

    /// Returns the latest actions below the id `before`, at most `limit`.
    pub fn actions(&self, before: Option<u64>, limit: u32) -> ActorResult<Vec<AuditRow>> {
        let rows: Vec<Stored> = self.sql().rows(
            "SELECT id, at, doc, result FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
            // SQLite's largest integer is not exact in JavaScript.
            &[json!(before.unwrap_or(u64::from(u32::MAX))), json!(limit)],
        )?;
        let read = |row: Stored| {
            let entry = serde_json::from_str(&row.doc).ok()?;
            let result = row.result.and_then(|result| serde_json::from_value(json!(result)).ok());
            Some(AuditRow { id: row.id, at: row.at, entry, result })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
