//! What the control API can change while the simulator runs.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;

/// Which of the vendor's two documented answer shapes to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseShape {
    /// ResponseShape 1: `job_id`, `output`, `urls`, `metrics`.
    #[default]
    #[serde(alias = "1")]
    Rest,
    /// ResponseShape 2: an integer `id`, `output_data.urls`, `credits_used`.
    #[serde(alias = "2")]
    Flux,
    /// The two in turn, from answer to answer: a prediction is found by either id.
    Mixed,
}

/// Which of the vendor's two documented error envelopes to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorEnvelope {
    /// `type`, `message`, `code` in upper case, `details` where there is something.
    #[default]
    Typed,
    /// `code` in lower case, `message`, `details{param,type}`; no `type`.
    Rest,
    /// The two in turn.
    Mixed,
}

/// The settings. `GET /settings` shows them; `PUT /settings` changes those that it names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The shape of prediction answers.
    pub shape: ResponseShape,
    /// The shape of errors.
    pub error_envelope: ErrorEnvelope,
    /// How long a prediction runs.
    pub prediction_ms: u64,
    /// Up to this much is added at random to each prediction's time.
    pub jitter_ms: u64,
    /// Predictions never end by themselves.
    pub manual: bool,
    /// Requests that an account may make in any minute; `null` is no limit.
    pub requests_per_minute: Option<u64>,
    /// Predictions that an account may run at once; `null` is no limit.
    pub concurrent_limit: Option<u64>,
    /// A create over `concurrent_limit` is accepted as `queued` rather than refused.
    pub queue: bool,
    /// Credits that an account may spend on a UTC day; `null` is no limit.
    pub daily_limit: Option<Credits>,
    /// How often the SSE stream repeats the state of a running prediction.
    pub stream_interval_ms: u64,
    /// What output URLs start with; `null` is this server's own address.
    pub outputs_base_url: Option<String>,
}

impl Settings {
    /// The vendor's documented limits, and predictions of `prediction_ms`.
    pub fn new(prediction_ms: u64) -> Self {
        Self {
            shape: ResponseShape::default(),
            error_envelope: ErrorEnvelope::default(),
            prediction_ms,
            jitter_ms: 0,
            manual: false,
            requests_per_minute: Some(60),
            concurrent_limit: Some(5),
            queue: false,
            daily_limit: None,
            stream_interval_ms: 1_000,
            outputs_base_url: None,
        }
    }
}
