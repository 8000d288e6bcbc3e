//! What a Ledger is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Deadline, JobSpec, JobUpdate};
use crate::types::credits::MicroCredits;
use crate::types::file::FileRecord;
use crate::types::ids::{BatchId, FileId, JobId, RequestId, UserKey};
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::{UnixMillis, UnixSeconds};

/// What a Ledger enforces for this request: the caller's plan, as the edge's configuration has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLimits {
    /// The plan's name.
    pub plan: String,
    /// Creates a minute.
    pub predictions_per_minute: u32,
    /// Predictions at a time.
    pub concurrent_predictions: u32,
    /// Credits of a UTC day.
    pub daily_credits: MicroCredits,
    /// Share in the queue.
    pub weight: u32,
    /// Predictions that may wait.
    pub max_waiting: u32,
}

/// Caps of the token, spent per `jti`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JtiCaps {
    /// The token's id.
    pub jti: String,
    /// The most predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_predictions: Option<u32>,
    /// The most credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_credits: Option<MicroCredits>,
    /// When the token ends, and with it the need to remember what it spent.
    pub expires_at: UnixMillis,
}

/// A message to a Ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerCall {
    /// On whose behalf; absent where nobody's request is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// What is asked.
    #[serde(rename = "ask")]
    pub request: LedgerRequest,
}

/// The token behind a message: what a revocation can name, and the limit that the request counts against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// `iat`.
    pub issued_at: UnixSeconds,
    /// `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The plan's requests a minute; absent where the request was counted before (an open stream's next look).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// The proof of possession that came with it, which may be used once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofUse>,
}

/// A proof of possession that is used (RFC 9449 section 11.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofUse {
    /// What tells it from every other.
    pub id: String,
    /// By which request: its own message may arrive twice.
    pub request: RequestId,
    /// From when on it is refused for its age.
    pub ends_at: UnixSeconds,
}

/// Edge or Dispatcher → Ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRequest {
    /// Admit and hand over predictions: all or none.
    Create(Box<CreateRequest>),
    /// Read one prediction.
    Get {
        /// Which.
        job_id: JobId,
    },
    /// Read a batch.
    GetBatch {
        /// Which.
        batch_id: BatchId,
    },
    /// Read a page of predictions, newest first.
    List {
        /// Rows, at most 100.
        limit: u32,
        /// Only older than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<JobId>,
        /// Only with this status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
    },
    /// Ask for an end.
    Cancel {
        /// Which.
        job_id: JobId,
    },
    /// Forget an ended prediction.
    Delete {
        /// Which.
        job_id: JobId,
    },
    /// The caller's use of this UTC day and of the days before.
    Account {
        /// The plan's creates a minute.
        predictions_per_minute: u32,
    },
    /// An open stream looks at its prediction.
    Watch {
        /// Which.
        job_id: JobId,
        /// The stream.
        stream: StreamId,
    },
    /// A stream has ended.
    Unwatch {
        /// The stream.
        stream: StreamId,
        /// Nothing was asked of the vendor for it: it does not count as opened.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unopened: bool,
    },
    /// Only count the request and check for revocation.
    Check,
    /// Remember an uploaded file.
    PutFile {
        /// It.
        file: FileRecord,
    },
    /// Read a file's record.
    GetFile {
        /// Which.
        file_id: FileId,
    },
    /// Read a page of files, newest first.
    ListFiles {
        /// Rows, at most 100.
        limit: u32,
        /// Only older than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<FileId>,
    },
    /// Forget a file.
    DeleteFile {
        /// Which.
        file_id: FileId,
    },
    /// The edge gave up on a create.
    Withdraw {
        /// Which.
        job_ids: Vec<JobId>,
    },
    /// Job updates from the Dispatcher.
    #[serde(rename = "news")]
    JobUpdates {
        /// Some for this user, each the latest of its prediction.
        #[serde(rename = "news")]
        updates: Vec<JobUpdate>,
    },
    /// Refuse tokens from now on, and cancel what waits (protocol 7).
    Revoke(Revocation),
}

impl LedgerRequest {
    /// Whether it holds what users wrote or got, or the vendor's ids: nothing of that may be in a log.
    #[must_use]
    pub const fn holds_content(&self) -> bool {
        matches!(self, Self::Create(_) | Self::JobUpdates { .. } | Self::PutFile { .. })
    }
}

