//! The records of a user's files: room for uploads, use, and forgetting (protocol 9).

use std::rc::Rc;

use serde_json::json;

use super::actor::LedgerActor;
use super::marks;
use super::writes::Write;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::objects::handle::ActorResult;
use crate::cloudflare::runtime::platform;
use crate::constants::{
    DISPATCHER_ACK_TIMEOUT_MILLIS, FILE_SWEEP_AGAIN_MILLIS, FILE_SWEEP_MILLIS, FORGOTTEN_FILES_BATCH, PAGE_SIZE_MAX,
    UPLOAD_RESERVATION_MILLIS,
};
use crate::ledger::{check_file_limits, last_forgotten_day, note_use};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply};
use crate::types::file::{FileLimits, FileRecord};
use crate::types::ids::{FileId, RequestId};
use crate::types::time::{UnixMillis, UtcDay};

impl LedgerActor {
    /// Reserves room for an upload, for as long as an upload can take. Uploads at the same time count too.
    pub(super) fn reserve_file(
        &self,
        upload: &RequestId,
        bytes: u64,
        limits: FileLimits,
        now: UnixMillis,
    ) -> ActorResult<LedgerReply> {
        let store = self.store()?;
        let name = marks::upload(upload);
        // The message of one request may arrive twice.
        if store.mark::<u64>(&name, now)?.is_none() {
            let reserved: Vec<u64> = store.marks(marks::UPLOADS, now)?;
            let stored = store.file_usage(last_forgotten_day(now.utc_day()))?;
            let usage = reserved.iter().fold(stored.with_file(bytes), |usage, bytes| usage.with_file(*bytes));
            if let Err(refusal) = check_file_limits(usage, limits) {
                return Ok(LedgerReply::Refused(refusal));
            }
            let expires_at = now.plus_millis(UPLOAD_RESERVATION_MILLIS);
            store.store(&[Write::Mark(name, json!(bytes), expires_at)])?;
        }
        Ok(LedgerReply::Done)
    }

    /// Gives back the room of an upload that failed.
    pub(super) fn release_file(&self, upload: &RequestId) -> ActorResult<LedgerReply> {
        self.store()?.store(&[Write::DeleteMark(marks::upload(upload))])?;
        Ok(LedgerReply::Done)
    }

    /// Stores the record of an uploaded file in the room that was reserved for it.
    pub(super) fn put_file(&self, file: &FileRecord, upload: Option<&RequestId>) -> ActorResult<LedgerReply> {
        let release = upload.map(|upload| Write::DeleteMark(marks::upload(upload)));
        let writes: Vec<Write<'_>> = std::iter::once(Write::File(file)).chain(release).collect();
        self.store()?.store(&writes)?;
        Ok(LedgerReply::Done)
    }

    /// Reads a file's record.
    pub(super) fn get_file(&self, file_id: &FileId, today: UtcDay) -> ActorResult<LedgerReply> {
        Ok(match self.store()?.file(file_id, last_forgotten_day(today))? {
            Some(file) => LedgerReply::Files { files: vec![file], has_more: false },
            None => LedgerReply::Refused(LedgerRefusal::NotFound),
        })
    }

    /// Reads a page of files, newest first.
    pub(super) fn list_files(&self, limit: u32, before: Option<&FileId>, today: UtcDay) -> ActorResult<LedgerReply> {
        let limit = limit.clamp(1, PAGE_SIZE_MAX);
        let files = self.store()?.files(limit, before, last_forgotten_day(today))?;
        let (files, has_more) = super::reads::truncate_page(files, limit);
        Ok(LedgerReply::Files { files, has_more })
    }

    /// Hands forgotten files over to the Dispatcher, which deletes them at the vendor, at most once an hour. Their records
    /// are deleted once it has them; until then nobody can use them, and a later alarm hands them over again. After a full
    /// batch the alarm comes back in a minute for the rest.
    pub(super) fn forget_files(self: &Rc<Self>, now: UnixMillis) -> ActorResult<()> {
        if now.millis_since(self.files_swept_at.get()) < FILE_SWEEP_MILLIS {
            return Ok(());
        }
        self.files_swept_at.set(now);
        let (store, today) = (self.store()?, now.utc_day());
        // Records of the build before count from now.
        let unused: Vec<FileRecord> =
            store.files_without_use()?.iter().filter_map(|file| note_use(file, today)).collect();
        if !unused.is_empty() {
            store.store(&unused.iter().map(Write::File).collect::<Vec<_>>())?;
        }
        let forgotten = store.forgotten_files(last_forgotten_day(today))?;
        if forgotten.is_empty() {
            return Ok(());
        }
        let this = Rc::clone(self);
        self.state.wait_until(async move {
            let vendor_ids = forgotten.iter().map(|file| file.vendor_id.clone()).collect();
            let request = DispatcherRequest::DeleteFiles { vendor_ids };
            let reply = ask_dispatcher(&this.env, &request, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
            if let (Ok(DispatcherReply::Done), Ok(store)) = (reply, this.store()) {
                let deletions: Vec<Write<'_>> = forgotten.iter().map(|file| Write::DeleteFile(&file.file_id)).collect();
                // If this fails, a later alarm hands them over again. A second deletion finds nothing.
                if store.store(&deletions).is_ok() && forgotten.len() >= FORGOTTEN_FILES_BATCH {
                    this.files_swept_at.set(UnixMillis(0));
                    let _ = this.arm(platform::now().plus_millis(FILE_SWEEP_AGAIN_MILLIS));
                }
            }
        });
        Ok(())
    }
}
