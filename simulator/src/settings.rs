//! The settings that the control API can change while the simulator runs.

use serde::{Deserialize, Serialize};

use crate::credits::Credits;

/// Selects one of the vendor's two documented response shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseShape {
    /// Shape 1: `job_id`, `output`, `urls`, `metrics`.
    #[default]
    #[serde(alias = "1")]
    Rest,
    /// Shape 2: an integer `id`, `output_data.urls`, `credits_used`.
    #[serde(alias = "2")]
    Flux,
    /// Both, alternating from response to response. Either id finds a prediction.
    Mixed,
}

/// Selects one of the vendor's two documented error envelopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorEnvelope {
    /// `type`, `message`, `code` in upper case, and `details` for an invalid input.
    #[default]
    Typed,
    /// `code` in lower case, `message`, `details{param,type}`; no `type`.
    Rest,
    /// Both, alternating from error to error.
    Mixed,
}

/// The settings. `GET /settings` returns them; `PUT /settings` changes the ones that it names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The shape of predictions in responses.
    pub shape: ResponseShape,
    /// The envelope of errors.
    pub error_envelope: ErrorEnvelope,
    /// How long a prediction runs, in milliseconds.
    pub prediction_ms: u64,
    /// Maximum of the random time that is added to `prediction_ms`, in milliseconds.
    pub jitter_ms: u64,
    /// True if predictions end only by `finish` or cancel.
    pub manual: bool,
    /// Requests that an account may make in any minute; `null` means no limit.
    pub requests_per_minute: Option<u64>,
    /// Predictions that an account may run at once; `null` means no limit.
    pub concurrent_limit: Option<u64>,
    /// True if a create over `concurrent_limit` is accepted as `queued` instead of refused.
    pub queue: bool,
    /// Credits that an account may spend on a UTC day; `null` means no limit.
    pub daily_limit: Option<Credits>,
    /// Interval at which an SSE stream repeats the state of a running prediction, in milliseconds.
    pub stream_interval_ms: u64,
    /// Prefix of output URLs; `null` means this server's own address.
    pub outputs_base_url: Option<String>,
}

impl Settings {
    /// Returns the vendor's documented limits, with predictions that run for `prediction_ms`.
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
