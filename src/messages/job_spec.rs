//! One prediction to be made.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::time::UtcDay;

/// One prediction to be made, as the edge hands it on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Valetkey's id of the prediction, made by the edge.
    pub job_id: JobId,
    /// The model to run.
    pub model: ModelId,
    /// The `input` that is sent to the vendor.
    pub input: Map<String, Value>,
    /// Number of images, at least 1.
    pub image_count: u32,
    /// Credits to reserve: price × images.
    pub credits: MicroCredits,
    /// The model's longest run, seconds.
    pub max_seconds: u32,
}

impl JobSpec {
    /// Returns the UTC day on which the credits are booked. It is the day of the id, so that user, pool and vendor key
    /// all book the same day (protocol 5).
    #[must_use]
    pub fn day(&self) -> UtcDay {
        self.job_id.created_at().utc_day()
    }
}
