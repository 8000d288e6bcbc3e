//! Requests to a Ledger.

use serde::{Deserialize, Serialize};

use super::create_request::CreateRequest;
use super::job_update::JobUpdate;
use super::user_operation::UserOperation;
use crate::types::file::{FileLimits, FileRecord};
use crate::types::ids::{BatchId, FileId, JobId, RequestId};
use crate::types::prediction::Status;
use crate::types::time::{UnixMillis, UnixSeconds};

/// A message to a Ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerCall {
    /// The caller. Absent where the request is neither counted nor checked for revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// The request.
    #[serde(rename = "ask")]
    pub request: LedgerRequest,
}

/// The token behind a message: the members that a revocation can name, and the limit that the request counts against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The token's `iat`.
    pub issued_at: UnixSeconds,
    /// The token's `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The plan's requests per minute. Absent where the request was counted before: at the later polls of an open
    /// stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// True if the request counts as a repeat: it uses an allowance of its own, four times as large. The Ledger itself
    /// finds the repeats of an idempotency key.
    #[serde(rename = "repeat", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeat: bool,
    /// The proof of possession of this request. It may be used once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofUse>,
}

/// One use of a proof of possession. The Ledger accepts only the first (RFC 9449 section 11.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofUse {
    /// Identifies the proof.
    pub id: String,
    /// The request that uses it. The message of one request may arrive twice, which is not a second use.
    pub request: RequestId,
    /// The time from which the proof is refused as too old.
    #[serde(rename = "ends_at")]
    pub expires_at: UnixSeconds,
}

/// Edge or Dispatcher → Ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRequest {
    /// Admit predictions and hand them over to the Dispatcher, all or none.
    Create(Box<CreateRequest>),
    /// Read one prediction.
    Get {
        /// The prediction.
        job_id: JobId,
    },
    /// Read a batch.
    GetBatch {
        /// The batch.
        batch_id: BatchId,
    },
    /// Read a page of predictions, newest first.
    List {
        /// Rows, at most 100.
        limit: u32,
        /// Only predictions older than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<JobId>,
        /// Only predictions with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
    },
    /// Cancel a prediction.
    Cancel {
        /// The prediction.
        job_id: JobId,
    },
    /// Delete an ended prediction.
    Delete {
        /// The prediction.
        job_id: JobId,
    },
    /// Read the user's usage of this UTC day and of the days before.
    Account {
        /// The plan's creates per minute.
        predictions_per_minute: u32,
    },
    /// Open a socket for a stream, and read the prediction. From an edge that polls: renew the stream's lease, and read
    /// the prediction.
    Watch {
        /// The prediction.
        job_id: JobId,
        /// The stream.
        stream: StreamId,
        /// True if the message opens a socket. A Ledger of the build before, which ignores this, replies without one.
        #[serde(rename = "socket", default, skip_serializing_if = "std::ops::Not::not")]
        is_socket: bool,
    },
    /// A stream has ended.
    Unwatch {
        /// The stream.
        stream: StreamId,
        /// True if no vendor request was made for the stream. Then it does not count as opened.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unopened: bool,
    },
    /// Only count the request and check for revocation.
    Check,
    /// Reserve room for a file that is about to be uploaded.
    ReserveFile {
        /// The request that uploads it.
        upload: RequestId,
        /// Its length, in bytes.
        bytes: u64,
        /// The limits of the plan.
        limits: FileLimits,
    },
    /// Give back the room of an upload that failed.
    ReleaseFile {
        /// The request that reserved it.
        upload: RequestId,
    },
    /// Store the record of an uploaded file.
    PutFile {
        /// The record.
        file: FileRecord,
        /// The request that reserved room for it. The room is given back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upload: Option<RequestId>,
    },
    /// Read a file's record.
    GetFile {
        /// The file.
        file_id: FileId,
    },
    /// Read a page of files, newest first.
    ListFiles {
        /// Rows, at most 100.
        limit: u32,
        /// Only files older than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<FileId>,
    },
    /// Delete a file's record.
    DeleteFile {
        /// The file.
        file_id: FileId,
    },
    /// Withdraw a create that the edge gave up on.
    Withdraw {
        /// Its predictions.
        job_ids: Vec<JobId>,
    },
    /// Apply job updates of the Dispatcher.
    #[serde(rename = "news")]
    JobUpdates {
        /// Updates of this user's predictions, the latest of each.
        #[serde(rename = "news")]
        updates: Vec<JobUpdate>,
    },
    /// Refuse tokens from now on, and cancel the waiting predictions that they made (protocol 7).
    Revoke(Revocation),
    /// Do what an operator asks for. The build before does not know it.
    Operate(UserOperation),
}

impl LedgerRequest {
    /// Returns whether the request contains users' inputs or outputs, or the vendor's ids. None of that may reach a
    /// log, so such a message is never part of a URL.
    #[must_use]
    pub const fn holds_content(&self) -> bool {
        matches!(self, Self::Create(_) | Self::JobUpdates { .. } | Self::PutFile { .. })
    }
}

/// A response that follows a prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamId {
    /// The request that opened it.
    pub id: RequestId,
    /// The prediction whose vendor stream is relayed: one stream at a time. Absent for an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<JobId>,
    /// True for `Prefer: wait`, which does not count as an open stream.
    #[serde(rename = "wait", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_wait: bool,
}

/// The tokens to refuse from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// All tokens of the user that were issued up to a time.
    Subject {
        /// The time.
        issued_by: UnixSeconds,
    },
    /// One token.
    Token {
        /// Its `jti`.
        jti: String,
        /// Its expiry.
        expires_at: UnixMillis,
    },
}
