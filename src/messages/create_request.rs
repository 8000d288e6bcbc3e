//! The create that the edge sends to a Ledger.

use serde::{Deserialize, Serialize};

use super::deadline::Deadline;
use super::job_spec::JobSpec;
use super::user_operation::LimitOverride;
use crate::types::credits::MicroCredits;
use crate::types::ids::{BatchId, FileId, UserKey};
use crate::types::time::UnixMillis;

/// Predictions to admit and hand over to the Dispatcher, all or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The user, whose key is also the Ledger's name. An object cannot read its own name, so the edge sends it.
    pub user: UserKey,
    /// The predictions.
    #[serde(rename = "orders")]
    pub specs: Vec<JobSpec>,
    /// The `file_…` ids in the inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileUse>,
    /// The batch's id, for a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The client's idempotency key.
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// The limits of the caller's plan.
    pub limits: PlanLimits,
    /// The token's caps, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<JtiCaps>,
    /// The token's `jti`, whether it has caps or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The edge's deadline.
    pub deadline: Deadline,
    /// Longest wait in the queue, seconds.
    pub max_wait_secs: u32,
}

/// The limits of the caller's plan, as the edge's configuration has them now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLimits {
    /// The plan's name.
    pub plan: String,
    /// Creates per minute.
    pub predictions_per_minute: u32,
    /// The user's predictions at the vendor at once.
    pub concurrent_predictions: u32,
    /// Credits per UTC day.
    pub daily_credits: MicroCredits,
    /// The user's weight in the queue.
    pub weight: u32,
    /// The user's waiting predictions.
    pub max_waiting: u32,
}

impl PlanLimits {
    /// Replaces limits by the user's own.
    pub fn replace_by(&mut self, own: &LimitOverride) {
        self.predictions_per_minute = own.predictions_per_minute.unwrap_or(self.predictions_per_minute);
        self.concurrent_predictions = own.concurrent_predictions.unwrap_or(self.concurrent_predictions);
        self.daily_credits = own.daily_credits.unwrap_or(self.daily_credits);
        self.max_waiting = own.max_waiting.unwrap_or(self.max_waiting);
    }
}

/// The caps of a token, spent per `jti`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JtiCaps {
    /// The token's `jti`.
    pub jti: String,
    /// The most predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_predictions: Option<u32>,
    /// The most credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_credits: Option<MicroCredits>,
    /// Expiry of the token. The record of what it spent is deleted then.
    pub expires_at: UnixMillis,
}

/// A client's idempotency key, with hashes of the request that it was sent with (contract 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The key as the client sent it.
    #[serde(rename = "key")]
    pub value: String,
    /// SHA-256 of path and raw body, in hexadecimal. Kept until the next release, because Ledgers of the previous build
    /// compare and store only this hash.
    pub hash: String,
    /// SHA-256 of the request's meaning, in hexadecimal: see
    /// [`request_hash_of_create`](crate::policy::request_hash_of_create). Absent if an edge of the previous build sent
    /// the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
}

/// A file id in an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    /// Index in [`CreateRequest::specs`].
    #[serde(rename = "order")]
    pub spec: usize,
    /// JSON pointer into the input (RFC 6901).
    pub pointer: String,
    /// Valetkey's id of the file. The Ledger replaces it by the vendor's.
    pub file_id: FileId,
}
