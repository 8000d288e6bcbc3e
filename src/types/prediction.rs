//! A prediction: the record that a Ledger stores, and the JSON that the client sees (contract 2).

use serde::{Deserialize, Serialize};

use crate::types::credits::MicroCredits;
use crate::types::ids::{BatchId, JobId, UserKey};
use crate::types::model::ModelId;
use crate::types::time::{UnixMillis, UtcDay};

/// `status` of a prediction.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Not submitted to the vendor yet.
    Queued,
    /// Submitted, or being submitted.
    Processing,
    /// Ended with an output.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because the client canceled it.
    Canceled,
}

impl Status {
    /// Every status, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether the status is final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Processing => false,
            Self::Succeeded | Self::Failed | Self::Canceled => true,
        }
    }
}

/// `error.code` of a failed prediction (contract 2).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// Whether the vendor accepted the create is unknown, so it is never sent again.
    OutcomeUnknown,
    /// The prediction waited too long for a slot.
    QueueTimeout,
    /// The vendor reported that the prediction failed.
    UpstreamFailed,
    /// The vendor refused the create.
    UpstreamRejected,
    /// The vendor no longer knows the prediction.
    UpstreamLost,
    /// The prediction ran far longer than its model's `max_seconds`.
    TimedOut,
}

impl Failure {
    /// Every failure, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the public text. The vendor's own words are never relayed.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::OutcomeUnknown => "The prediction service gave no clear response. The request was not sent again.",
            Self::QueueTimeout => "No slot became free in time. No credits were used.",
            Self::UpstreamFailed => "The prediction service could not finish this prediction.",
            Self::UpstreamRejected => "The prediction service refused this prediction.",
            Self::UpstreamLost => "The prediction service lost this prediction.",
            Self::TimedOut => "The prediction took too long.",
        }
    }
}

/// A position in the queue, while the status is `queued`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// 1 starts next.
    pub position: u32,
    /// Estimated seconds until the prediction starts.
    pub eta_seconds: u32,
}

/// A Ledger's record of a prediction, stored as one JSON document. The test `prediction_format_unchanged` pins its
/// format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// Our own id. The vendor's id is never stored here.
    pub job_id: JobId,
    /// The requested model.
    pub model: ModelId,
    /// The current status.
    pub status: Status,
    /// The Dispatcher's sequence number of the last job update that was applied; 0 before the first.
    #[serde(default)]
    pub sequence: u64,
    /// When the prediction was created.
    pub created_at: UnixMillis,
    /// When the prediction ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
    /// The output URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// Why the prediction failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Credits reserved until the prediction is settled.
    pub credits_reserved: MicroCredits,
    /// Credits used, once the prediction is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_used: Option<MicroCredits>,
    /// The vendor's `metrics.predict_time`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predict_time: Option<f64>,
    /// The client requested a cancel. It takes effect when the vendor confirms it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Queue position and ETA, while the prediction is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePosition>,
    /// The day that the credits count toward.
    pub day: UtcDay,
    /// The `jti` of the token whose caps this prediction counts against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The id of the token that created the prediction, with caps or not: revoking it also ends its waiting
    /// predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The idempotency key of the create. It is deleted with the row if the create is refused.
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The batch that the prediction is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// When the last job update arrived.
    #[serde(rename = "heard_at")]
    pub last_update_at: UnixMillis,
    /// When the Ledger asks the Dispatcher for the state, unless a job update arrives first.
    #[serde(rename = "ask_at")]
    pub state_check_at: UnixMillis,
    /// The client of the create got 503, and the Dispatcher has not yet said whether it has the prediction.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawing: bool,
    /// Its user was deleted while it ran. It has no content, no read shows it, and it is deleted once it has ended.
    #[serde(rename = "erased", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_erased: bool,
    /// The owner, if the end of the prediction is told to a receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserKey>,
}

/// The client's view of a prediction, with members in the documented order (contract 2).
#[derive(Debug, Serialize)]
struct View<'a> {
    job_id: &'a str,
    status: &'static str,
    model: &'a str,
    created_at: String,
    completed_at: Option<String>,
    output: &'a [String],
    error: Option<ErrorView>,
    credits_used: Option<String>,
    metrics: MetricsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueuePosition>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_requested: bool,
    urls: UrlsView,
}

#[derive(Debug, Serialize)]
struct ErrorView {
    code: &'static str,
    message: &'static str,
}

#[derive(Debug, Serialize)]
struct MetricsView {
    predict_time: Option<f64>,
}

#[derive(Debug, Serialize)]
struct UrlsView {
    get: String,
    cancel: String,
    events: String,
    stream: String,
}

impl PredictionRecord {
    /// Returns whether the Dispatcher has acknowledged the prediction.
    #[must_use]
    pub const fn is_acknowledged(&self) -> bool {
        self.sequence > 0
    }

