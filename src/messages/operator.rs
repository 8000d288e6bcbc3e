//! Requests of the operator's API to the Dispatcher, and its replies. A build that does not know a request fails it, and
//! the operator gets 503.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::job_update::JobUpdate;
use super::spend::{SpendQuery, SpendRow};
use crate::types::ids::{JobId, PauseId, RequestId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::{UnixMillis, UtcDay};

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
    /// Return the Dispatcher's members of `GET /admin/api/state`.
    State,
    /// Pause creates: take a lease, or renew it. A repeated request takes it once.
    Pause {
        /// The lease.
        id: PauseId,
        /// The model. All if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<ModelId>,
        /// How long, in seconds from now on.
        for_secs: u32,
        /// True if the lease is not taken anew if it has ended.
        #[serde(rename = "renewal", default, skip_serializing_if = "std::ops::Not::not")]
        is_renewal: bool,
    },
    /// Give a lease back.
    Resume {
        /// The lease.
        id: PauseId,
    },
    /// Free the slot of a prediction with an unknown outcome.
    ReleaseSlot {
        /// The prediction.
        job_id: JobId,
    },
    /// Return the latest actions.
    Audit {
        /// Only actions with a lower id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// The most rows.
        limit: u32,
    },
    /// Cancel predictions.
    CancelJobs {
        /// The predictions.
        job_ids: Vec<JobId>,
    },
    /// Forget a user who is deleted: cancel what waits, keep no output of what runs, and whose spend it was.
    ForgetUser {
        /// The user.
        user: UserKey,
        /// The predictions that the user's Ledger asks about.
        job_ids: Vec<JobId>,
        /// Only predictions that were created up to this time.
        by: UnixMillis,
    },
    /// Return the stored inputs of those predictions that wait.
    Inputs {
        /// The predictions.
        job_ids: Vec<JobId>,
    },
    /// Return a page of spend.
    Spend(SpendQuery),
    /// Add an isolate's counts of refused requests.
    CountRefusals(Vec<RefusalCount>),
    /// Return the counts of refused requests.
    Refusals {
        /// The first day.
        from: UtcDay,
        /// The last day.
        to: UtcDay,
    },
}

/// Dispatcher → edge, for an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorReply {
    /// Done. There is nothing to return.
    Done,
    /// The Dispatcher's members of `GET /admin/api/state`. The edge shows them as they are.
    State(Map<String, Value>),
    /// Creates are paused.
    Paused {
        /// The end of the lease.
        ends_at: UnixMillis,
    },
    /// Nothing was done.
    Refused(OperatorRefusal),
    /// Actions, the latest first.
    Audit(Vec<AuditRow>),
    /// The present state of those predictions that are known.
    Jobs {
        /// Their updates.
        updates: Vec<JobUpdate>,
        /// True if the Dispatcher knew the user of [`OperatorRequest::ForgetUser`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_user_known: bool,
    },
    /// Stored inputs, as JSON.
    Inputs(Vec<(JobId, String)>),
    /// A page of spend.
    Spend(Vec<SpendRow>),
    /// Counts of refused requests, by day and code.
    Refusals(Vec<RefusalCount>),
}

/// Why the Dispatcher does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRefusal {
    /// There is no such pause or prediction.
    NotFound,
    /// The prediction waits or runs.
    NotEnded,
    /// There are too many pauses.
    TooMany {
        /// Seconds until one of them ends.
        retry_after_secs: u32,
    },
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
    /// Its target: a user key or an id. Never a user's own name.
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

/// Refused requests of a UTC day with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalCount {
    /// The day.
    pub day: UtcDay,
    /// The error code of the responses.
    pub code: String,
    /// Their number.
    pub count: u64,
}
