//! The Ledger's tables (docs/schema.md): rows in and out, nothing decided.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{PlatformError, Sql, Statement};
use crate::constants::{RETENTION_MILLIS, SECONDS_PER_DAY, USAGE_DAYS};
use crate::ledger::{JtiUsage, next_wake_at};
use crate::messages::DayUsage;
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UnixSeconds, UtcDay};

const SCHEMA: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS predictions (job_id TEXT PRIMARY KEY, status TEXT NOT NULL, wakes_at INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, spent INTEGER NOT NULL, reserved INTEGER NOT NULL, predictions INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS jti (jti TEXT PRIMARY KEY, predictions INTEGER NOT NULL, credits INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS files (file_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, doc TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
];

/// A user's rows.
pub struct LedgerStore {
    sql: Sql,
    /// A Ledger that never stored anything has no tables, and reading it makes none (protocol 7).
    has_tables: Cell<Option<bool>>,
}

#[derive(Deserialize)]
struct Doc {
    doc: String,
}

/// A number in a column of its own.
#[derive(Deserialize)]
struct Number {
    number: Option<i64>,
}

impl LedgerStore {
    /// Over the storage of an object.
    pub const fn new(sql: Sql) -> Self {
        Self { sql, has_tables: Cell::new(None) }
    }

    /// Whether anything was ever stored.
    pub fn exists(&self) -> Result<bool, PlatformError> {
        if let Some(known) = self.has_tables.get() {
            return Ok(known);
        }
        // The newest table: an older version's Ledger gets it with its next write.
        let sql = "SELECT COUNT(*) AS number FROM sqlite_master WHERE name = 'marks'";
        let exists = self.sql.rows::<Number>(sql, &[])?.first().is_some_and(|row| row.number > Some(0));
        self.has_tables.set(Some(exists));
        Ok(exists)
    }

    /// Makes the tables on the first write.
    fn ensure(&self) -> Result<(), PlatformError> {
        if !self.exists()? {
            let statements: Vec<_> = SCHEMA.iter().map(|statement| Statement::new(statement, [])).collect();
            self.sql.transaction(&statements)?;
            self.has_tables.set(Some(true));
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<Vec<T>, PlatformError> {
        if self.exists()? { self.sql.rows(sql, parameters) } else { Ok(Vec::new()) }
    }

    fn docs<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<Vec<T>, PlatformError> {
        let rows: Vec<Doc> = self.read(sql, parameters)?;
        rows.iter().map(|row| serde_json::from_str(&row.doc).map_err(|_| PlatformError)).collect()
    }

    /// The same for many rows: one that cannot be read is left alone, since a newer version may read it, and hides no other.
    fn readable<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> Result<Vec<T>, PlatformError> {
        let rows: Vec<Doc> = self.read(sql, parameters)?;
        let good: Vec<T> = rows.iter().filter_map(|row| serde_json::from_str(&row.doc).ok()).collect();
        if good.len() < rows.len() {
            log::alert("row_unreadable");
        }
        Ok(good)
    }

    fn number(&self, sql: &str, parameters: &[Value]) -> Result<Option<i64>, PlatformError> {
        Ok(self.read::<Number>(sql, parameters)?.first().and_then(|row| row.number))
    }

    /// One prediction.
    pub fn prediction(&self, job_id: &JobId) -> Result<Option<PredictionRecord>, PlatformError> {
        Ok(self.docs("SELECT doc FROM predictions WHERE job_id = ?", &[json!(job_id)])?.pop())
    }

    /// Those of some predictions that are there.
    pub fn predictions(&self, job_ids: &[JobId]) -> Result<Vec<PredictionRecord>, PlatformError> {
        let found: Result<Vec<_>, _> = job_ids.iter().map(|job_id| self.prediction(job_id)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// A page, newest first, with one row more than asked for where there are more.
    pub fn page(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
    ) -> Result<Vec<PredictionRecord>, PlatformError> {
        // Ids sort by creation, and `pred_z` is after every id.
        let before = before.map_or("pred_z", JobId::as_str);
        self.readable(
            "SELECT doc FROM predictions WHERE job_id < ? AND (? IS NULL OR status = ?) ORDER BY job_id DESC LIMIT ?",
            &[json!(before), json!(status), json!(status), json!(limit.saturating_add(1))],
        )
    }

    /// Predictions that need the alarm by now, at most fifty.
    pub fn woken(&self, now: UnixMillis) -> Result<Vec<PredictionRecord>, PlatformError> {
        let woken: Vec<PredictionRecord> =
            self.readable("SELECT doc FROM predictions WHERE wakes_at <= ? ORDER BY wakes_at LIMIT 50", &[json!(now)])?;
        // What cannot be read would wake the object for ever: it waits a day for a version that can.
        let put_off = "UPDATE predictions SET wakes_at = ? WHERE job_id IN \
                       (SELECT job_id FROM predictions WHERE wakes_at <= ? ORDER BY wakes_at LIMIT 50)";
        let tomorrow = now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0);
        if woken.is_empty() && self.next_wake()?.is_some_and(|wake| wake <= now) {
            self.sql.transaction(&[Statement::new(put_off, [json!(tomorrow), json!(now)])])?;
        }
        Ok(woken)
    }

    /// When the next row needs the alarm.
    pub fn next_wake(&self) -> Result<Option<UnixMillis>, PlatformError> {
        Ok(self.number("SELECT MIN(wakes_at) AS number FROM predictions", &[])?.map(UnixMillis))
    }

    /// Predictions that are in a status.
    pub fn count(&self, status: Status) -> Result<u32, PlatformError> {
        let sql = "SELECT COUNT(*) AS number FROM predictions WHERE status = ?";
        Ok(self.number(sql, &[json!(status)])?.and_then(|count| u32::try_from(count).ok()).unwrap_or_default())
    }

    /// The use of a day; nothing where it has no row.
    pub fn day(&self, day: UtcDay) -> Result<DayUsage, PlatformError> {
        let rows: Vec<DayUsage> =
            self.read("SELECT day, spent, reserved, predictions FROM days WHERE day = ?", &[json!(day)])?;
        Ok(rows.first().copied().unwrap_or(DayUsage { day: day.0, ..DayUsage::default() }))
    }

    /// The newest 30 days with any use.
    pub fn days(&self, today: UtcDay) -> Result<Vec<DayUsage>, PlatformError> {
        let first = today.0.saturating_sub(USAGE_DAYS);
        self.read("SELECT day, spent, reserved, predictions FROM days WHERE day > ? ORDER BY day DESC", &[json!(first)])
    }

    /// What a token has spent.
    pub fn jti(&self, jti: Option<&str>) -> Result<JtiUsage, PlatformError> {
        let Some(jti) = jti else { return Ok(JtiUsage::default()) };
        let rows: Vec<JtiUsage> = self.read("SELECT predictions, credits FROM jti WHERE jti = ?", &[json!(jti)])?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// A page of files, newest first, with one row more than asked for where there are more.
    pub fn files(&self, limit: u32, before: Option<&FileId>) -> Result<Vec<FileRecord>, PlatformError> {
        let before = before.map_or("file_z", FileId::as_str);
        let sql = "SELECT doc FROM files WHERE file_id < ? ORDER BY file_id DESC LIMIT ?";
        self.docs(sql, &[json!(before), json!(limit.saturating_add(1))])
    }

    /// One file.
    pub fn file(&self, file_id: &FileId) -> Result<Option<FileRecord>, PlatformError> {
        Ok(self.docs("SELECT doc FROM files WHERE file_id = ?", &[json!(file_id)])?.pop())
    }

    /// A small fact, until it ends.
    pub fn mark<T: DeserializeOwned>(&self, name: &str, now: UnixMillis) -> Result<Option<T>, PlatformError> {
        Ok(self.docs("SELECT doc FROM marks WHERE name = ? AND expires_at > ?", &[json!(name), json!(now)])?.pop())
    }

    /// Documents of all marks whose names start alike.
    pub fn marks<T: DeserializeOwned>(&self, prefix: &str, now: UnixMillis) -> Result<Vec<T>, PlatformError> {
        let sql = "SELECT doc FROM marks WHERE name >= ? AND name < ? AND expires_at > ?";
        self.docs(sql, &[json!(prefix), json!(format!("{prefix}\u{10ffff}")), json!(now)])
    }

    /// Stores all of these or none.
    pub fn store(&self, writes: &[Write<'_>]) -> Result<(), PlatformError> {
        self.ensure()?;
        let statements: Result<Vec<_>, _> = writes.iter().map(Write::statement).collect();
        self.sql.transaction(&statements?)
    }

    /// Forgets what nobody may need any more: old days, ended tokens and marks.
    pub fn sweep(&self, now: UnixMillis) -> Result<(), PlatformError> {
        if !self.exists()? {
            return Ok(());
        }
        let first_day = now.utc_day().0.saturating_sub(USAGE_DAYS);
        self.sql.transaction(&[
            Statement::new("DELETE FROM days WHERE day <= ? AND reserved = 0", [json!(first_day)]),
            Statement::new("DELETE FROM jti WHERE expires_at < ?", [json!(now.plus_millis(-RETENTION_MILLIS))]),
            Statement::new("DELETE FROM marks WHERE expires_at <= ?", [json!(now)]),
        ])
    }

    /// Whether no row is left in any table.
    pub fn is_empty(&self) -> Result<bool, PlatformError> {
        let tables = ["predictions", "days", "jti", "files", "marks"];
        let sums: Vec<String> = tables.iter().map(|table| format!("(SELECT COUNT(*) FROM {table})")).collect();
        let rows = self.number(&format!("SELECT {} AS number", sums.join(" + ")), &[])?;
        Ok(rows.is_none_or(|rows| rows == 0))
    }

    /// After the platform deleted everything.
    pub fn forget_tables(&self) {
        self.has_tables.set(None);
    }

    /// Arms the alarm.
    pub fn set_alarm(&self, at: UnixMillis) {
        self.sql.set_alarm(at);
    }
}

/// One row to write.
pub enum Write<'a> {
    /// A prediction, new or changed.
    Prediction(&'a PredictionRecord),
    /// A prediction that goes.
    Forget(&'a JobId),
    /// A day's use.
    Day(DayUsage),
    /// A token's use, with its end.
    Jti(&'a str, JtiUsage, UnixMillis),
    /// A file.
    File(&'a FileRecord),
    /// A file that goes.
    ForgetFile(&'a FileId),
    /// A small fact with its JSON and its end.
    Mark(String, Value, UnixMillis),
    /// A fact that goes.
    Unmark(String),
    /// Facts whose names start alike and that have ended.
    SweepMarks(&'static str, UnixMillis),
}

impl Write<'_> {
    fn statement(&self) -> Result<Statement, PlatformError> {
        Ok(match self {
            Self::Prediction(record) => {
                let doc = serde_json::to_string(record).map_err(|_| PlatformError)?;
                Statement::new(
                    "INSERT OR REPLACE INTO predictions (job_id, status, wakes_at, doc) VALUES (?, ?, ?, ?)",
                    [json!(record.job_id), json!(record.status), json!(next_wake_at(record)), json!(doc)],
                )
            }
            Self::Forget(job_id) => Statement::new("DELETE FROM predictions WHERE job_id = ?", [json!(job_id)]),
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
            Self::ForgetFile(file_id) => Statement::new("DELETE FROM files WHERE file_id = ?", [json!(file_id)]),
            Self::Mark(name, doc, expires_at) => Statement::new(
                "INSERT OR REPLACE INTO marks (name, doc, expires_at) VALUES (?, ?, ?)",
                [json!(name), json!(doc.to_string()), json!(expires_at)],
            ),
            Self::SweepMarks(prefix, now) => Statement::new(
                "DELETE FROM marks WHERE name >= ? AND name < ? AND expires_at <= ?",
                [json!(prefix), json!(format!("{prefix}\u{10ffff}")), json!(now)],
            ),
            Self::Unmark(name) => Statement::new("DELETE FROM marks WHERE name = ?", [json!(name)]),
        })
    }
}
