//! The records of a user's files: room for uploads, use, and forgetting (protocol 9).

use super::files::{check_file_limits, last_forgotten_day, note_use};
use super::marks;
use super::reads::truncate_page;
use super::rows::{RowError, Write};
use super::step::{Answer, Continuation, Next, Question};
use super::turn::Turn;
use crate::constants::{
    FILE_SWEEP_AGAIN_MILLIS, FILE_SWEEP_MILLIS, FORGOTTEN_FILES_BATCH, PAGE_SIZE_MAX, UPLOAD_RESERVATION_MILLIS,
};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply};
use crate::types::file::{FileLimits, FileRecord};
use crate::types::ids::{FileId, RequestId};
use crate::types::time::{UnixMillis, UtcDay};

impl Turn<'_> {
    /// Returns the last day whose files are not the user's any more.
    pub(super) fn forgotten_day(&self) -> UtcDay {
        last_forgotten_day(self.now.utc_day())
    }

    /// Reserves room for an upload, for as long as an upload can take. Uploads at the same time count too.
    pub(super) fn reserve_file(
        &mut self,
        upload: &RequestId,
        bytes: u64,
        limits: FileLimits,
    ) -> Result<LedgerReply, RowError> {
        let own = self.own_limits()?.unwrap_or_default();
        let limits = FileLimits {
            max_files: own.max_files.unwrap_or(limits.max_files),
            max_bytes: own.max_file_bytes.unwrap_or(limits.max_bytes),
        };
        let name = marks::upload(upload);
        // The message of one request may arrive twice.
        if self.mark::<u64>(&name)?.is_none() {
            let reserved: Vec<u64> = self.marks(marks::UPLOADS)?;
            let stored = self.rows.file_usage(self.forgotten_day())?;
            let usage = reserved.iter().fold(stored.with_file(bytes), |usage, bytes| usage.with_file(*bytes));
            if let Err(refusal) = check_file_limits(usage, limits) {
                return Ok(LedgerReply::Refused(refusal));
            }
            self.write_mark(name, &bytes, self.now.plus_millis(UPLOAD_RESERVATION_MILLIS))?;
        }
        Ok(LedgerReply::Done)
    }

    /// Gives back the room of an upload that failed.
    pub(super) fn release_file(&mut self, upload: &RequestId) -> LedgerReply {
        self.write(Write::DeleteMark(marks::upload(upload)));
        LedgerReply::Done
    }

    /// Stores the record of an uploaded file in the room that was reserved for it. Of an upload that was under way when its
    /// user was deleted, the file is forgotten at once.
    pub(super) fn put_file(&mut self, file: FileRecord, upload: Option<&RequestId>) -> Result<LedgerReply, RowError> {
        let Some(upload) = upload else {
            self.write(Write::File(file));
            return Ok(LedgerReply::Done);
        };
        if self.was_erased()? && self.mark::<u64>(&marks::upload(upload))?.is_none() {
            self.forget_file(file);
        } else {
            self.write(Write::File(file));
        }
        Ok(self.release_file(upload))
    }

    /// Reads a file's record.
    pub(super) fn get_file(&self, file_id: &FileId) -> Result<LedgerReply, RowError> {
        Ok(match self.rows.file(file_id, self.forgotten_day())? {
            Some(file) => LedgerReply::Files { files: vec![file], has_more: false },
            None => LedgerReply::Refused(LedgerRefusal::NotFound),
        })
    }

    /// Reads a page of files, newest first.
    pub(super) fn list_files(&self, limit: u32, before: Option<&FileId>) -> Result<LedgerReply, RowError> {
        let files = self.rows.files(limit.clamp(1, PAGE_SIZE_MAX), before, self.forgotten_day())?;
        let (files, has_more) = truncate_page(files, limit);
        Ok(LedgerReply::Files { files, has_more })
    }

    /// Hands forgotten files over to the Dispatcher, which deletes them at the vendor, at most once an hour. Their records
    /// are deleted once it has them; until then nobody can use them, and a later alarm hands them over again.
    pub(super) fn forget_files(&mut self) -> Result<(), RowError> {
        if self.now.millis_since(self.ledger.files_swept_at) < FILE_SWEEP_MILLIS {
            return Ok(());
        }
        self.ledger.files_swept_at = self.now;
        let today = self.now.utc_day();
        // Records of the build before count from now.
        for file in self.rows.files_without_use()? {
            note_use(&file, today).into_iter().for_each(|file| self.write(Write::File(file)));
        }
        let forgotten = self.rows.forgotten_files(self.forgotten_day())?;
        if forgotten.is_empty() {
            return Ok(());
        }
        let (file_ids, vendor_ids) = forgotten.into_iter().map(|file| (file.file_id, file.vendor_id)).unzip();
        let question = Question::Dispatcher(DispatcherRequest::DeleteFiles { vendor_ids });
        self.tasks.push(Next::Ask(question, Continuation::ConcludeForgetting { file_ids }));
        Ok(())
    }

    /// Deletes the records of files that the Dispatcher has taken over. If this fails, a later alarm hands them over
    /// again; a second deletion finds nothing. After a full batch the alarm comes back in a minute for the rest.
    pub(super) fn conclude_forgetting(&mut self, file_ids: Vec<FileId>, answer: Option<Answer>) -> LedgerReply {
        if matches!(answer, Some(Answer::Dispatcher(DispatcherReply::Done))) {
            if file_ids.len() >= FORGOTTEN_FILES_BATCH {
                self.ledger.files_swept_at = UnixMillis(0);
                self.wake_by(self.now.plus_millis(FILE_SWEEP_AGAIN_MILLIS));
            }
            file_ids.into_iter().for_each(|file_id| self.write(Write::DeleteFile(file_id)));
        }
        LedgerReply::Done
    }
}
