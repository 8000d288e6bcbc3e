//! What a Ledger is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Deadline, JobNews, Order};
use crate::credits::MicroCredits;
use crate::ids::{JobId, UserKey};
use crate::prediction::{PredictionRecord, Status};
use crate::time::UnixMillis;

/// What a Ledger enforces for this request: the caller's plan, as the edge's configuration has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLimits {
    /// The plan's name.
    pub plan: String,
    /// Requests a minute.
    pub requests_per_minute: u32,
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

/// Edge or Dispatcher → Ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRequest {
    /// Admit and hand over a prediction.
    Create {
        /// The Ledger's own name: it cannot know it otherwise.
        user: UserKey,
        /// What to make.
        order: Box<Order>,
        /// What the caller may.
        limits: PlanLimits,
        /// The token's caps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caps: Option<JtiCaps>,
        /// When the edge gives up.
        deadline: Deadline,
        /// Longest wait in the queue, seconds.
        max_wait_secs: u32,
    },
    /// Read one prediction.
    Get {
        /// Which.
        job_id: JobId,
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
    Account,
    /// The edge gave up on a create.
    Withdraw {
        /// Which.
        job_id: JobId,
    },
    /// News from the Dispatcher.
    News {
        /// Some for this user, each the latest of its prediction.
        news: Vec<JobNews>,
    },
}

/// Ledger → edge or Dispatcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerReply {
    /// The prediction as it is now.
    Prediction {
        /// The record.
        record: Box<PredictionRecord>,
        /// The vendor is being asked: the edge may await the outcome.
        #[serde(default)]
        submitting: bool,
    },
    /// A page.
    Page {
        /// Newest first.
        records: Vec<PredictionRecord>,
        /// Whether older ones exist.
        more: bool,
    },
    /// What the caller used.
    Account(AccountUsage),
    /// Done, nothing to say.
    Done,
    /// Refused.
    Refused(LedgerRefusal),
}

/// Why a Ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRefusal {
    /// No such prediction of this user.
    NotFound,
    /// It has not ended.
    NotEnded,
    /// The day's credits, or the token's caps.
    InsufficientCredits,
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
}
