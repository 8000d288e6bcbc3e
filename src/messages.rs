//! What the edge, the Ledgers and the Dispatcher say to each other, as JSON.
//!
//! Versions run side by side for minutes at a deploy: unknown members are ignored, members added later have
//! defaults, and every message is idempotent by `job_id` (docs/architecture.md).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::credits::MicroCredits;
use crate::ids::{JobId, UserKey};
use crate::model::ModelId;
use crate::prediction::{Failure, PredictionRecord, QueuePlace, Status};
use crate::time::UnixMillis;

/// When a message was sent and how long it is worth doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The sender's clock.
    pub sent_at_ms: UnixMillis,
    /// Milliseconds.
    pub ttl_ms: i64,
}

impl Deadline {
    /// A deadline `ttl_ms` after now.
    #[must_use]
    pub const fn after(now: UnixMillis, ttl_ms: i64) -> Self {
        Self { sent_at_ms: now, ttl_ms }
    }

    /// Whether the sender gave up. Clocks of two objects differ: 2 s are tolerated (protocol 5).
    #[must_use]
    pub const fn is_expired(self, now: UnixMillis) -> bool {
        now.millis_since(self.sent_at_ms) > self.ttl_ms.saturating_add(ACK_TIMEOUT_MILLIS)
    }
}

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

/// One prediction to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Our id, made by the edge.
    pub job_id: JobId,
    /// The model.
    pub model: ModelId,
    /// What is sent to the vendor.
    pub input: Map<String, Value>,
    /// Images, 1 or more.
    pub image_count: u32,
    /// Price × images: what is reserved.
    pub credits: MicroCredits,
    /// The model's longest run.
    pub max_seconds: u32,
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
pub struct JobNews {
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
    pub queue: Option<QueuePlace>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job_id() -> JobId {
        JobId::parse("pred_01jh0000000000000000000000").unwrap()
    }

    fn pinned<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(message: &T, json: Value) {
        assert_eq!(serde_json::to_value(message).unwrap(), json);
        assert_eq!(&serde_json::from_value::<T>(json).unwrap(), message);
    }

    fn order() -> Order {
        Order {
            job_id: job_id(),
            model: ModelId::parse("acme/model-x").unwrap(),
            input: Map::new(),
            image_count: 1,
            credits: MicroCredits::parse("2.5").unwrap(),
            max_seconds: 600,
        }
    }

    fn order_json() -> Value {
        json!({"job_id": job_id().as_str(), "model": "acme/model-x", "input": {}, "image_count": 1,
            "credits": 2_500_000, "max_seconds": 600})
    }

    #[test]
    fn ledger_request_format_unchanged() {
        let create = LedgerRequest::Create {
            user: UserKey::new("i", "s"),
            order: Box::new(order()),
            limits: PlanLimits {
                plan: "default".into(),
                requests_per_minute: 60,
                predictions_per_minute: 10,
                concurrent_predictions: 2,
                daily_credits: MicroCredits::parse("50").unwrap(),
                weight: 1,
                max_waiting: 20,
            },
            caps: None,
            deadline: Deadline { sent_at_ms: UnixMillis(5), ttl_ms: 2_000 },
            max_wait_secs: 600,
        };
        let user = UserKey::new("i", "s");
        pinned(
            &create,
            json!({"create": {"user": user.as_str(), "order": order_json(), "limits": {"plan": "default",
                "requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2,
                "daily_credits": 50_000_000, "weight": 1, "max_waiting": 20},
                "deadline": {"sent_at_ms": 5, "ttl_ms": 2000}, "max_wait_secs": 600}}),
        );
        pinned(&LedgerRequest::Get { job_id: job_id() }, json!({"get": {"job_id": job_id().as_str()}}));
        pinned(&LedgerRequest::Account, json!("account"));
    }

    #[test]
    fn dispatcher_messages_format_unchanged() {
        pinned(
            &DispatcherRequest::Enqueue {
                user: UserKey::new("i", "s"),
                order: Box::new(order()),
                weight: 1,
                deadline: Deadline { sent_at_ms: UnixMillis(5), ttl_ms: 1_600 },
            },
            json!({"enqueue": {"user": UserKey::new("i", "s").as_str(), "order": order_json(), "weight": 1,
                "deadline": {"sent_at_ms": 5, "ttl_ms": 1600}}}),
        );
        pinned(
            &DispatcherReply::Outcome { outcome: CreateOutcome::TimedOut },
            json!({"outcome": {"outcome": "timed_out"}}),
        );
    }

    #[test]
    fn news_format_unchanged() {
        let news = JobNews {
            job_id: job_id(),
            sequence: 3,
            stage: Stage::Ended,
            at: UnixMillis(9),
            cancel_requested: false,
            queue: None,
            end: Some(JobEnd {
                status: Status::Succeeded,
                failure: None,
                output: vec!["https://cdn.example/a.png".into()],
                credits: MicroCredits::parse("2.5").unwrap(),
                predict_time: Some(4.5),
            }),
        };
        pinned(
            &news,
            json!({"job_id": job_id().as_str(), "sequence": 3, "stage": "ended", "at": 9, "end": {"status": "succeeded",
                "output": ["https://cdn.example/a.png"], "credits": 2_500_000, "predict_time": 4.5}}),
        );
    }

    #[test]
    fn members_of_a_newer_version_are_ignored() {
        let text = format!(r#"{{"get":{{"job_id":"{}","later":1}}}}"#, job_id());
        assert_eq!(serde_json::from_str::<LedgerRequest>(&text).unwrap(), LedgerRequest::Get { job_id: job_id() });
    }
}
