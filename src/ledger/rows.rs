//! A user's rows (docs/schema.md): what the machine reads of them, and what it writes.

use super::admission::JtiUsage;
use super::expiry::FirstExpiries;
use super::files::FileUsage;
use crate::messages::DayUsage;
use crate::types::file::FileRecord;
use crate::types::ids::{FileId, JobId};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UtcDay};

/// The storage does not reply, or a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowError;

/// The stored rows of one user. They do not change while a turn reads them.
///
/// A read of one row fails if the row cannot be read. A read of many predictions or files skips such rows: they stay for
/// a newer version, and hide no other row.
#[allow(clippy::missing_errors_doc, reason = "every read fails for the same reason: RowError")]
pub trait LedgerRows {
    /// Returns whether the Ledger stored anything since it was last deleted.
    fn exists(&self) -> Result<bool, RowError>;
    /// Returns whether there is no row.
    fn is_empty(&self) -> Result<bool, RowError>;

    /// Reads a prediction.
    fn prediction(&self, job_id: &JobId) -> Result<Option<PredictionRecord>, RowError>;
    /// Reads a page of predictions, newest first, and one more if there is one, without those that are erased.
    fn page(
        &self,
        limit: u32,
        before: Option<&JobId>,
        status: Option<Status>,
    ) -> Result<Vec<PredictionRecord>, RowError>;
    /// Reads predictions that have not ended and need the alarm by now, at most fifty.
    fn due(&self, now: UnixMillis) -> Result<Vec<PredictionRecord>, RowError>;
    /// Returns when the next prediction that has not ended needs the alarm, whether its row can be read or not.
    fn next_wake(&self) -> Result<Option<UnixMillis>, RowError>;
    /// Returns which rows are to be deleted first.
    fn first_expiries(&self) -> Result<FirstExpiries, RowError>;
    /// Counts the predictions with a status, which is not terminal.
    fn count(&self, status: Status) -> Result<u32, RowError>;

    /// Reads the usage of a day. Zero if it has no row.
    fn day(&self, day: UtcDay) -> Result<DayUsage, RowError>;
    /// Reads the usage of the last 30 days, newest first. Days without a row are missing.
    fn days(&self, today: UtcDay) -> Result<Vec<DayUsage>, RowError>;
    /// Reads what a token with caps has spent. Zero if it has no row.
    fn jti(&self, jti: &str) -> Result<JtiUsage, RowError>;

    /// Reads a file's record, unless the file was last used on `forgotten` or before.
    fn file(&self, file_id: &FileId, forgotten: UtcDay) -> Result<Option<FileRecord>, RowError>;
    /// Reads a page of files, newest first, and one more if there is one. Files that were last used on `forgotten`
    /// or before are not the user's any more.
    fn files(&self, limit: u32, before: Option<&FileId>, forgotten: UtcDay) -> Result<Vec<FileRecord>, RowError>;
    /// Returns the room that the user's files take, without those last used on `forgotten` or before.
    fn file_usage(&self, forgotten: UtcDay) -> Result<FileUsage, RowError>;
    /// Reads the files that were last used on `forgotten` or before, at most
    /// [`FORGOTTEN_FILES_BATCH`](crate::constants::FORGOTTEN_FILES_BATCH).
    fn forgotten_files(&self, forgotten: UtcDay) -> Result<Vec<FileRecord>, RowError>;
    /// Reads the files whose record has no day of use.
    fn files_without_use(&self) -> Result<Vec<FileRecord>, RowError>;

    /// Reads the document of a mark that has not expired.
    fn mark(&self, name: &str, now: UnixMillis) -> Result<Option<String>, RowError>;
    /// Reads the documents of all marks whose names start with `prefix` and that have not expired.
    fn marks(&self, prefix: &str, now: UnixMillis) -> Result<Vec<String>, RowError>;
}

/// The write of one row, or the deletion of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Store a prediction, new or changed.
    Prediction(Box<PredictionRecord>),
    /// Delete a prediction.
    DeletePrediction(JobId),
    /// Delete the predictions that ended and were kept until this time, whether their rows can be read or not.
    DeleteEndedPredictions(UnixMillis),
    /// Store the usage of a day.
    Day(DayUsage),
    /// Store what a token has spent.
    Jti {
        /// The token.
        jti: String,
        /// Its usage so far.
        usage: JtiUsage,
        /// When the row may be deleted. The row keeps a later time that it has.
        expires_at: UnixMillis,
    },
    /// Store a file's record.
    File(FileRecord),
    /// Delete a file's record.
    DeleteFile(FileId),
    /// Store a mark.
    Mark {
        /// Its name.
        name: String,
        /// Its document: JSON.
        doc: String,
        /// Its expiry.
        expires_at: UnixMillis,
    },
    /// Delete a mark.
    DeleteMark(String),
    /// Delete the marks that expired by a time and whose names start with a prefix.
    DeleteShortLivedMarks {
        /// The prefix: one of those in `marks.rs`.
        prefix: &'static str,
        /// The time.
        by: UnixMillis,
    },
    /// Delete the other marks that expired by a time.
    DeleteExpiredMarks(UnixMillis),
    /// Delete the usage of days up to this one that have no reservations.
    DeleteDays(UtcDay),
    /// Let what tokens spent expire at a time, where it would later.
    ExpireJtis(UnixMillis),
    /// Delete what tokens spent that expired by a time.
    DeleteExpiredJtis(UnixMillis),
    /// Let the first fifty predictions that have not ended and are due by `now` need the alarm at `until`. None of them can
    /// be read.
    Postpone {
        /// The time of this turn.
        now: UnixMillis,
        /// The time of the next try.
        until: UnixMillis,
    },
}