    /// Writes the client's view as JSON (contract 2). `base` is `PUBLIC_URL`, or else the request's origin.
    #[must_use]
    pub fn render(&self, base: &str) -> String {
        let get = format!("{base}/v1/predictions/{}", self.job_id);
        let view = View {
            job_id: self.job_id.as_str(),
            status: self.status.as_str(),
            model: self.model.as_str(),
            created_at: self.created_at.to_rfc3339(),
            completed_at: self.completed_at.map(UnixMillis::to_rfc3339),
            output: &self.output,
            error: self.failure.map(|failure| ErrorView { code: failure.as_str(), message: failure.message() }),
            credits_used: self.credits_used.map(|credits| credits.to_string()),
            metrics: MetricsView { predict_time: self.predict_time },
            queue: self.queue.filter(|_| self.status == Status::Queued),
            cancel_requested: self.cancel_requested && !self.status.is_terminal(),
            urls: UrlsView {
                cancel: format!("{get}/cancel"),
                events: format!("{get}/events"),
                stream: format!("{get}/stream"),
                get,
            },
        };
        // Cannot fail: the view holds strings, numbers, booleans and lists only.
        serde_json::to_string(&view).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn render(record: &PredictionRecord, base: &str) -> Value {
        serde_json::from_str(&record.render(base)).unwrap()
    }

    fn record() -> PredictionRecord {
        PredictionRecord {
            job_id: JobId::parse("pred_01jh0000000000000000000000").unwrap(),
            model: ModelId::parse("acme/model-x").unwrap(),
            status: Status::Processing,
            sequence: 2,
            created_at: UnixMillis(1_768_473_000_000),
            completed_at: None,
            output: Vec::new(),
            failure: None,
            credits_reserved: MicroCredits::parse("2.5").unwrap(),
            credits_used: None,
            predict_time: None,
            cancel_requested: false,
            queue: None,
            day: UtcDay(20_468),
            jti: None,
            token_id: None,
            idempotency_key: None,
            last_update_at: UnixMillis(1_768_473_000_000),
            state_check_at: UnixMillis(1_768_474_000_000),
            batch_id: None,
            withdrawing: false,
            is_erased: false,
            user: None,
        }
    }

    #[test]
    fn prediction_format_unchanged() {
        let running = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","status":"processing","sequence":2,"created_at":1768473000000,"credits_reserved":2500000,"day":20468,"heard_at":1768473000000,"ask_at":1768474000000}"#;
        assert_eq!(serde_json::to_string(&record()).unwrap(), running);
        assert_eq!(serde_json::from_str::<PredictionRecord>(running).unwrap(), record());
        let ended = PredictionRecord {
            status: Status::Failed,
            completed_at: Some(UnixMillis(1)),
            output: vec!["https://cdn.example/a.png".into()],
            failure: Some(Failure::UpstreamFailed),
            credits_used: Some(MicroCredits::ZERO),
            predict_time: Some(4.5),
            cancel_requested: true,
            queue: Some(QueuePosition { position: 3, eta_seconds: 40 }),
            jti: Some("j".into()),
            token_id: Some("t".into()),
            idempotency_key: Some("k".into()),
            withdrawing: true,
            is_erased: true,
            user: UserKey::parse(&"0a".repeat(32)),
            ..record()
        };
        let text = r#"{"job_id":"pred_01jh0000000000000000000000","model":"acme/model-x","status":"failed","sequence":2,"created_at":1768473000000,"completed_at":1,"output":["https://cdn.example/a.png"],"failure":"upstream_failed","credits_reserved":2500000,"credits_used":0,"predict_time":4.5,"cancel_requested":true,"queue":{"position":3,"eta_seconds":40},"day":20468,"jti":"j","token_id":"t","key":"k","heard_at":1768473000000,"ask_at":1768474000000,"withdrawing":true,"erased":true,"user":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}"#;
        assert_eq!(serde_json::to_string(&ended).unwrap(), text);
    }

    #[test]
    fn a_prediction_is_shown_as_the_contract_says() {
        let queued = PredictionRecord {
            status: Status::Queued,
            queue: Some(QueuePosition { position: 3, eta_seconds: 40 }),
            ..record()
        };
        assert_eq!(
            render(&queued, "https://api.example"),
            json!({
                "job_id": "pred_01jh0000000000000000000000", "status": "queued", "model": "acme/model-x",
                "created_at": "2026-01-15T10:30:00Z", "completed_at": null, "output": [], "error": null,
                "credits_used": null, "metrics": {"predict_time": null}, "queue": {"position": 3, "eta_seconds": 40},
                "urls": {
                    "get": "https://api.example/v1/predictions/pred_01jh0000000000000000000000",
                    "cancel": "https://api.example/v1/predictions/pred_01jh0000000000000000000000/cancel",
                    "events": "https://api.example/v1/predictions/pred_01jh0000000000000000000000/events",
                    "stream": "https://api.example/v1/predictions/pred_01jh0000000000000000000000/stream",
                },
            })
        );
    }

    #[test]
    fn an_ended_prediction_is_neither_queued_nor_being_canceled() {
        let ended = PredictionRecord {
            status: Status::Canceled,
            queue: Some(QueuePosition { position: 1, eta_seconds: 1 }),
            cancel_requested: true,
            ..record()
        };
        let view = render(&ended, "");
        assert!(view.get("queue").is_none() && view.get("cancel_requested").is_none());
        assert_eq!(render(&PredictionRecord { cancel_requested: true, ..record() }, "")["cancel_requested"], true);
    }
}
