//! Pins the JSON of the messages: versions run side by side at a deployment.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::*;
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::credits::MicroCredits;
use crate::types::file::{FileLimits, FileRecord};
use crate::types::ids::{FileId, JobId, PauseId, RequestId, UserKey};
use crate::types::model::ModelId;
use crate::types::prediction::{QueuePosition, Status};
use crate::types::time::{UnixMillis, UnixSeconds, UtcDay};

fn job_id() -> JobId {
    JobId::parse("pred_01jh0000000000000000000000").unwrap()
}

fn assert_json<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(message: &T, json: Value) {
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

fn spec_json() -> Value {
    json!({"job_id": job_id().as_str(), "model": "acme/model-x", "input": {}, "image_count": 1,
        "credits": 2_500_000, "max_seconds": 600})
}

#[test]
fn operator_format_unchanged() {
    let request_id = RequestId::parse("req_01jh0000000000000000000000").unwrap();
    let entry = AuditEntry {
        request_id: request_id.clone(),
        issuer: "https://staff.example".into(),
        operator: "alice@example.com".into(),
        action: "revoke_user".into(),
        target: Some("t".into()),
    };
    let entry_json = json!({"request_id": request_id.as_str(), "issuer": "https://staff.example",
        "operator": "alice@example.com", "action": "revoke_user", "target": "t"});
    let request = |request| DispatcherRequest::Operator(Box::new(request));
    assert_json(
        &request(OperatorRequest::BeginAction(entry.clone())),
        json!({"operator": {"begin_action": entry_json}}),
    );
    assert_json(
        &request(OperatorRequest::FinishAction { request_id: request_id.clone(), result: ActionResult::Refused }),
        json!({"operator": {"finish_action": {"request_id": request_id.as_str(), "result": "refused"}}}),
    );
    assert_json(
        &request(OperatorRequest::Audit { before: Some(7), limit: 25 }),
        json!({"operator": {"audit": {"before": 7, "limit": 25}}}),
    );
    let row = AuditRow { id: 1, at: UnixMillis(5), entry, result: Some(ActionResult::Ok) };
    let reply = |reply| DispatcherReply::Operator(Box::new(reply));
    assert_json(
        &reply(OperatorReply::Audit(vec![row])),
        json!({"operator": {"audit": [{"id": 1, "at": 5, "entry": entry_json, "result": "ok"}]}}),
    );
    assert_json(&reply(OperatorReply::Done), json!({"operator": "done"}));
    let refused = reply(OperatorReply::Refused(OperatorRefusal::TooMany { retry_after_secs: 3 }));
    assert_json(&refused, json!({"operator": {"refused": {"too_many": {"retry_after_secs": 3}}}}));
    let not_ended = reply(OperatorReply::Refused(OperatorRefusal::NotEnded));
    assert_json(&not_ended, json!({"operator": {"refused": "not_ended"}}));
}

#[test]
fn messages_about_pauses_format_unchanged() {
    let id = PauseId::new(UnixMillis(0), [0; 10]);
    let pause = |model, is_renewal| OperatorRequest::Pause { id: id.clone(), model, for_secs: 120, is_renewal };
    assert_json(&pause(None, false), json!({"pause": {"id": id.as_str(), "for_secs": 120}}));
    assert_json(
        &pause(ModelId::parse("acme/x"), true),
        json!({"pause": {"id": id.as_str(), "model": "acme/x", "for_secs": 120, "renewal": true}}),
    );
    assert_json(&OperatorReply::Paused { ends_at: UnixMillis(5) }, json!({"paused": {"ends_at": 5}}));
    assert_json(&OperatorRequest::Resume { id: id.clone() }, json!({"resume": {"id": id.as_str()}}));
    let release = OperatorRequest::ReleaseSlot { job_id: job_id() };
    assert_json(&release, json!({"release_slot": {"job_id": job_id().as_str()}}));
    assert_json(&OperatorRequest::State, json!("state"));
    let state: Map<String, Value> = [("submitting".to_owned(), json!(0))].into_iter().collect();
    assert_json(&OperatorReply::State(state), json!({"state": {"submitting": 0}}));
}

#[test]
fn user_operation_format_unchanged() {
    let user = UserKey::new("i", "s");
    let call = |operation| LedgerCall { caller: None, request: LedgerRequest::Operate(operation) };
    let limits = LimitOverride {
        daily_credits: MicroCredits::parse("2.5"),
        max_files: Some(3),
        expires_at: UnixMillis(9),
        ..LimitOverride::default()
    };
    let limits_json = json!({"daily_credits": 2_500_000, "max_files": 3, "expires_at": 9});
    let export = |before, before_file| UserOperation::Export { limit: 7, before, before_file };
    for (operation, expected) in [
        (UserOperation::Know, json!("know")),
        (export(None, None), json!({"export": {"limit": 7}})),
        (export(Some(job_id()), None), json!({"export": {"limit": 7, "before": job_id().as_str()}})),
        (UserOperation::Override(Some(limits.clone())), json!({"override": limits_json})),
        (UserOperation::Override(None), json!({"override": null})),
        (UserOperation::CancelAll, json!("cancel_all")),
        (UserOperation::Erase { user: user.clone() }, json!({"erase": {"user": user.as_str()}})),
    ] {
        assert_json(&call(operation), json!({"ask": {"operate": expected}}));
    }
    let export = UserExport { limits: Some(limits), revoked_before: Some(UnixSeconds(4)), ..UserExport::default() };
    assert_json(
        &LedgerReply::Export(Box::new(export)),
        json!({"export": {"predictions": [], "has_more_predictions": false, "files": [], "has_more_files": false,
            "days": [], "revoked_before": 4, "revoked_tokens": [], "limits": limits_json}}),
    );
    let request = |request| DispatcherRequest::Operator(Box::new(request));
    let job_ids = vec![job_id()];
    assert_json(
        &request(OperatorRequest::ForgetUser { user: user.clone(), job_ids: job_ids.clone(), by: UnixMillis(5) }),
        json!({"operator": {"forget_user": {"user": user.as_str(), "job_ids": [job_id().as_str()], "by": 5}}}),
    );
    assert_json(
        &request(OperatorRequest::CancelJobs { job_ids: job_ids.clone() }),
        json!({"operator": {"cancel_jobs": {"job_ids": [job_id().as_str()]}}}),
    );
    assert_json(
        &request(OperatorRequest::Inputs { job_ids }),
        json!({"operator": {"inputs": {"job_ids": [job_id().as_str()]}}}),
    );
    let reply = |reply| DispatcherReply::Operator(Box::new(reply));
    assert_json(
        &reply(OperatorReply::Jobs { updates: Vec::new(), is_user_known: true }),
        json!({"operator": {"jobs": {"updates": [], "is_user_known": true}}}),
    );
    assert_json(
        &reply(OperatorReply::Inputs(vec![(job_id(), "{}".into())])),
        json!({"operator": {"inputs": [[job_id().as_str(), "{}"]]}}),
    );
}

#[test]
fn spend_format_unchanged() {
    let request = |request| DispatcherRequest::Operator(Box::new(request));
    let reply = |reply| DispatcherReply::Operator(Box::new(reply));
    let columns = SpendColumns { day: true, model: false, plan: false, user: true };
    let row = SpendRow {
        day: UtcDay(5),
        plan: "gold".into(),
        model: "acme/x".into(),
        user: "u".into(),
        credits: MicroCredits::parse("2.5").unwrap(),
        predictions: 3,
    };
    let query = SpendQuery { by: columns, from: UtcDay(1), to: UtcDay(9), after: None, limit: 7 };
    let by = json!({"day": true, "model": false, "plan": false, "user": true});
    assert_json(
        &request(OperatorRequest::Spend(query.clone())),
        json!({"operator": {"spend": {"by": by, "from": 1, "to": 9, "limit": 7}}}),
    );
    let group = json!({"day": 5, "plan": "gold", "model": "acme/x", "user": "u"});
    assert_json(
        &request(OperatorRequest::Spend(SpendQuery { after: Some(row.group()), ..query })),
        json!({"operator": {"spend": {"by": by, "from": 1, "to": 9, "after": group, "limit": 7}}}),
    );
    let row_json =
        json!({"day": 5, "plan": "gold", "model": "acme/x", "user": "u", "credits": 2_500_000, "predictions": 3});
    assert_json(&reply(OperatorReply::Spend(vec![row])), json!({"operator": {"spend": [row_json]}}));
    let counts = || vec![RefusalCount { day: UtcDay(5), code: "not_found".into(), count: 2 }];
    let counts_json = json!([{"day": 5, "code": "not_found", "count": 2}]);
    assert_json(
        &request(OperatorRequest::CountRefusals(counts())),
        json!({"operator": {"count_refusals": counts_json}}),
    );
    assert_json(
        &request(OperatorRequest::Refusals { from: UtcDay(1), to: UtcDay(9) }),
        json!({"operator": {"refusals": {"from": 1, "to": 9}}}),
    );
    assert_json(&reply(OperatorReply::Refusals(counts())), json!({"operator": {"refusals": counts_json}}));
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
        idempotency_key: Some(IdempotencyKey { value: "k".into(), hash: "h".into(), request_hash: Some("r".into()) }),
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
    let caller = Caller {
        issued_at: UnixSeconds(4),
        jti: Some("j".into()),
        requests_per_minute: Some(60),
        is_repeat: false,
        proof: None,
    };
    assert_json(
        &LedgerCall { caller: Some(caller), request: LedgerRequest::Create(Box::new(create)) },
        json!({"caller": {"issued_at": 4, "jti": "j", "requests_per_minute": 60}, "ask": {"create": {
            "user": user.as_str(), "orders": [spec_json()],
            "files": [{"order": 0, "pointer": "/image", "file_id": "file_01jh0000000000000000000000"}],
            "key": {"key": "k", "hash": "h", "request_hash": "r"}, "limits": {"plan": "default", "predictions_per_minute": 10,
            "concurrent_predictions": 2, "daily_credits": 50_000_000, "weight": 1, "max_waiting": 20}, "token_id": "t",
            "deadline": {"sent_at_ms": 5, "ttl_ms": 2000}, "max_wait_secs": 600}}}),
    );
    // A message from an edge of the previous build.
    let key = IdempotencyKey { value: "k".into(), hash: "h".into(), request_hash: None };
    assert_json(&key, json!({"key": "k", "hash": "h"}));
    assert_json(&LedgerRequest::Get { job_id: job_id() }, json!({"get": {"job_id": job_id().as_str()}}));
    assert_json(&LedgerRequest::Check, json!("check"));
    let request = RequestId::new(UnixMillis(0), [0; 10]);
    assert_json(
        &ProofUse { id: "p".into(), request: request.clone(), expires_at: UnixSeconds(4) },
        json!({"id": "p", "request": request.as_str(), "ends_at": 4}),
    );
}

#[test]
fn messages_about_streams_format_unchanged() {
    let request = RequestId::new(UnixMillis(0), [0; 10]);
    let stream = StreamId { id: request.clone(), vendor: Some(job_id()), is_wait: false };
    let stream_json = json!({"id": request.as_str(), "vendor": job_id().as_str()});
    // The build before polls, and knows no sockets.
    let watch = |is_socket| LedgerRequest::Watch { job_id: job_id(), stream: stream.clone(), is_socket };
    let watch_json = json!({"job_id": job_id().as_str(), "stream": stream_json});
    assert_json(&watch(false), json!({"watch": watch_json}));
    assert_json(&watch(true), json!({"watch": {"job_id": job_id().as_str(), "stream": stream_json, "socket": true}}));
    let wait = StreamId { id: request.clone(), vendor: None, is_wait: true };
    assert_json(&wait, json!({"id": request.as_str(), "wait": true}));
    assert_json(
        &LedgerRequest::Unwatch { stream: stream.clone(), unopened: false },
        json!({"unwatch": {"stream": stream_json}}),
    );
    assert_json(
        &LedgerRequest::Unwatch { stream, unopened: true },
        json!({"unwatch": {"stream": stream_json, "unopened": true}}),
    );
}

#[test]
fn ledger_reply_format_unchanged() {
    let rate = Rate { limit: 60, remaining: 59, reset: UnixSeconds(7) };
    let refused = LedgerReply::Refused(LedgerRefusal::RateLimited { retry_after_secs: 3 });
    assert_json(
        &LedgerEnvelope { rate: Some(rate), fresh_millis: None, reply: refused },
        json!({"rate": {"limit": 60, "remaining": 59, "reset": 7},
            "reply": {"refused": {"rate_limited": {"retry_after_secs": 3}}}}),
    );
    assert_json(
        &LedgerEnvelope { rate: None, fresh_millis: Some(2_000), reply: LedgerReply::Done },
        json!({"fresh_ms": 2_000, "reply": "done"}),
    );
}

#[test]
fn messages_about_files_and_repeats_format_unchanged() {
    let user = UserKey::new("i", "s");
    let file = FileRecord {
        file_id: FileId::parse("file_01jh0000000000000000000000").unwrap(),
        vendor_id: "v".into(),
        content_type: "image/png".into(),
        bytes: 3,
        created_at: UnixMillis(0),
        used_on: None,
    };
    let repeat =
        Caller { issued_at: UnixSeconds(4), jti: None, requests_per_minute: None, is_repeat: true, proof: None };
    assert_json(&repeat, json!({"issued_at": 4, "repeat": true}));
    let upload = RequestId::new(UnixMillis(0), [0; 10]);
    let limits = FileLimits { max_files: 2, max_bytes: 9 };
    assert_json(
        &LedgerRequest::ReserveFile { upload: upload.clone(), bytes: 3, limits },
        json!({"reserve_file": {"upload": upload.as_str(), "bytes": 3, "limits": {"max_files": 2, "max_bytes": 9}}}),
    );
    assert_json(
        &LedgerRequest::ReleaseFile { upload: upload.clone() },
        json!({"release_file": {"upload": upload.as_str()}}),
    );
    let put = json!({"put_file": {"file": serde_json::to_value(&file).unwrap()}});
    assert_json(&LedgerRequest::PutFile { file, upload: None }, put);
    assert_json(&LedgerReply::Refused(LedgerRefusal::FileLimitReached), json!({"refused": "file_limit_reached"}));
    // From an edge of the previous build.
    let alerts = vec![Alert::KeyLeak.into(), RaisedAlert::about(Alert::StateUnreadable, "window")];
    assert_json(
        &DispatcherRequest::Alerts { alerts },
        json!({"alerts": {"alerts": [{"alert": "key_leak"}, {"alert": "state_unreadable", "detail": "window"}]}}),
    );
    let newer = json!({"alerts": {"alerts": [{"alert": "from_the_future"}, {"alert": "key_leak"}]}});
    let known = DispatcherRequest::Alerts { alerts: vec![Alert::KeyLeak.into()] };
    assert_eq!(serde_json::from_value::<DispatcherRequest>(newer).unwrap(), known, "the rest is kept");
    assert_json(&DispatcherRequest::Permit { job_id: None, user: None, weight: None }, json!({"permit": {}}));
    assert_json(
        &DispatcherRequest::Permit { job_id: Some(job_id()), user: Some(user.clone()), weight: Some(3) },
        json!({"permit": {"job_id": job_id().as_str(), "user": user.as_str(), "weight": 3}}),
    );
    assert_json(
        &DispatcherRequest::DeleteFiles { vendor_ids: vec!["v".into()] },
        json!({"delete_files": {"vendor_ids": ["v"]}}),
    );
}

#[test]
fn dispatcher_messages_format_unchanged() {
    let user = UserKey::new("i", "s");
    let share = QueueShare { plan: "default".into(), weight: 1, concurrent_predictions: 2, max_waiting: 20 };
    assert_json(
        &DispatcherRequest::Enqueue {
            issued_at: Some(UnixSeconds(4)),
            user: user.clone(),
            specs: vec![spec()],
            share,
            deadline: Deadline { sent_at_ms: UnixMillis(5), ttl_ms: 1_600 },
        },
        json!({"enqueue": {"user": user.as_str(), "orders": [spec_json()], "share": {"plan": "default",
            "weight": 1, "concurrent_predictions": 2, "max_waiting": 20},
            "deadline": {"sent_at_ms": 5, "ttl_ms": 1600}, "issued_at": 4}}),
    );
    assert_json(&DispatcherRequest::RevokeAll { issued_by: UnixSeconds(4) }, json!({"revoke_all": {"issued_by": 4}}));
    assert_json(&DispatcherRequest::Revoked, json!("revoked"));
    assert_json(&DispatcherReply::Revoked(Some(UnixSeconds(4))), json!({"revoked": 4}));
    assert_json(&DispatcherReply::Refused(EnqueueRefusal::Revoked), json!({"refused": "revoked"}));
    // From an edge of the previous build, and for it.
    assert_json(
        &DispatcherRequest::Outcome { job_id: job_id(), with_update: false },
        json!({"outcome": {"job_id": job_id().as_str()}}),
    );
    assert_json(&DispatcherReply::Outcome(CreateOutcome::TimedOut), json!({"outcome": "timed_out"}));
    assert_json(
        &DispatcherRequest::Outcome { job_id: job_id(), with_update: true },
        json!({"outcome": {"job_id": job_id().as_str(), "with_update": true}}),
    );
    let update = JobUpdate {
        job_id: job_id(),
        sequence: 1,
        stage: Stage::Running,
        at: UnixMillis(9),
        cancel_requested: false,
        queue: None,
        end: None,
        late_at: None,
    };
    assert_json(
        &DispatcherReply::OutcomeWithUpdate { outcome: CreateOutcome::Accepted, update: Some(Box::new(update)) },
        json!({"outcome_news": {"outcome": "accepted",
            "news": {"job_id": job_id().as_str(), "sequence": 1, "stage": "running", "at": 9}}}),
    );
    assert_json(
        &DispatcherReply::OutcomeWithUpdate { outcome: CreateOutcome::Pending, update: None },
        json!({"outcome_news": {"outcome": "pending"}}),
    );
    let position = FreshPosition { position: 1, eta_seconds: 60, fresh_millis: 6_000 };
    assert_json(
        &DispatcherReply::QueuePositions(vec![(job_id(), position)]),
        json!({"places": [[job_id().as_str(), {"position": 1, "eta_seconds": 60, "fresh_ms": 6_000}]]}),
    );
    // The build before says nothing about how long a position stays fresh: two seconds, as it did.
    let before = r#"{"position":1,"eta_seconds":60}"#;
    let read = serde_json::from_str::<FreshPosition>(before).unwrap();
    assert_eq!(read, FreshPosition { fresh_millis: 2_000, ..position });
    // It reads the position, and ignores the rest.
    let sent = serde_json::to_string(&position).unwrap();
    assert_eq!(serde_json::from_str::<QueuePosition>(&sent).unwrap(), read.shown());
}

#[test]
fn job_update_format_unchanged() {
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
        late_at: None,
    };
    assert_json(
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
