//! What the Dispatcher is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Deadline, JobNews, Order};
use crate::ids::{JobId, UserKey};
use crate::model::ModelId;

/// Ledger or edge → Dispatcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherRequest {
    /// Take a prediction over. Repeated: answered with the row's present state.
    Enqueue {
        /// Whose it is.
        user: UserKey,
        /// What to make.
        order: Box<Order>,
        /// Share in the queue.
        weight: u32,
        /// When the Ledger gives up.
        deadline: Deadline,
    },
    /// The Ledger gave up on an enqueue: drop it if it was not sent.
    Withdraw {
        /// Which.
        job_id: JobId,
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
    /// Await the vendor's answer to a create.
    Outcome {
        /// Which.
        job_id: JobId,
    },
    /// Look whether work is due; never a vendor request by itself.
    Tick,
    /// The vendor's models, as last seen.
    Models,
}

/// Dispatcher → Ledger or edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatcherReply {
    /// The row as it is now.
    Job(Box<JobNews>),
    /// No such row, now or in the last 25 hours; a withdrawal of it holds.
    Unknown,
    /// An enqueue that is refused.
    Refused(EnqueueRefusal),
    /// The vendor's answer to a create.
    Outcome {
        /// It.
        outcome: CreateOutcome,
    },
    /// Model names, if a list was ever read.
    Models {
        /// `owner/model`.
        models: Option<Vec<ModelId>>,
    },
    /// Done, nothing to say.
    Done,
}

/// Why an enqueue is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnqueueRefusal {
    /// No slot is free.
    QueueFull {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The vendor's key, its circuit or this model rests.
    UpstreamUnavailable {
        /// When to try again.
        retry_after_secs: u32,
    },
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
