//! Reports of the Dispatcher to a Ledger about one prediction.

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::prediction::{Failure, QueuePosition, Status};
use crate::types::time::UnixMillis;

/// The Dispatcher's state of a prediction, as a Ledger sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The prediction waits for a slot.
    Waiting,
    /// Its create is in flight to the vendor.
    Submitting,
    /// The vendor has the prediction.
    Running,
    /// The prediction has ended.
    Ended,
}

/// The present state of a prediction, as far as a Ledger needs it. An update replaces all earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// The prediction.
    pub job_id: JobId,
    /// Grows with every change of the job. A Ledger applies only a higher number.
    pub sequence: u64,
    /// The prediction's stage.
    pub stage: Stage,
    /// Time of the report, by the Dispatcher's clock.
    pub at: UnixMillis,
    /// True if a cancel was requested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// The queue position, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePosition>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JobEnd>,
    /// When it must have ended, if operators have paused it so that this is later than its Ledger reckons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_at: Option<UnixMillis>,
}

/// How a prediction ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEnd {
    /// A terminal status.
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Output URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// Credits to book.
    pub credits: MicroCredits,
    /// The vendor's run time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predict_time: Option<f64>,
}

impl JobEnd {
    /// Returns the end of a failed prediction that costs `credits`.
    #[must_use]
    pub const fn failed(failure: Failure, credits: MicroCredits) -> Self {
        Self { status: Status::Failed, failure: Some(failure), output: Vec::new(), credits, predict_time: None }
    }

    /// Returns the end of a canceled prediction that was never sent to the vendor: it costs nothing.
    #[must_use]
    pub const fn canceled_unsent() -> Self {
        Self {
            status: Status::Canceled,
            failure: None,
            output: Vec::new(),
            credits: MicroCredits::ZERO,
            predict_time: None,
        }
    }
}
