//! What the Dispatcher tells a Ledger of a prediction.

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::prediction::{Failure, QueuePosition, Status};
use crate::types::time::UnixMillis;

/// Where the Dispatcher has a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It waits for a slot.
    Waiting,
    /// It is being sent.
    Submitting,
    /// The vendor has it.
    Running,
    /// It has ended.
    Ended,
}

/// All that a Ledger needs to know of a prediction: the latest news replace all earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// Which.
    pub job_id: JobId,
    /// Grows with every change of the row; a Ledger applies only a higher number.
    pub sequence: u64,
    /// Where it is.
    pub stage: Stage,
    /// When it changed, by the Dispatcher's clock.
    pub at: UnixMillis,
    /// An end was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// While it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePosition>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JobEnd>,
}

/// How a prediction ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEnd {
    /// A terminal one.
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Output URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// What is booked.
    pub credits: MicroCredits,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predict_time: Option<f64>,
}
