//! Replies of a Ledger.

use serde::{Deserialize, Serialize};

use super::dispatcher::EnqueueRefusal;
use super::user_operation::LimitOverride;
use crate::types::credits::MicroCredits;
use crate::types::file::FileRecord;
use crate::types::ids::BatchId;
use crate::types::prediction::PredictionRecord;
use crate::types::time::UnixSeconds;

/// Ledger → edge or Dispatcher: a reply, with the caller's rate-limit numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerEnvelope {
    /// The caller's requests of this minute, if the message named a caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How long the queue positions in the reply stay fresh: no read shows newer ones before. Absent without a queued
    /// prediction, and from the build before.
    #[serde(rename = "fresh_ms", default, skip_serializing_if = "Option::is_none")]
    pub fresh_millis: Option<i64>,
    /// The reply.
    pub reply: LedgerReply,
}

/// A limit per minute, as the headers and the account show it (contract 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Requests or creates per minute.
    pub limit: u32,
    /// How many would pass now.
    pub remaining: u32,
    /// Time at which `remaining` is `limit` again.
    pub reset: UnixSeconds,
}

/// A Ledger's reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerReply {
    /// The prediction in its present state.
    Prediction(Box<PredictionRecord>),
    /// The predictions of a create that was admitted or replayed, or of a batch that was read.
    Created {
        /// The predictions in their present state.
        records: Vec<PredictionRecord>,
        /// True if a create is in flight to the vendor: the edge may await its outcome.
        #[serde(rename = "submitting", default)]
        is_submitting: bool,
        /// The batch's id, for a batch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_id: Option<BatchId>,
        /// True for the replay of an idempotency key.
        #[serde(rename = "replayed", default)]
        is_replayed: bool,
    },
    /// A page of predictions.
    Page {
        /// Newest first.
        records: Vec<PredictionRecord>,
        /// True if there are older ones.
        #[serde(rename = "more")]
        has_more: bool,
    },
    /// The user's usage.
    Account(AccountUsage),
    /// A page of files, or one file.
    Files {
        /// Newest first.
        files: Vec<FileRecord>,
        /// True if there are older ones.
        #[serde(rename = "more")]
        has_more: bool,
    },
    /// A page of all that is stored of the user, for an operator.
    Export(Box<UserExport>),
    /// Done. There is nothing to return.
    Done,
    /// A refusal.
    Refused(LedgerRefusal),
}

/// Why a Ledger refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRefusal {
    /// The user has no such prediction, batch or file.
    NotFound,
    /// The prediction has not ended.
    NotEnded,
    /// The token is revoked.
    Revoked,
    /// The proof of possession was used before.
    ProofUsed,
    /// The create with this idempotency key is not acknowledged yet.
    InProgress,
    /// The idempotency key was used for a different request.
    KeyMismatch,
    /// The user has no such file.
    UnknownFile {
        /// Index in [`super::CreateRequest::files`].
        index: usize,
    },
    /// The user has as many files, or as many bytes of files, as the plan allows.
    FileLimitReached,
    /// The user's requests or creates of this minute are used up.
    RateLimited {
        /// Seconds until a retry can pass.
        retry_after_secs: u32,
    },
    /// The day's credits, the token's caps, or the credits of the plan's pool do not suffice.
    InsufficientCredits,
    /// The user has as many waiting predictions as the plan allows.
    TooManyPredictions {
        /// Seconds until a retry can pass.
        retry_after_secs: u32,
    },
    /// The queue, or the plan's share of it, is full.
    QueueFull {
        /// Seconds until a retry can pass.
        retry_after_secs: u32,
    },
    /// The vendor, its key or this model is paused, or the vendor key's own credits of the day are spent.
    UpstreamUnavailable {
        /// Seconds until a retry can pass.
        retry_after_secs: u32,
    },
    /// The message arrived too late, or the Dispatcher did not acknowledge.
    Unavailable,
}

impl From<EnqueueRefusal> for LedgerRefusal {
    fn from(refusal: EnqueueRefusal) -> Self {
        match refusal {
            EnqueueRefusal::InsufficientCredits => Self::InsufficientCredits,
            EnqueueRefusal::TooManyPredictions { retry_after_secs } => Self::TooManyPredictions { retry_after_secs },
            EnqueueRefusal::QueueFull { retry_after_secs } => Self::QueueFull { retry_after_secs },
            EnqueueRefusal::UpstreamUnavailable { retry_after_secs } => Self::UpstreamUnavailable { retry_after_secs },
            EnqueueRefusal::Revoked => Self::Revoked,
            EnqueueRefusal::Expired => Self::Unavailable,
        }
    }
}

/// A user's usage of one UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// Credits of ended predictions.
    pub spent: MicroCredits,
    /// Credits of predictions that have not ended.
    pub reserved: MicroCredits,
    /// Number of creates.
    pub predictions: u32,
}

/// The data behind `/v1/account*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUsage {
    /// The newest 30 days with any usage, newest first.
    pub days: Vec<DayUsage>,
    /// Number of predictions that are processing.
    pub running: u32,
    /// Number of predictions that are queued.
    pub waiting: u32,
    /// The creates of this minute.
    pub creates: Option<Rate>,
    /// The user's own limits, if an operator has set any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitOverride>,
}

/// A page of all that a Ledger has stored of its user, without used proofs, counts of the minute and the like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserExport {
    /// Predictions, newest first.
    pub predictions: Vec<PredictionRecord>,
    /// True if there are older ones. Then there are no files on this page.
    pub has_more_predictions: bool,
    /// Files, newest first.
    pub files: Vec<FileRecord>,
    /// True if there are older ones.
    pub has_more_files: bool,
    /// Usage of each of the last 30 days, newest first.
    pub days: Vec<DayUsage>,
    /// All tokens that were issued up to this time are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<UnixSeconds>,
    /// The `jti` of tokens that were revoked one by one.
    pub revoked_tokens: Vec<String>,
    /// The user's own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitOverride>,
}
