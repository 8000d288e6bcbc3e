//! Writes to the Ledger's tables (docs/schema.md).

use serde_json::json;

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::Statement;
use crate::ledger::{Write, end_of_prefix, next_wake_at};
use crate::types::retention::Retention;

/// Returns the SQL statement of a write.
pub fn build_statement(write: &Write, retention: Retention) -> ActorResult<Statement> {
    Ok(match write {
        Write::Prediction(record) => {
            let doc = serde_json::to_string(record).map_err(|_| PlatformError)?;
            Statement::new(
                "INSERT OR REPLACE INTO predictions (job_id, status, wakes_at, doc) VALUES (?, ?, ?, ?)",
                [json!(record.job_id), json!(record.status), json!(next_wake_at(record, retention)), json!(doc)],
            )
        }
        Write::DeletePrediction(job_id) => Statement::new("DELETE FROM predictions WHERE job_id = ?", [json!(job_id)]),
        Write::DeleteEndedPredictions(by) => Statement::new(
            "DELETE FROM predictions WHERE status IN ('succeeded', 'failed', 'canceled') AND wakes_at <= ?",
            [json!(by)],
        ),
        Write::Day(day) => Statement::new(
            "INSERT OR REPLACE INTO days (day, spent, reserved, predictions) VALUES (?, ?, ?, ?)",
            [json!(day.day), json!(day.spent), json!(day.reserved), json!(day.predictions)],
        ),
        Write::Jti { jti, usage, expires_at } => Statement::new(
            "INSERT INTO jti (jti, predictions, credits, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (jti) DO UPDATE \
                 SET predictions = excluded.predictions, credits = excluded.credits, \
                 expires_at = MAX(expires_at, excluded.expires_at)",
            [json!(jti), json!(usage.predictions), json!(usage.credits), json!(expires_at)],
        ),
        Write::File(file) => {
            let doc = serde_json::to_string(file).map_err(|_| PlatformError)?;
            Statement::new(
                "INSERT OR REPLACE INTO files (file_id, doc) VALUES (?, ?)",
                [json!(file.file_id), json!(doc)],
            )
        }
        Write::DeleteFile(file_id) => Statement::new("DELETE FROM files WHERE file_id = ?", [json!(file_id)]),
        Write::Mark { name, doc, expires_at } => Statement::new(
            "INSERT OR REPLACE INTO marks (name, doc, expires_at) VALUES (?, ?, ?)",
            [json!(name), json!(doc), json!(expires_at)],
        ),
        Write::DeleteExpiredMarks(by) => Statement::new(
            "DELETE FROM marks WHERE expires_at <= ? AND name <> 'minute' AND name NOT BETWEEN 'proof:' AND 'proof;'",
            [json!(by)],
        ),
        Write::DeleteShortLivedMarks { prefix, by } => Statement::new(
            "DELETE FROM marks WHERE name >= ? AND name < ? AND expires_at <= ?",
            [json!(prefix), json!(end_of_prefix(prefix)), json!(by)],
        ),
        Write::DeleteMark(name) => Statement::new("DELETE FROM marks WHERE name = ?", [json!(name)]),
        Write::DeleteDays(day) => Statement::new("DELETE FROM days WHERE day <= ? AND reserved = 0", [json!(day)]),
        Write::ExpireJtis(at) => {
            Statement::new("UPDATE jti SET expires_at = ? WHERE expires_at > ?", [json!(at), json!(at)])
        }
        Write::DeleteExpiredJtis(by) => Statement::new("DELETE FROM jti WHERE expires_at <= ?", [json!(by)]),
        Write::Postpone { now, until } => Statement::new(
            "UPDATE predictions SET wakes_at = ? WHERE job_id IN (SELECT job_id FROM predictions \
                 WHERE status IN ('queued', 'processing') AND wakes_at <= ? ORDER BY wakes_at LIMIT 50)",
            [json!(until), json!(now)],
        ),
    })
}
