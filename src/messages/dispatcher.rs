//! Requests to the Dispatcher, and its replies.

use serde::{Deserialize, Serialize};

use super::deadline::Deadline;
use super::fresh_position::FreshPosition;
use super::job_spec::JobSpec;
use super::job_update::JobUpdate;
use super::operator::{OperatorReply, OperatorRequest};
use crate::types::alert::{RaisedAlert, known_alerts};
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::UnixSeconds;

/// Ledger or edge → Dispatcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherRequest {
    /// Take over predictions, all or none. A repeated request returns their present state.
    Enqueue {
        /// The owner.
        user: UserKey,
        /// The predictions.
        #[serde(rename = "orders")]
        specs: Vec<JobSpec>,
        /// The user's share of the queue.
        share: QueueShare,
        /// The Ledger's deadline.
        deadline: Deadline,
        /// The `iat` of the token behind the create.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_at: Option<UnixSeconds>,
    },
    /// Drop the predictions of an enqueue that the Ledger gave up on, unless one was sent.
    Withdraw {
        /// The predictions.
        job_ids: Vec<JobId>,
    },
    /// Cancel a prediction.
    Cancel {
        /// The prediction.
        job_id: JobId,
    },
    /// Return the present state of a prediction.
    State {
        /// The prediction.
        job_id: JobId,
    },
    /// Return queue positions.
    #[serde(rename = "places")]
    QueuePositions {
        /// The predictions.
        job_ids: Vec<JobId>,
    },
    /// Await the outcome of a create.
    Outcome {
        /// The prediction.
        job_id: JobId,
        /// True if the reply may be [`DispatcherReply::OutcomeWithUpdate`]. The build before does not know that one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        with_update: bool,
    },
    /// The vendor called the prediction's webhook.
    #[serde(rename = "hook")]
    Webhook {
        /// The prediction.
        job_id: JobId,
    },
    /// Permit the edge one vendor request of its own: a stream of this prediction, or any request about files.
    Permit {
        /// The prediction to stream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_id: Option<JobId>,
        /// The user, who takes turns with other users. Absent from the build before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserKey>,
        /// The user's weight in the turns. 1 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight: Option<u32>,
    },
    /// Delete files at the vendor that no user has any more. The reply is `Done`, or `Wait` if too many files wait.
    DeleteFiles {
        /// The vendor's ids of the files.
        vendor_ids: Vec<String>,
    },
    /// Look for due work. A tick never causes a vendor request by itself.
    Tick,
    /// Return the vendor's models, as last read.
    Models,
    /// Refuse all tokens that were issued up to a time (protocol 7).
    RevokeAll {
        /// The time.
        issued_by: UnixSeconds,
    },
    /// Return the revoked-before time of all users.
    Revoked,
    /// Keep alerts that were raised elsewhere, and tell the operator's receiver. The build before does not know it.
    Alerts {
        /// The alerts. One that this build does not know is dropped: its log has it.
        #[serde(deserialize_with = "known_alerts")]
        alerts: Vec<RaisedAlert>,
    },
    /// A request of the operator's API. The build before does not know it.
    Operator(Box<OperatorRequest>),
}

impl DispatcherRequest {
    /// Returns whether the request contains users' inputs, the vendor's ids or operators' names. None of that may reach a log, so such a
    /// message is never part of a URL.
    #[must_use]
    pub const fn holds_content(&self) -> bool {
        matches!(self, Self::Enqueue { .. } | Self::DeleteFiles { .. } | Self::Operator(_))
    }
}

/// A user's share of the queue and of the slots, from the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueShare {
    /// The plan's name. It selects the pool.
    pub plan: String,
    /// The user's weight in the queue.
    pub weight: u32,
    /// The user's predictions at the vendor at once.
    pub concurrent_predictions: u32,
    /// The user's waiting predictions.
    pub max_waiting: u32,
}

/// Dispatcher → Ledger or edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherReply {
    /// The present state of those predictions that the Dispatcher knows; in the reply to a withdrawal, those that stay.
    /// A prediction that is missing there was dropped, or had ended with its end acknowledged. Either way a tombstone
    /// refuses a late enqueue of it for 25 hours.
    Jobs(Vec<JobUpdate>),
    /// A refused enqueue.
    Refused(EnqueueRefusal),
    /// Queue positions of those predictions that wait.
    #[serde(rename = "places")]
    QueuePositions(Vec<(JobId, FreshPosition)>),
    /// The outcome of a create.
    Outcome(CreateOutcome),
    /// The outcome of a create, with the prediction's state at that time. Its Ledger knows that state or a later one.
    #[serde(rename = "outcome_news")]
    OutcomeWithUpdate {
        /// The outcome.
        outcome: CreateOutcome,
        /// The prediction's state. Absent if only its Ledger knows it.
        #[serde(rename = "news", default, skip_serializing_if = "Option::is_none")]
        update: Option<Box<JobUpdate>>,
    },
    /// The edge may send one vendor request.
    Permit {
        /// The vendor's id of the prediction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor_id: Option<String>,
        /// Fingerprint of the vendor key to use.
        #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
        vendor_key_fingerprint: Option<String>,
    },
    /// No permit now.
    Wait {
        /// Seconds until a retry can pass.
        retry_after_secs: u32,
    },
    /// The vendor's models, if a list was ever read.
    Models(Option<Vec<ModelId>>),
    /// The revoked-before time of all users.
    Revoked(Option<UnixSeconds>),
    /// The reply to a request of the operator's API.
    Operator(Box<OperatorReply>),
    /// Done. There is nothing to return.
    Done,
}

/// Why an enqueue is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnqueueRefusal {
    /// The credits of the plan's pool are spent for this day.
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
    /// The token was issued up to the revoked-before time of all users.
    Revoked,
    /// The message is too old.
    Expired,
}

/// The outcome of a create, for the client that still waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateOutcome {
    /// The prediction runs: 201.
    Accepted,
    /// The prediction waits, or its outcome is not known yet: 202.
    Pending,
    /// The vendor refused the input: 400.
    InputRefused,
    /// The vendor refused the create for another reason: 502 `upstream_rejected`.
    Rejected,
    /// The vendor failed and says so: 502 `upstream_error`.
    Failed,
    /// The response is unreadable, so the outcome is unknown: 502 `upstream_error`.
    Unreadable,
    /// No response arrived, so the outcome is unknown: 504 `upstream_timeout`.
    TimedOut,
}
