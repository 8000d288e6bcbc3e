//! Requests of the operator's API to the Dispatcher, and its replies. A build that does not know a request fails it, and
//! the operator gets 503.

use serde::{Deserialize, Serialize};

use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// Edge → Dispatcher, for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRequest {
    /// Record an action before it is done. A repeated request is recorded once.
    BeginAction(AuditEntry),
    /// Record the result of an action.
    FinishAction {
        /// The request of the action.
        request_id: RequestId,
        /// The result.
        result: ActionResult,
    },
    /// Return the latest actions.
    Audit {
        /// Only actions with a lower id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// The most rows.
        limit: u32,
    },
}

/// Dispatcher → edge, for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorReply {
    /// Done. There is nothing to return.
    Done,
    /// Actions, the latest first.
    Audit(Vec<AuditRow>),
}

/// An action of an operator. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The request.
    pub request_id: RequestId,
    /// The issuer of the operator's token.
    pub issuer: String,
    /// The operator's name: an address, or a subject.
    pub operator: String,
    /// The name of the action.
    pub action: String,
    /// What it is about: a user key, a prediction. Never a user's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// The result of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionResult {
    /// It was done.
    Ok,
    /// It was refused, with a status of 4xx.
    Refused,
    /// It failed, and may have been done.
    Failed,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number: one more than that of the row before.
    pub id: u64,
    /// Time at which it was recorded.
    pub at: UnixMillis,
    /// The action.
    pub entry: AuditEntry,
    /// The result. Absent if it is not known: the request was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ActionResult>,
}
