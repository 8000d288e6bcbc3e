//! The Ledger's tables (docs/schema.md): reads and writes rows, decides nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::tables::Tables;
use super::writes::build_statement;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sql::Sql;
use crate::constants::{FORGOTTEN_FILES_BATCH, USAGE_DAYS};
use crate::ledger::{FileUsage, FirstExpiries, JtiUsage, LedgerRows, RowError, Write, end_of_prefix, read_readable};
use crate::messages::DayUsage;
use crate::types::alert::Alert;
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::retention::Retention;
use crate::types::time::{UnixMillis, UtcDay};

/// The rows of one user.
pub struct LedgerStore {
    sql: Sql,
    tables: Tables,
    retention: Retention,
}

/// A row's document: JSON.
#[derive(Deserialize)]
struct Doc {
    doc: String,
}

/// A row's key and document.
#[derive(Deserialize)]
struct Row {
    id: String,
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
    pub const fn new(sql: Sql, retention: Retention) -> Self {
        Self { sql, tables: Tables::new(), retention }
    }

    /// Returns the storage, for the alarm.
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Returns the tables.
    pub const fn tables(&self) -> &Tables {
        &self.tables
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
            alerts::raise(Alert::RowUnreadable);
        }
        Ok(parsed)
    }

    /// Reads documents in descending order of their ids, and goes on past those that cannot be parsed or are not shown. Of `sql`, the last
    /// two parameters are the id before which it starts, and the number of rows.
    fn page_of<T: DeserializeOwned>(
        &self,
        (sql, first_parameters): (&str, &[Value]),
        before: &str,
        count: usize,
        is_shown: impl Fn(&T) -> bool,
    ) -> RowResult<Vec<T>> {
        let mut unreadable = false;
        let found = read_readable(count, before, |before, count| {
            let parameters: Vec<_> = first_parameters.iter().cloned().chain([json!(before), json!(count)]).collect();
            let rows: Vec<Row> = self.read(sql, &parameters)?;
            let parse = |Row { id, doc }| (id, serde_json::from_str(&doc).ok());
            let parsed: Vec<(String, Option<T>)> = rows.into_iter().map(parse).collect();
            unreadable |= parsed.iter().any(|(_, record)| record.is_none());
            RowResult::Ok(parsed.into_iter().map(|(id, record)| (id, record.filter(&is_shown))).collect())
        });
        if unreadable {
            alerts::raise(Alert::RowUnreadable);
        }
        found
    }

    fn number(&self, sql: &str, parameters: &[Value]) -> RowResult<Option<i64>> {
        Ok(self.read::<Number>(sql, parameters)?.first().and_then(|row| row.number))
    }

    /// Makes all writes or none, in one transaction.
    pub fn store(&self, writes: &[Write]) -> ActorResult<()> {
        if writes.is_empty() {
            return Ok(());
        }
        self.tables.create(&self.sql)?;
        let statements: Result<Vec<_>, _> = writes.iter().map(|write| build_statement(write, self.retention)).collect();
        self.sql.transaction(&statements?)
    }
}

impl LedgerRows for LedgerStore {
    fn exists(&self) -> RowResult<bool> {
        Ok(self.tables.exist(&self.sql)?)
    }

    fn prediction(&self, job_id: &JobId) -> RowResult<Option<PredictionRecord>> {
        self.doc("SELECT doc FROM predictions WHERE job_id = ?", &[json!(job_id)])
    }

    fn page(&self, limit: u32, before: Option<&JobId>, status: Option<Status>) -> RowResult<Vec<PredictionRecord>> {
        // Ids sort by creation time, and `pred_z` sorts after every id.
        let before = before.map_or("pred_z", JobId::as_str);
        let sql = match status {
            None => "SELECT job_id AS id, doc FROM predictions WHERE job_id < ? ORDER BY job_id DESC LIMIT ?",
            // `+`: by the index of open predictions, which are few, and not by the primary key.
            Some(Status::Queued | Status::Processing) => {
                "SELECT job_id AS id, doc FROM predictions WHERE status = ? AND status IN ('queued', 'processing') \
                 AND +job_id < ? ORDER BY +job_id DESC LIMIT ?"
            }
            Some(Status::Succeeded | Status::Failed | Status::Canceled) => {
                "SELECT job_id AS id, doc FROM predictions WHERE status = ? AND job_id < ? ORDER BY job_id DESC LIMIT ?"
            }
        };
        let parameters: Vec<_> = status.iter().map(|status| json!(status)).collect();
        self.page_of((sql, &parameters), before, page_rows(limit), |record: &PredictionRecord| !record.is_erased)
    }