/// Predictions to admit and hand over together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The Ledger's own name: it cannot know it otherwise.
    pub user: UserKey,
    /// What to make.
    #[serde(rename = "orders")]
    pub specs: Vec<JobSpec>,
    /// Where a `file_…` stands in an input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileUse>,
    /// Set for a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The client's idempotency key.
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// What the caller may.
    pub limits: PlanLimits,
    /// The token's caps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<JtiCaps>,
    /// The token's id, with caps or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When the edge gives up.
    pub deadline: Deadline,
    /// Longest wait in the queue, seconds.
    pub max_wait_secs: u32,
}

/// A client's idempotency key with what it was sent for (contract 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// As sent.
    #[serde(rename = "key")]
    pub value: String,
    /// SHA-256 of path and body, in hexadecimal.
    pub hash: String,
}

/// A file in an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    /// Which of the orders.
    #[serde(rename = "order")]
    pub spec: usize,
    /// Where in its input (RFC 6901).
    pub pointer: String,
    /// Ours; replaced by the vendor's.
    pub file_id: FileId,
}

/// An open stream of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamId {
    /// The request that opened it.
    pub id: RequestId,
    /// The prediction whose vendor stream it relays: one at a time. Absent for events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<JobId>,
}

/// Which tokens are refused from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// Every token of the user that was issued by then.
    Subject {
        /// Seconds.
        issued_by: UnixSeconds,
    },
    /// One token.
    Token {
        /// Its `jti`.
        jti: String,
        /// When it ends by itself.
        expires_at: UnixMillis,
    },
}

/// Ledger → edge or Dispatcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerEnvelope {
    /// The caller's requests of this minute, where the message named a caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// What was asked for.
    pub reply: LedgerReply,
}

/// A limit of a minute, as headers and account show it (contract 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The most.
    pub limit: u32,
    /// Would pass now.
    pub remaining: u32,
    /// When all of it is back.
    pub reset: UnixSeconds,
}

/// What a Ledger answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerReply {
    /// The prediction as it is now.
    Prediction(Box<PredictionRecord>),
    /// A create was admitted, or repeated.
    Created {
        /// As they are now.
        records: Vec<PredictionRecord>,
        /// The vendor is being asked: the edge may await the outcome.
        #[serde(rename = "submitting", default)]
        is_submitting: bool,
        /// The batch, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_id: Option<BatchId>,
        /// The idempotency key was known.
        #[serde(rename = "replayed", default)]
        is_replayed: bool,
    },
    /// A page.
    Page {
        /// Newest first.
        records: Vec<PredictionRecord>,
        /// Whether older ones exist.
        #[serde(rename = "more")]
        has_more: bool,
    },
    /// What the caller used.
    Account(AccountUsage),
    /// A page of files, or one.
    Files {
        /// Newest first.
        files: Vec<FileRecord>,
        /// Whether older ones exist.
        #[serde(rename = "more")]
        has_more: bool,
    },
    /// Done, nothing to say.
    Done,
    /// Refused.
    Refused(LedgerRefusal),
}

/// Why a Ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRefusal {
    /// No such thing of this user.
    NotFound,
    /// It has not ended.
    NotEnded,
    /// The token was revoked.
    Revoked,
    /// The proof of possession was used before.
    ProofUsed,
    /// The create with this idempotency key is not acknowledged yet.
    InProgress,
    /// The idempotency key was used for something else.
    KeyMismatch,
    /// The user has no such file.
    UnknownFile {
        /// Which of [`CreateRequest::files`].
        index: usize,
    },
    /// The requests or creates of this minute.
    RateLimited {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The day's credits, the token's caps, or the pool of the plan.
    InsufficientCredits,
    /// The plan's waiting predictions.
    TooManyPredictions {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The queue, or the plan's share of it.
    QueueFull {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The vendor's key, its circuit or this model rests, or the key's own credits are spent.
    UpstreamUnavailable {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The message came too late, or the Dispatcher did not acknowledge.
    Unavailable,
}

/// Use of one UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// Booked.
    pub spent: MicroCredits,
    /// Held.
    pub reserved: MicroCredits,
    /// Created.
    pub predictions: u32,
}

/// What `/v1/account*` is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUsage {
    /// The newest 30 days with any use, newest first.
    pub days: Vec<DayUsage>,
    /// Predictions that are processing.
    pub running: u32,
    /// Predictions that are queued.
    pub waiting: u32,
    /// Creates of this minute.
    pub creates: Option<Rate>,
}
