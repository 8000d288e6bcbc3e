//! The Ledger's tables (docs/schema.md): reads and writes rows, decides nothing.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::writes::build_statement;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::{Sql, Statement};
use crate::constants::{FORGOTTEN_FILES_BATCH, USAGE_DAYS};
use crate::ledger::{FileUsage, JtiUsage, LedgerRows, RowError, Write};
use crate::messages::DayUsage;
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UtcDay};

const SCHEMA: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS predictions (job_id TEXT PRIMARY KEY, status TEXT NOT NULL, wakes_at INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, spent INTEGER NOT NULL, reserved INTEGER NOT NULL, predictions INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS jti (jti TEXT PRIMARY KEY, predictions INTEGER NOT NULL, credits INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS files (file_id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, doc TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
];

/// Holds for the files of the user: last used after a day, or without a day of use.
const IS_KEPT: &str = "COALESCE(json_extract(doc, '$.used_on') > ?, TRUE)";

/// The rows of one user.
pub struct LedgerStore {
    sql: Sql,
    /// Whether the tables exist, once that was read. A Ledger creates them with its first write, never with a read
    /// (protocol 7).
    has_tables: Cell<Option<bool>>,
}

/// A row with a JSON document.
#[derive(Deserialize)]
struct Doc {
    doc: String,
}

/// A row with one number.
#[derive(Deserialize)]
struct Number {
    number: Option<i64>,
}

type RowResult<T> = Result<T, RowError>;

impl From<PlatformError> for RowError {
    fn from(_: PlatformError) -> Self {
        Self
    }
}

impl From<RowError> for PlatformError {
    fn from(_: RowError) -> Self {
        Self
    }
}

impl LedgerStore {
    /// Makes the store of an object. Touches no row.
    pub const fn new(sql: Sql) -> Self {
        Self { sql, has_tables: Cell::new(None) }
    }

    /// Returns the storage, for the alarm.
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }

    fn create_tables(&self) -> ActorResult<()> {
        if !self.exists()? {
            let statements: Vec<_> = SCHEMA.iter().map(|statement| Statement::new(statement, [])).collect();
            self.sql.transaction(&statements)?;
            self.has_tables.set(Some(true));
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> RowResult<Vec<T>> {
        if self.exists()? { Ok(self.sql.rows(sql, parameters)?) } else { Ok(Vec::new()) }
    }

    /// Reads the document of one row.
    fn doc<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> RowResult<Option<T>> {
        let row = self.read::<Doc>(sql, parameters)?.pop();
        row.map(|row| serde_json::from_str(&row.doc).map_err(|_| RowError)).transpose()
    }

    /// Reads documents, and skips those that cannot be parsed, with an alert. They stay for a newer version, and hide
    /// no other row.
    fn parseable_docs<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> RowResult<Vec<T>> {
        let rows: Vec<Doc> = self.read(sql, parameters)?;
        let parsed: Vec<T> = rows.iter().filter_map(|row| serde_json::from_str(&row.doc).ok()).collect();
        if parsed.len() < rows.len() {
            log::alert("row_unreadable");
        }
        Ok(parsed)
    }

    fn number(&self, sql: &str, parameters: &[Value]) -> RowResult<Option<i64>> {
        Ok(self.read::<Number>(sql, parameters)?.first().and_then(|row| row.number))
    }

    /// Makes all writes or none, in one transaction.
    pub fn store(&self, writes: &[Write]) -> ActorResult<()> {
        if writes.is_empty() {
            return Ok(());
        }
        self.create_tables()?;
        let statements: Result<Vec<_>, _> = writes.iter().map(build_statement).collect();
        self.sql.transaction(&statements?)
    }

    /// Forgets that the tables exist, after the platform deleted everything.
    pub fn forget_tables(&self) {
        self.has_tables.set(None);
    }
}

impl LedgerRows for LedgerStore {
    fn exists(&self) -> RowResult<bool> {
        if let Some(known) = self.has_tables.get() {
            return Ok(known);
        }
        // `marks` is the newest table: a Ledger of an older version gets it with its next write.
        let sql = "SELECT COUNT(*) AS number FROM sqlite_master WHERE name = 'marks'";
        let exists = self.sql.rows::<Number>(sql, &[])?.first().is_some_and(|row| row.number > Some(0));
        self.has_tables.set(Some(exists));
        Ok(exists)
    }

    fn prediction(&self, job_id: &JobId) -> RowResult<Option<PredictionRecord>> {
        self.doc("SELECT doc FROM predictions WHERE job_id = ?", &[json!(job_id)])
    }

    fn page(&self, limit: u32, before: Option<&JobId>, status: Option<Status>) -> RowResult<Vec<PredictionRecord>> {
        // Ids sort by creation time, and `pred_z` sorts after every id.
        let before = before.map_or("pred_z", JobId::as_str);
        self.parseable_docs(
            "SELECT doc FROM predictions WHERE job_id < ? AND (? IS NULL OR status = ?) ORDER BY job_id DESC LIMIT ?",
            &[json!(before), json!(status), json!(status), json!(limit.saturating_add(1))],
        )
    }

    fn due(&self, now: UnixMillis) -> RowResult<Vec<PredictionRecord>> {
        self.parseable_docs("SELECT doc FROM predictions WHERE wakes_at <= ? ORDER BY wakes_at LIMIT 50", &[json!(now)])
    }

    fn next_wake(&self) -> RowResult<Option<UnixMillis>> {
        Ok(self.number("SELECT MIN(wakes_at) AS number FROM predictions", &[])?.map(UnixMillis))
    }

    fn count(&self, status: Status) -> RowResult<u32> {
        let sql = "SELECT COUNT(*) AS number FROM predictions WHERE status = ?";
        Ok(self.number(sql, &[json!(status)])?.and_then(|count| u32::try_from(count).ok()).unwrap_or_default())
    }

    fn day(&self, day: UtcDay) -> RowResult<DayUsage> {
        let rows: Vec<DayUsage> =
            self.read("SELECT day, spent, reserved, predictions FROM days WHERE day = ?", &[json!(day)])?;
        Ok(rows.first().copied().unwrap_or(DayUsage { day: day.0, ..DayUsage::default() }))
    }

    fn days(&self, today: UtcDay) -> RowResult<Vec<DayUsage>> {
        let first = today.0.saturating_sub(USAGE_DAYS);
        self.read("SELECT day, spent, reserved, predictions FROM days WHERE day > ? ORDER BY day DESC", &[json!(first)])
    }

    fn jti(&self, jti: &str) -> RowResult<JtiUsage> {
        let rows: Vec<JtiUsage> = self.read("SELECT predictions, credits FROM jti WHERE jti = ?", &[json!(jti)])?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    fn files(&self, limit: u32, before: Option<&FileId>, forgotten: UtcDay) -> RowResult<Vec<FileRecord>> {
        let before = before.map_or("file_z", FileId::as_str);
        let sql = format!("SELECT doc FROM files WHERE file_id < ? AND {IS_KEPT} ORDER BY file_id DESC LIMIT ?");
        self.parseable_docs(&sql, &[json!(before), json!(forgotten), json!(limit.saturating_add(1))])
    }

    fn file(&self, file_id: &FileId, forgotten: UtcDay) -> RowResult<Option<FileRecord>> {
        let sql = format!("SELECT doc FROM files WHERE file_id = ? AND {IS_KEPT}");
        self.doc(&sql, &[json!(file_id), json!(forgotten)])
    }

    fn file_usage(&self, forgotten: UtcDay) -> RowResult<FileUsage> {
        let sql = format!(
            "SELECT COUNT(*) AS files, COALESCE(SUM(json_extract(doc, '$.bytes')), 0) AS bytes FROM files WHERE {IS_KEPT}"
        );
        Ok(self.read::<FileUsage>(&sql, &[json!(forgotten)])?.first().copied().unwrap_or_default())
    }

    fn forgotten_files(&self, forgotten: UtcDay) -> RowResult<Vec<FileRecord>> {
        let sql = format!("SELECT doc FROM files WHERE NOT {IS_KEPT} LIMIT ?");
        self.parseable_docs(&sql, &[json!(forgotten), json!(FORGOTTEN_FILES_BATCH)])
    }

    fn files_without_use(&self) -> RowResult<Vec<FileRecord>> {
        self.parseable_docs("SELECT doc FROM files WHERE json_extract(doc, '$.used_on') IS NULL", &[])
    }

    fn mark(&self, name: &str, now: UnixMillis) -> RowResult<Option<String>> {
        let sql = "SELECT doc FROM marks WHERE name = ? AND expires_at > ?";
        Ok(self.read::<Doc>(sql, &[json!(name), json!(now)])?.pop().map(|row| row.doc))
    }

    fn marks(&self, prefix: &str, now: UnixMillis) -> RowResult<Vec<String>> {
        let sql = "SELECT doc FROM marks WHERE name >= ? AND name < ? AND expires_at > ?";
        let rows: Vec<Doc> = self.read(sql, &[json!(prefix), json!(format!("{prefix}\u{10ffff}")), json!(now)])?;
        Ok(rows.into_iter().map(|row| row.doc).collect())
    }

    fn is_empty(&self) -> RowResult<bool> {
        let tables = ["predictions", "days", "jti", "files", "marks"];
        let sums: Vec<String> = tables.iter().map(|table| format!("(SELECT COUNT(*) FROM {table})")).collect();
        let rows = self.number(&format!("SELECT {} AS number", sums.join(" + ")), &[])?;
        Ok(rows.is_none_or(|rows| rows == 0))
    }
}