    fn due(&self, now: UnixMillis) -> RowResult<Vec<PredictionRecord>> {
        self.parseable_docs(
            "SELECT doc FROM predictions WHERE status IN ('queued', 'processing') AND wakes_at <= ? \
             ORDER BY wakes_at LIMIT 50",
            &[json!(now)],
        )
    }

    fn next_wake(&self) -> RowResult<Option<UnixMillis>> {
        let sql = "SELECT MIN(wakes_at) AS number FROM predictions WHERE status IN ('queued', 'processing')";
        Ok(self.number(sql, &[])?.map(UnixMillis))
    }

    fn first_expiries(&self) -> RowResult<FirstExpiries> {
        let sql = "SELECT (SELECT MIN(wakes_at) FROM predictions WHERE status IN ('succeeded', 'failed', 'canceled')) \
             AS prediction, (SELECT MIN(day) FROM days WHERE reserved = 0) AS day, \
             (SELECT MIN(expires_at) FROM jti) AS jti, (SELECT MIN(expires_at) FROM marks \
             WHERE name <> 'minute' AND name NOT BETWEEN 'proof:' AND 'proof;') AS mark, \
             (SELECT MIN(used_on) FROM files) AS file_used_on, \
             (SELECT file_id FROM files WHERE used_on IS NOT NULL ORDER BY used_on LIMIT 1) AS file";
        Ok(self.read(sql, &[])?.pop().unwrap_or_default())
    }

    fn count(&self, status: Status) -> RowResult<u32> {
        let sql = "SELECT COUNT(*) AS number FROM predictions WHERE status = ? AND status IN ('queued', 'processing')";
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
        let sql = "SELECT file_id AS id, doc FROM files WHERE COALESCE(used_on > ?, TRUE) AND file_id < ? \
             ORDER BY file_id DESC LIMIT ?";
        self.page_of((sql, &[json!(forgotten)]), before, page_rows(limit), |_| true)
    }

    fn file(&self, file_id: &FileId, forgotten: UtcDay) -> RowResult<Option<FileRecord>> {
        let sql = "SELECT doc FROM files WHERE file_id = ? AND COALESCE(used_on > ?, TRUE)";
        self.doc(sql, &[json!(file_id), json!(forgotten)])
    }

    fn file_usage(&self, forgotten: UtcDay) -> RowResult<FileUsage> {
        let sql = "SELECT COALESCE(SUM(files), 0) AS files, COALESCE(SUM(bytes), 0) AS bytes FROM \
             (SELECT COUNT(*) AS files, SUM(bytes) AS bytes FROM files WHERE used_on > ? \
             UNION ALL SELECT COUNT(*), SUM(bytes) FROM files WHERE used_on IS NULL)";
        Ok(self.read::<FileUsage>(sql, &[json!(forgotten)])?.first().copied().unwrap_or_default())
    }

    fn forgotten_files(&self, forgotten: UtcDay) -> RowResult<Vec<FileRecord>> {
        let sql = "SELECT file_id AS id, doc FROM files WHERE used_on <= ? AND +file_id < ? \
             ORDER BY +file_id DESC LIMIT ?";
        self.page_of((sql, &[json!(forgotten)]), "file_z", FORGOTTEN_FILES_BATCH, |_| true)
    }

    fn files_without_use(&self) -> RowResult<Vec<FileRecord>> {
        self.parseable_docs("SELECT doc FROM files WHERE used_on IS NULL", &[])
    }

    fn mark(&self, name: &str, now: UnixMillis) -> RowResult<Option<String>> {
        let sql = "SELECT doc FROM marks WHERE name = ? AND expires_at > ?";
        Ok(self.read::<Doc>(sql, &[json!(name), json!(now)])?.pop().map(|row| row.doc))
    }

    fn marks(&self, prefix: &str, now: UnixMillis) -> RowResult<Vec<String>> {
        let sql = "SELECT doc FROM marks WHERE name >= ? AND name < ? AND expires_at > ?";
        let rows: Vec<Doc> = self.read(sql, &[json!(prefix), json!(end_of_prefix(prefix)), json!(now)])?;
        Ok(rows.into_iter().map(|row| row.doc).collect())
    }

    fn is_empty(&self) -> RowResult<bool> {
        if self.tables.are_newer() {
            return Ok(false);
        }
        let sql = "SELECT (SELECT MIN(job_id) FROM predictions) IS NULL AND (SELECT MIN(day) FROM days) IS NULL \
             AND (SELECT MIN(jti) FROM jti) IS NULL AND (SELECT MIN(file_id) FROM files) IS NULL \
             AND (SELECT MIN(name) FROM marks) IS NULL AS number";
        Ok(self.number(sql, &[])? != Some(0))
    }
}

/// Returns the number of rows to read for a page: one more, which says whether there is another page.
fn page_rows(limit: u32) -> usize {
    usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX)
}
