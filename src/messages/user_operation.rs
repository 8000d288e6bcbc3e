//! An operator's requests about one user, to that user's Ledger.

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::ids::{FileId, JobId, UserKey};
use crate::types::time::UnixMillis;

/// Edge → Ledger, for an operator. The reply is `NotFound` if the Ledger has stored nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserOperation {
    /// Say whether the Ledger has stored anything.
    Know,
    /// Return a page of all that is stored: predictions, then files.
    Export {
        /// Rows of each kind, at most 100.
        limit: u32,
        /// Only predictions older than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<JobId>,
        /// Only files older than this one, and no predictions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before_file: Option<FileId>,
    },
    /// Use these limits instead of the plan's, until they expire. None: the plan's again.
    Override(Option<LimitOverride>),
    /// Cancel all predictions that wait or run.
    CancelAll,
    /// Delete the user (protocol 7).
    Erase {
        /// The user, whose key is also the Ledger's name. An object cannot read its own name.
        user: UserKey,
    },
}

/// A user's own limits, in place of the plan's. An absent limit is the plan's. A mark of the Ledger has it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitOverride {
    /// Requests in any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Creates in any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions_per_minute: Option<u32>,
    /// Running predictions at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_predictions: Option<u32>,
    /// Waiting predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u32>,
    /// Credits of a UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_credits: Option<MicroCredits>,
    /// Files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u32>,
    /// Bytes of all files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_bytes: Option<u64>,
    /// Time from which the plan's limits count again.
    pub expires_at: UnixMillis,
}
