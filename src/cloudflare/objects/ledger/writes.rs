//! Writes to the Ledger's tables (docs/schema.md).

use serde_json::{Value, json};

use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::Statement;
use crate::ledger::{JtiUsage, next_wake_at};
use crate::messages::DayUsage;
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId};
use crate::types::prediction::PredictionRecord;
use crate::types::time::UnixMillis;

/// The write of one row.
pub enum Write<'a> {
    /// Store a prediction, new or changed.
    Prediction(&'a PredictionRecord),
    /// Delete a prediction.
    DeletePrediction(&'a JobId),
    /// Store the usage of a day.
    Day(DayUsage),
    /// Store what a token has spent: `jti`, usage, expiry. The later expiry wins.
    Jti(&'a str, JtiUsage, UnixMillis),
    /// Store a file's record.
    File(&'a FileRecord),
    /// Delete a file's record.
    DeleteFile(&'a FileId),
    /// Store a mark: name, document, expiry.
    Mark(String, Value, UnixMillis),
    /// Delete a mark.
    DeleteMark(String),
    /// Delete expired marks whose names start with this.
    DeleteExpiredMarks(&'static str, UnixMillis),
}

impl Write<'_> {
    /// Returns the SQL statement.
    pub fn statement(&self) -> ActorResult<Statement> {
        Ok(match self {
            Self::Prediction(record) => {
                let doc = serde_json::to_string(record).map_err(|_| PlatformError)?;
                Statement::new(
                    "INSERT OR REPLACE INTO predictions (job_id, status, wakes_at, doc) VALUES (?, ?, ?, ?)",
                    [json!(record.job_id), json!(record.status), json!(next_wake_at(record)), json!(doc)],
                )
            }
            Self::DeletePrediction(job_id) => {
                Statement::new("DELETE FROM predictions WHERE job_id = ?", [json!(job_id)])
            }
            Self::Day(day) => Statement::new(
                "INSERT OR REPLACE INTO days (day, spent, reserved, predictions) VALUES (?, ?, ?, ?)",
                [json!(day.day), json!(day.spent), json!(day.reserved), json!(day.predictions)],
            ),
            Self::Jti(jti, usage, expires_at) => Statement::new(
                "INSERT INTO jti (jti, predictions, credits, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (jti) DO UPDATE \
                 SET predictions = excluded.predictions, credits = excluded.credits, \
                 expires_at = MAX(expires_at, excluded.expires_at)",
                [json!(jti), json!(usage.predictions), json!(usage.credits), json!(expires_at)],
            ),
            Self::File(file) => {
                let doc = serde_json::to_string(file).map_err(|_| PlatformError)?;
                Statement::new(
                    "INSERT OR REPLACE INTO files (file_id, doc) VALUES (?, ?)",
                    [json!(file.file_id), json!(doc)],
                )
            }
            Self::DeleteFile(file_id) => Statement::new("DELETE FROM files WHERE file_id = ?", [json!(file_id)]),
            Self::Mark(name, doc, expires_at) => Statement::new(
                "INSERT OR REPLACE INTO marks (name, doc, expires_at) VALUES (?, ?, ?)",
                [json!(name), json!(doc.to_string()), json!(expires_at)],
            ),
            Self::DeleteExpiredMarks(prefix, now) => Statement::new(
                "DELETE FROM marks WHERE name >= ? AND name < ? AND expires_at <= ?",
                [json!(prefix), json!(format!("{prefix}\u{10ffff}")), json!(now)],
            ),
            Self::DeleteMark(name) => Statement::new("DELETE FROM marks WHERE name = ?", [json!(name)]),
        })
    }
}
