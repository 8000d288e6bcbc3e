//! What the edge, the Ledgers and the Dispatcher say to each other, as JSON.
//!
//! Versions run side by side for minutes at a deploy: unknown members are ignored, members added later have
//! defaults, and every message is idempotent by `job_id` (docs/architecture.md).

mod dispatcher;
mod job_update;
mod ledger;

pub use dispatcher::{Anomalies, CreateOutcome, DispatcherReply, DispatcherRequest, EnqueueRefusal, QueueShare};
pub use job_update::{JobEnd, JobUpdate, Stage};
pub use ledger::{
    AccountUsage, Caller, CreateRequest, DayUsage, FileUse, IdempotencyKey, JtiCaps, LedgerCall, LedgerEnvelope,
    LedgerRefusal, LedgerReply, LedgerRequest, PlanLimits, ProofUse, Rate, Revocation, StreamId,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::types::credits::MicroCredits;
use crate::types::ids::JobId;
use crate::types::model::ModelId;
use crate::types::time::{UnixMillis, UtcDay};

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

/// One prediction to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
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

impl JobSpec {
    /// The day on which its credits are booked: that of its id, so that user, pool and key book the same one.
    #[must_use]
    pub fn day(&self) -> UtcDay {
        self.job_id.created_at().utc_day()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ids::RequestId;
    use crate::types::ids::{FileId, UserKey};
    use crate::types::prediction::{QueuePosition, Status};
    use crate::types::time::UnixSeconds;
    use serde_json::json;

    fn job_id() -> JobId {
        JobId::parse("pred_01jh0000000000000000000000").unwrap()
    }

    fn pinned<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(message: &T, json: Value) {
        assert_eq!(serde_json::to_value(message).unwrap(), json);
        assert_eq!(&serde_json::from_value::<T>(json).unwrap(), message);
    }

    fn spec() -> JobSpec {
        JobSpec {
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
        let user = UserKey::new("i", "s");
        let create = CreateRequest {
            token_id: Some("t".into()),
            user: user.clone(),
            specs: vec![spec()],
            files: vec![FileUse {
                spec: 0,
                pointer: "/image".into(),
                file_id: FileId::parse("file_01jh0000000000000000000000").unwrap(),
            }],
            batch_id: None,
            idempotency_key: Some(IdempotencyKey { value: "k".into(), hash: "h".into() }),
            limits: PlanLimits {
                plan: "default".into(),
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
        let caller =
            Caller { issued_at: UnixSeconds(4), jti: Some("j".into()), requests_per_minute: Some(60), proof: None };
        pinned(
            &LedgerCall { caller: Some(caller), request: LedgerRequest::Create(Box::new(create)) },
            json!({"caller": {"issued_at": 4, "jti": "j", "requests_per_minute": 60}, "ask": {"create": {
                "user": user.as_str(), "orders": [order_json()],
                "files": [{"order": 0, "pointer": "/image", "file_id": "file_01jh0000000000000000000000"}],
                "key": {"key": "k", "hash": "h"}, "limits": {"plan": "default", "predictions_per_minute": 10,
                "concurrent_predictions": 2, "daily_credits": 50_000_000, "weight": 1, "max_waiting": 20}, "token_id": "t",
                "deadline": {"sent_at_ms": 5, "ttl_ms": 2000}, "max_wait_secs": 600}}}),
        );
        pinned(&LedgerRequest::Get { job_id: job_id() }, json!({"get": {"job_id": job_id().as_str()}}));
        pinned(&LedgerRequest::Check, json!("check"));
        let request = RequestId::new(UnixMillis(0), [0; 10]);
        let stream = StreamId { id: request.clone(), vendor: Some(job_id()) };
        let stream_json = json!({"id": request.as_str(), "vendor": job_id().as_str()});
        pinned(
            &LedgerRequest::Unwatch { stream: stream.clone(), unopened: false },
            json!({"unwatch": {"stream": stream_json}}),
        );
        pinned(
            &LedgerRequest::Unwatch { stream, unopened: true },
            json!({"unwatch": {"stream": stream_json, "unopened": true}}),
        );
        pinned(
            &ProofUse { id: "p".into(), request: request.clone(), ends_at: UnixSeconds(4) },
            json!({"id": "p", "request": request.as_str(), "ends_at": 4}),
        );
    }

    #[test]
    fn ledger_answer_format_unchanged() {
        let rate = Rate { limit: 60, remaining: 59, reset: UnixSeconds(7) };
        let refused = LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs: 3 });
        pinned(
            &LedgerEnvelope { rate: Some(rate), reply: refused },
            json!({"rate": {"limit": 60, "remaining": 59, "reset": 7},
                "reply": {"refused": {"rate_limited": {"retry_after_secs": 3}}}}),
        );
    }

    #[test]
    fn dispatcher_messages_format_unchanged() {
        let user = UserKey::new("i", "s");
        let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 20 };
        pinned(
            &DispatcherRequest::Enqueue {
                issued_at: Some(UnixSeconds(4)),
                user: user.clone(),
                specs: vec![spec()],
                share,
                deadline: Deadline { sent_at_ms: UnixMillis(5), ttl_ms: 1_600 },
            },
            json!({"enqueue": {"user": user.as_str(), "orders": [order_json()], "share": {"plan": "default",
                "weight": 1, "concurrent_predictions": 2, "max_waiting": 20},
                "deadline": {"sent_at_ms": 5, "ttl_ms": 1600}, "issued_at": 4}}),
        );
        pinned(&DispatcherRequest::RevokeAll { issued_by: UnixSeconds(4) }, json!({"revoke_all": {"issued_by": 4}}));
        pinned(&DispatcherRequest::Revoked, json!("revoked"));
        pinned(&DispatcherReply::Revoked(Some(UnixSeconds(4))), json!({"revoked": 4}));
        pinned(&DispatcherReply::Refused(EnqueueRefusal::Revoked), json!({"refused": "revoked"}));
        pinned(&DispatcherReply::Outcome(CreateOutcome::TimedOut), json!({"outcome": "timed_out"}));
        let place = QueuePosition { position: 1, eta_seconds: 20 };
        pinned(
            &DispatcherReply::QueuePositions(vec![(job_id(), place)]),
            json!({"places": [[job_id().as_str(), {"position": 1, "eta_seconds": 20}]]}),
        );
    }

    #[test]
    fn news_format_unchanged() {
        let update = JobUpdate {
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
            &update,
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
