//! The Ledger's tables (docs/schema.md): reads and writes rows, decides nothing.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::writes::Write;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::{Sql, Statement};
use crate::constants::{FORGOTTEN_FILES_BATCH, RETENTION_MILLIS, SECONDS_PER_DAY, USAGE_DAYS};
use crate::ledger::{FileUsage, JtiUsage};
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

impl LedgerStore {
    /// Makes the store of an object. Touches no row.
    pub const fn new(sql: Sql) -> Self {
        Self { sql, has_tables: Cell::new(None) }
    }

    /// Returns the storage, for the alarm.
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Returns whether the Ledger has tables: whether it stored anything since it was last deleted.
    pub fn exists(&self) -> ActorResult<bool> {
        if let Some(known) = self.has_tables.get() {
            return Ok(known);
        }
        // `marks` is the newest table: a Ledger of an older version gets it with its next write.
        let sql = "SELECT COUNT(*) AS number FROM sqlite_master WHERE name = 'marks'";
        let exists = self.sql.rows::<Number>(sql, &[])?.first().is_some_and(|row| row.number > Some(0));
        self.has_tables.set(Some(exists));
        Ok(exists)
    }

    fn create_tables(&self) -> ActorResult<()> {
        if !self.exists()? {
            let statements: Vec<_> = SCHEMA.iter().map(|statement| Statement::new(statement, [])).collect();
            self.sql.transaction(&statements)?;
            self.has_tables.set(Some(true));
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> ActorResult<Vec<T>> {
        if self.exists()? { self.sql.rows(sql, parameters) } else { Ok(Vec::new()) }
    }

    fn docs<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> ActorResult<Vec<T>> {
        let rows: Vec<Doc> = self.read(sql, parameters)?;
        rows.iter().map(|row| serde_json::from_str(&row.doc).map_err(|_| PlatformError)).collect()
    }

    /// Reads documents, and skips those that cannot be parsed, with an alert. They stay for a newer version, and hide
    /// no other row.
    fn parseable_docs<T: DeserializeOwned>(&self, sql: &str, parameters: &[Value]) -> ActorResult<Vec<T>> {
        let rows: Vec<Doc> = self.read(sql, parameters)?;
        let parsed: Vec<T> = rows.iter().filter_map(|row| serde_json::from_str(&row.doc).ok()).collect();
        if parsed.len() < rows.len() {
            log::alert("row_unreadable");
        }
        Ok(parsed)
    }

    fn number(&self, sql: &str, parameters: &[Value]) -> ActorResult<Option<i64>> {
        Ok(self.read::<Number>(sql, parameters)?.first().and_then(|row| row.number))
    }

    /// Reads a prediction.
    pub fn prediction(&self, job_id: &JobId) -> ActorResult<Option<PredictionRecord>> {
        Ok(self.docs("SELECT doc FROM predictions WHERE job_id = ?", &[json!(job_id)])?.pop())
    }

    /// Reads those of the predictions that exist.
    pub fn predictions(&self, job_ids: &[JobId]) -> ActorResult<Vec<PredictionRecord>> {
        let found: Result<Vec<_>, _> = job_ids.iter().map(|job_id| self.prediction(job_id)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Reads a page of predictions, newest first, and one row more if there is one.
    pub fn page(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
    ) -> ActorResult<Vec<PredictionRecord>> {
        // Ids sort by creation time, and `pred_z` sorts after every id.
        let before = before.map_or("pred_z", JobId::as_str);
        self.parseable_docs(
            "SELECT doc FROM predictions WHERE job_id < ? AND (? IS NULL OR status = ?) ORDER BY job_id DESC LIMIT ?",
            &[json!(before), json!(status), json!(status), json!(limit.saturating_add(1))],
        )
    }

    /// Reads predictions that need the alarm by now, at most fifty.
    pub fn due(&self, now: UnixMillis) -> ActorResult<Vec<PredictionRecord>> {
        let due: Vec<PredictionRecord> = self.parseable_docs(
            "SELECT doc FROM predictions WHERE wakes_at <= ? ORDER BY wakes_at LIMIT 50",
            &[json!(now)],
        )?;
        // Rows that cannot be parsed would fire the alarm forever. They wait a day for a version that can parse them.
        let postpone = "UPDATE predictions SET wakes_at = ? WHERE job_id IN \
                       (SELECT job_id FROM predictions WHERE wakes_at <= ? ORDER BY wakes_at LIMIT 50)";
        let tomorrow = now.plus_millis(UnixSeconds(SECONDS_PER_DAY).millis().0);
        if due.is_empty() && self.next_wake()?.is_some_and(|wake| wake <= now) {
            self.sql.transaction(&[Statement::new(postpone, [json!(tomorrow), json!(now)])])?;
        }
        Ok(due)
    }

    /// Returns when the next row needs the alarm.
    pub fn next_wake(&self) -> ActorResult<Option<UnixMillis>> {
        Ok(self.number("SELECT MIN(wakes_at) AS number FROM predictions", &[])?.map(UnixMillis))
    }

    /// Counts the predictions with a status.
    pub fn count(&self, status: Status) -> ActorResult<u32> {
        let sql = "SELECT COUNT(*) AS number FROM predictions WHERE status = ?";
        Ok(self.number(sql, &[json!(status)])?.and_then(|count| u32::try_from(count).ok()).unwrap_or_default())
    }

    /// Reads the usage of a day. Zero if it has no row.
    pub fn day(&self, day: UtcDay) -> ActorResult<DayUsage> {
        let rows: Vec<DayUsage> =
            self.read("SELECT day, spent, reserved, predictions FROM days WHERE day = ?", &[json!(day)])?;
        Ok(rows.first().copied().unwrap_or(DayUsage { day: day.0, ..DayUsage::default() }))
    }

    /// Reads the usage of the last 30 days, newest first. Days without a row are missing.
    pub fn days(&self, today: UtcDay) -> ActorResult<Vec<DayUsage>> {
        let first = today.0.saturating_sub(USAGE_DAYS);
        self.read("SELECT day, spent, reserved, predictions FROM days WHERE day > ? ORDER BY day DESC", &[json!(first)])
    }

    /// Reads what a token with caps has spent. Zero if it has no row.
    pub fn jti(&self, jti: Option<&str>) -> ActorResult<JtiUsage> {
        let Some(jti) = jti else { return Ok(JtiUsage::default()) };
        let rows: Vec<JtiUsage> = self.read("SELECT predictions, credits FROM jti WHERE jti = ?", &[json!(jti)])?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// Reads a page of files, newest first, and one row more if there is one. Files that were last used on `forgotten`
    /// or before are not the user's any more.
    pub fn files(&self, limit: u32, before: Option<&FileId>, forgotten: UtcDay) -> ActorResult<Vec<FileRecord>> {
        let before = before.map_or("file_z", FileId::as_str);
        let sql = format!("SELECT doc FROM files WHERE file_id < ? AND {IS_KEPT} ORDER BY file_id DESC LIMIT ?");
        self.parseable_docs(&sql, &[json!(before), json!(forgotten), json!(limit.saturating_add(1))])
    }

    /// Reads a file's record, unless the file was last used on `forgotten` or before.
    pub fn file(&self, file_id: &FileId, forgotten: UtcDay) -> ActorResult<Option<FileRecord>> {
        let sql = format!("SELECT doc FROM files WHERE file_id = ? AND {IS_KEPT}");
        Ok(self.docs(&sql, &[json!(file_id), json!(forgotten)])?.pop())
    }

    /// Returns the room that the user's files take, without those last used on `forgotten` or before.
    pub fn file_usage(&self, forgotten: UtcDay) -> ActorResult<FileUsage> {
        let sql = format!(
            "SELECT COUNT(*) AS files, COALESCE(SUM(json_extract(doc, '$.bytes')), 0) AS bytes FROM files WHERE {IS_KEPT}"
        );
        Ok(self.read::<FileUsage>(&sql, &[json!(forgotten)])?.first().copied().unwrap_or_default())
    }

    /// Reads the files that were last used on `forgotten` or before, at most [`FORGOTTEN_FILES_BATCH`].
    pub fn forgotten_files(&self, forgotten: UtcDay) -> ActorResult<Vec<FileRecord>> {
        let sql = format!("SELECT doc FROM files WHERE NOT {IS_KEPT} LIMIT ?");
        self.parseable_docs(&sql, &[json!(forgotten), json!(FORGOTTEN_FILES_BATCH)])
    }

    /// Reads the files whose record has no day of use.
    pub fn files_without_use(&self) -> ActorResult<Vec<FileRecord>> {
        self.parseable_docs("SELECT doc FROM files WHERE json_extract(doc, '$.used_on') IS NULL", &[])
    }

    /// Reads a mark that has not expired.
    pub fn mark<T: DeserializeOwned>(&self, name: &str, now: UnixMillis) -> ActorResult<Option<T>> {
        Ok(self.docs("SELECT doc FROM marks WHERE name = ? AND expires_at > ?", &[json!(name), json!(now)])?.pop())
    }

    /// Reads all marks whose names start with `prefix` and that have not expired.
    pub fn marks<T: DeserializeOwned>(&self, prefix: &str, now: UnixMillis) -> ActorResult<Vec<T>> {
        let sql = "SELECT doc FROM marks WHERE name >= ? AND name < ? AND expires_at > ?";
        self.docs(sql, &[json!(prefix), json!(format!("{prefix}\u{10ffff}")), json!(now)])
    }

    /// Makes all writes or none, in one transaction.
    pub fn store(&self, writes: &[Write<'_>]) -> ActorResult<()> {
        self.create_tables()?;
        let statements: Result<Vec<_>, _> = writes.iter().map(Write::statement).collect();
        self.sql.transaction(&statements?)
    }

    /// Deletes old days, the usage of tokens that expired long ago, and expired marks.
    pub fn delete_expired(&self, now: UnixMillis) -> ActorResult<()> {
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

    /// Returns whether no table has a row.
    pub fn is_empty(&self) -> ActorResult<bool> {
        let tables = ["predictions", "days", "jti", "files", "marks"];
        let sums: Vec<String> = tables.iter().map(|table| format!("(SELECT COUNT(*) FROM {table})")).collect();
        let rows = self.number(&format!("SELECT {} AS number", sums.join(" + ")), &[])?;
        Ok(rows.is_none_or(|rows| rows == 0))
    }

    /// Forgets that the tables exist, after the platform deleted everything.
    pub fn forget_tables(&self) {
        self.has_tables.set(None);
    }
}
