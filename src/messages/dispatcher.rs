//! What the Dispatcher is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Deadline, JobSpec, JobUpdate};
use crate::types::ids::{JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::QueuePosition;
use crate::types::time::{UnixMillis, UnixSeconds};

/// Ledger or edge → Dispatcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherRequest {
    /// Take predictions over: all or none. Repeated: answered with their present state.
    Enqueue {
        /// Whose they are.
        user: UserKey,
        /// What to make.
        #[serde(rename = "orders")]
        specs: Vec<JobSpec>,
        /// The user's share.
        share: QueueShare,
        /// When the Ledger gives up.
        deadline: Deadline,
        /// When the token behind it was issued.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_at: Option<UnixSeconds>,
    },
    /// The Ledger gave up on an enqueue: drop what was not sent.
    Withdraw {
        /// Which.
        job_ids: Vec<JobId>,
    },
    /// Ask for an end.
    Cancel {
        /// Which.
        job_id: JobId,
    },
    /// Where is it?
    State {
        /// Which.
        job_id: JobId,
    },
    /// Where do these stand in the queue?
    #[serde(rename = "places")]
    QueuePositions {
        /// Which.
        job_ids: Vec<JobId>,
    },
    /// Await the vendor's answer to a create.
    Outcome {
        /// Which.
        job_id: JobId,
    },
    /// The vendor called our webhook for it.
    #[serde(rename = "hook")]
    Webhook {
        /// Which.
        job_id: JobId,
    },
    /// May the edge send one request of its own: a stream of this prediction, or anything about files?
    Permit {
        /// The prediction to stream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_id: Option<JobId>,
    },
    /// Look whether work is due; never a vendor request by itself.
    Tick,
    /// The vendor's models, as last seen.
    Models,
    /// What an operator must look at.
    #[serde(rename = "troubles")]
    Anomalies,
    /// Refuse every token that was issued by then (protocol 7).
    RevokeAll {
        /// Seconds.
        issued_by: UnixSeconds,
    },
    /// Which tokens are refused, whoever has them?
    Revoked,
}

/// A user's share of the queue and of the slots, by the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueShare {
    /// The plan's name, for its pools.
    pub plan: String,
    /// Of the starts.
    pub weight: u32,
    /// Predictions at a time.
    pub concurrent_predictions: u32,
    /// Predictions that may wait.
    pub max_waiting: u32,
}

/// Dispatcher → Ledger or edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherReply {
    /// Those of the predictions that are known, as they are now. One that is not there is unknown now and in the last
    /// 25 hours, and a withdrawal of it holds.
    Jobs(Vec<JobUpdate>),
    /// An enqueue that is refused.
    Refused(EnqueueRefusal),
    /// Where predictions stand that wait.
    #[serde(rename = "places")]
    QueuePositions(Vec<(JobId, QueuePosition)>),
    /// The vendor's answer to a create.
    Outcome(CreateOutcome),
    /// The edge may send one request.
    Permit {
        /// The vendor's id of the prediction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor_id: Option<String>,
        /// Fingerprint of the key to use.
        #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
        vendor_key_fingerprint: Option<String>,
    },
    /// Not now.
    Wait {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// Model names, if a list was ever read.
    Models(Option<Vec<ModelId>>),
    /// What an operator must look at.
    #[serde(rename = "troubles")]
    Anomalies(Anomalies),
    /// Every token that was issued by then is refused.
    Revoked(Option<UnixSeconds>),
    /// Done, nothing to say.
    Done,
}

/// Predictions that need an operator's eye.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies {
    /// Nobody can tell whether the vendor has them; with the time of the submit.
    pub unknown_outcomes: Vec<(JobId, UnixMillis)>,
    /// News that their Ledgers have not acknowledged for a day.
    pub dead_letters: Vec<JobId>,
    /// Rows that cannot be read.
    pub unreadable: usize,
}

/// Why an enqueue is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnqueueRefusal {
    /// The pool of the plan is spent for this day.
    InsufficientCredits,
    /// The user's waiting predictions.
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
    /// The token was revoked, with all that were issued by then.
    Revoked,
    /// The message is too old.
    Expired,
}

/// How the vendor answered a create, for the client that is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateOutcome {
    /// It runs: 201.
    Accepted,
    /// It waits, or nothing is known yet: 202.
    Pending,
    /// The vendor refused the input: 400.
    InputRefused,
    /// The vendor refused it otherwise: 502 `upstream_rejected`.
    Rejected,
    /// The vendor failed, and says so: 502 `upstream_error`.
    Failed,
    /// An answer that nobody can read: 502 `upstream_error`, outcome unknown.
    Unreadable,
    /// No answer: 504 `upstream_timeout`, outcome unknown.
    TimedOut,
}
