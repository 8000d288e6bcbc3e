//! `Idempotency-Key`: a replayed create returns the same prediction, whatever its outcome.

use serde_json::{Value, json};

use valetkey::types::ids::{JobId, UserKey, hex_digest};
use valetkey::types::time::UnixMillis;

use crate::harness::{ISSUER, MODEL, Stack, now, policy, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, retry_after, wait_until};

fn keyed(stack: &Stack, token: &str, prompt: &str, key: &str) -> Response {
    stack.send(&create_of(token, prompt).header("Idempotency-Key", key))
}

/// Checks that the response shows prediction `id` and is marked as a replay.
#[track_caller]
fn assert_replayed(answer: &Response, status: u16, id: &str) -> Value {
    assert_eq!((answer.status, job_id(answer).as_str()), (status, id), "{}", answer.text());
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    assert!(answer.header("location").unwrap().ends_with(&format!("/v1/predictions/{id}")));
    answer.json()
}

#[test]
fn a_replayed_create_returns_the_present_state_and_is_charged_once() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("repeats"));
    let first = keyed(&stack, &token, "p", "a key");
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{}", first.text());
    let id = job_id(&first);
    let again = assert_replayed(&keyed(&stack, &token, "p", "a key"), 201, &id);
    assert!(again["status"] == "processing" || again["status"] == "succeeded", "{again}");
    stack.ended(&token, &id);
    let again = assert_replayed(&keyed(&stack, &token, "p", "a key"), 201, &id);
    assert_eq!((&again["status"], &again["credits_used"]), (&json!("succeeded"), &json!("2.5")));
    assert_eq!(stack.sent(), ["p"]);
    let usage = stack.usage(&token);
    assert_eq!((&usage["predictions"], &usage["credits_spent"]), (&json!(1), &json!("2.5")));
    assert_ne!(job_id(&keyed(&stack, &token, "p", "another key")), id);
    assert_ne!(job_id(&stack.prompt(&token, "p")), id, "without a key nothing is compared");
}

#[test]
fn the_replay_of_a_queued_create_is_still_queued() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})));
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("waits"));
    stack.prompt(&token, "first");
    let waiting = keyed(&stack, &token, "second", "k");
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    let again = assert_replayed(&keyed(&stack, &token, "second", "k"), 202, &job_id(&waiting));
    assert_eq!((&again["status"], &again["queue"]["position"]), (&json!("queued"), &json!(1)));
    assert_eq!((stack.usage(&token)["waiting"].clone(), stack.sent()), (json!(1), vec!["first".to_owned()]));
    stack.finish("first", &json!({}));
    wait_until("it starts", || (stack.sent().len() == 2).then_some(()));
    let again = assert_replayed(&keyed(&stack, &token, "second", "k"), 201, &job_id(&waiting));
    assert_eq!(again["status"], "processing");
    assert_eq!(stack.sent(), ["first", "second"]);
}

#[test]
fn the_same_key_with_another_body_or_path_is_a_mismatch() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("mismatch"));
    let id = job_id(&keyed(&stack, &token, "p", "k"));
    let other_path = Request::post("/v1/acme/model-y/predictions").bearer(&token);
    let other_count = Request::post(MODEL).bearer(&token);
    let batch = Request::post("/v1/predictions/batch").bearer(&token);
    let others = [
        create_of(&token, "P"),
        other_path.json(&json!({"input": {"prompt": "p"}})),
        other_count.json(&json!({"input": {"prompt": "p"}, "image_count": 2})),
        batch.json(&json!({"predictions": [{"model": "acme/model-x", "input": {"prompt": "p"}}]})),
    ];
    for other in others {
        let answer = stack.send(&other.header("Idempotency-Key", "k"));
        assert_refused(&answer, 422, "idempotency_error", "idempotency_mismatch");
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    assert_replayed(&keyed(&stack, &token, "p", "k"), 201, &id);
    assert_eq!(stack.sent(), ["p"]);
    assert_eq!(stack.usage(&token)["predictions"], 1);
}

#[test]
fn the_same_request_in_other_words_is_a_replay() {
    let mut policy = policy();
    policy["models"]["acme/model-x"]["input"]["seed"] = json!({"type": "integer"});
    policy["models"]["acme/model-x"]["input"]["style"] = json!({"type": "string", "default": "plain"});
    let stack = Stack::with_policy(&policy);
    let token = token(&user("swift"));
    let send = |path: &str, body: &str| {
        let request = Request::post(path).bearer(&token).header("Content-Type", "application/json");
        stack.send(&request.header("Idempotency-Key", "k").body(body))
    };
    let alias = "/v1/models/acme/model-x/predictions";
    let first = send(MODEL, r#"{"input":{"prompt":"p","seed":28,"aspect_ratio":"1:1"}}"#);
    assert_eq!(first.status, 201, "{}", first.text());
    let id = job_id(&first);
    for (path, body) in [
        (MODEL, r#"{"input":{"aspect_ratio":"1:1","seed":28,"prompt":"p"}}"#),
        (alias, r#"{"input":{"prompt":"p","seed":28,"aspect_ratio":"1:1"}}"#),
        (alias, r#"{ "input" : {"seed":2.8e1,"prompt":"\u0070","aspect_ratio":"1:1"} }"#),
        (MODEL, r#"{"image_count":1.0,"input":{"prompt":"p","seed":28.0,"aspect_ratio":"1:1"}}"#),
        (MODEL, r#"{"model":"model-x","provider":"acme","input":{"prompt":"p","seed":28,"aspect_ratio":"1:1"}}"#),
        (MODEL, r#"{"model":"acme/model-x","input":{"prompt":"p","seed":28,"aspect_ratio":"1:1"}}"#),
    ] {
        assert_replayed(&send(path, body), 201, &id);
    }
    for (path, body) in [
        (MODEL, r#"{"input":{"prompt":"p","seed":29,"aspect_ratio":"1:1"}}"#),
        (MODEL, r#"{"input":{"prompt":"p","seed":28}}"#),
        (MODEL, r#"{"image_count":2,"input":{"prompt":"p","seed":28,"aspect_ratio":"1:1"}}"#),
        // POLICY's default does not count as a value that the client sent.
        (MODEL, r#"{"input":{"prompt":"p","seed":28,"aspect_ratio":"1:1","style":"plain"}}"#),
    ] {
        assert_refused(&send(path, body), 422, "idempotency_error", "idempotency_mismatch");
    }
    assert_eq!(stack.sent(), ["p"]);
}

#[test]
fn a_batch_in_other_words_is_a_replay_and_in_another_order_is_not() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("swift"));
    let send = |body: &str| {
        let request = Request::post("/v1/predictions/batch").bearer(&token).header("Content-Type", "application/json");
        stack.send(&request.header("Idempotency-Key", "k").body(body))
    };
    let first = send(
        r#"{"predictions":[{"model":"acme/model-x","input":{"prompt":"a"}},{"model":"acme/model-y","input":{"prompt":"b"}}]}"#,
    );
    assert_eq!(first.status, 202, "{}", first.text());
    let again = send(
        r#"{"predictions": [{"input":{"prompt":"a"},"image_count":1.0,"model":"acme/model-x","provider":"acme"}, {"input":{"prompt":"b"},"model":"acme/model-y"}]}"#,
    );
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")), "{}", again.text());
    assert_eq!(again.json()["batch_id"], first.json()["batch_id"]);
    let other = send(
        r#"{"predictions":[{"model":"acme/model-y","input":{"prompt":"b"}},{"model":"acme/model-x","input":{"prompt":"a"}}]}"#,
    );
    assert_refused(&other, 422, "idempotency_error", "idempotency_mismatch");
}

#[test]
fn a_key_from_the_build_before_is_compared_by_path_and_bytes() {
    let stack = Stack::with_policy(&policy());
    let name = user("upgrade");
    let token = token(&name);
    let ledger = UserKey::new(ISSUER, &name);
    let create = create_of(&token, "p").header("Idempotency-Key", "k");
    // A message of an edge of the previous build has a key without `request_hash`.
    let millis = now() * 1_000;
    let job_id = JobId::new(UnixMillis(millis), [7; 10]);
    let message = json!({"ask": {"create": {
        "user": ledger.as_str(),
        "orders": [{"job_id": job_id.as_str(), "model": "acme/model-x", "input": {"prompt": "p"}, "image_count": 1,
            "credits": 2_500_000, "max_seconds": 600}],
        "key": {"key": "k", "hash": hex_digest(&[MODEL.as_bytes(), b"\0", &create.body])},
        "limits": {"plan": "default", "predictions_per_minute": 10, "concurrent_predictions": 2,
            "daily_credits": 50_000_000, "weight": 1, "max_waiting": 20},
        "deadline": {"sent_at_ms": millis, "ttl_ms": 10_000}, "max_wait_secs": 600,
    }}});
    let reply = stack.send_to_object("LEDGER", ledger.as_str(), &message);
    assert!(reply["reply"]["created"].is_object(), "{reply}");
    assert_replayed(&stack.send(&create), 201, job_id.as_str());
    let spelled = Request { body: br#"{ "input": {"prompt": "p"} }"#.to_vec(), ..create };
    assert_refused(&stack.send(&spelled), 422, "idempotency_error", "idempotency_mismatch");
    assert_eq!(stack.sent(), ["p"]);
}

#[test]
fn a_key_belongs_to_its_user() {
    let stack = Stack::with_policy(&policy());
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let first = keyed(&stack, &alice, "hers", "k");
    let second = keyed(&stack, &bob, "his", "k");
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text());
    assert_ne!(job_id(&first), job_id(&second));
    assert_eq!(second.header("idempotency-replayed"), None);
    assert_eq!(stack.sent(), ["hers", "his"]);
}

#[test]
fn a_key_is_1_to_255_printable_characters() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("keys"));
    for bad in ["", &"k".repeat(256), "schl\u{fc}ssel", "a\tb", "\u{1f511}"] {
        let answer = keyed(&stack, &token, "p", bad);
        assert_refused(&answer, 400, "invalid_request_error", "invalid_idempotency_key");
    }
    let two = create_of(&token, "p").header("Idempotency-Key", "one").header("Idempotency-Key", "two");
    assert_refused(&stack.send(&two), 400, "invalid_request_error", "invalid_idempotency_key");
    assert!(stack.vendor_requests().is_empty());
    assert_eq!(stack.usage(&token)["predictions"], 0);
    // ", " is not valid in a key: the platform joins two header fields with it.
    for good in ["k", "!", "~", &"k".repeat(255), "\"quoted,with; signs\""] {
        assert_eq!(keyed(&stack, &token, "p", good).status, 201, "{good}");
    }
}

#[test]
fn a_refused_create_leaves_no_key() {
    let cases = [
        (json!({"max_waiting": 1}), json!({}), 429, "rate_limit_error", "too_many_predictions"),
        (json!({}), json!({"queue": {"max_waiting": 1}}), 429, "rate_limit_error", "queue_full"),
        (json!({"daily_credits": "5"}), json!({}), 402, "payment_error", "insufficient_credits"),
        (json!({}), json!({"daily_credits": "5"}), 503, "api_error", "upstream_unavailable"),
    ];
    for (plan, key, status, kind, code) in cases {
        let mut policy = policy_with(&plan, &key);
        policy["key"]["concurrent_predictions"] = json!(1);
        let stack = Stack::with_policy(&policy);
        stack.control_put("/settings", &json!({"manual": true}));
        let token = token(&user("refused"));
        stack.prompt(&token, "first");
        let waiting = job_id(&stack.prompt(&token, "second"));
        assert_refused(&keyed(&stack, &token, "third", "k"), status, kind, code);
        stack.send(&Request::post(&format!("/v1/predictions/{waiting}/cancel")).bearer(&token));
        // Another body: a key that was kept would be a mismatch.
        let answer = keyed(&stack, &token, "fourth", "k");
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (202, None), "{}", answer.text());
        assert_eq!(stack.sent(), ["first"]);
    }
}

#[test]
fn the_replay_of_a_failed_create_returns_the_failure_and_sends_nothing() {
    let stack = Stack::with_policy(&policy());
    let faults = [
        (json!({"status": 422}), 400, "upstream_rejected"),
        (json!({"status": 409}), 502, "upstream_rejected"),
        (json!({"invalid_json": true}), 502, "outcome_unknown"),
        (json!({"close_before": true}), 504, "outcome_unknown"),
        (json!({"close_after": true}), 504, "outcome_unknown"),
    ];
    for (number, (fault, status, code)) in faults.iter().enumerate() {
        let (token, prompt) = (token(&user("failed")), format!("p{number}"));
        stack.fault("create", 1, fault);
        let first = keyed(&stack, &token, &prompt, "k");
        assert_eq!(first.status, *status, "{}", first.text());
        let id = first.json()["error"]["details"]["job_id"].as_str().expect("details.job_id").to_owned();
        for _ in 0..2 {
            let again = assert_replayed(&keyed(&stack, &token, &prompt, "k"), 201, &id);
            assert_eq!((&again["status"], &again["error"]["code"]), (&json!("failed"), &json!(code)));
        }
        assert_eq!(stack.sent().len(), number + 1, "each was sent once");
        assert_eq!(stack.usage(&token)["predictions"], 1);
    }
}

#[test]
fn concurrent_replays_create_one_prediction() {
    let stack = Stack::with_policy(&policy());
    // The vendor responds late, so that all replays arrive while the first create is in flight.
    stack.fault("create", 1, &json!({"delay_ms": 1_500}));
    let token = token(&user("parallel"));
    let answers = at_once(20, |_| keyed(&stack, &token, "p", "k"));
    let ids: Vec<String> = answers.iter().filter(|answer| answer.status < 300).map(job_id).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let firsts = answers.iter().filter(|answer| answer.status < 300 && answer.header("idempotency-replayed").is_none());
    assert_eq!(firsts.count(), 1, "all but one are repetitions");
    for answer in answers.iter().filter(|answer| answer.status >= 300) {
        assert_refused(answer, 409, "idempotency_error", "idempotency_in_progress");
        assert_eq!(retry_after(answer), 1);
    }
    assert_eq!(stack.sent(), ["p"]);
    assert_eq!(stack.usage(&token)["predictions"], 1);
    assert_eq!(stack.ended(&token, &ids[0])["status"], "succeeded");
}

#[test]
fn a_replay_is_returned_before_limits_and_credits_are_checked() {
    let stack = Stack::with_policy(&policy_with(&json!({"predictions_per_minute": 2}), &json!({})));
    let hurried = token(&user("hurried"));
    let poor = token_with(&user("poor"), json!({"plan": "poor"}));
    let kept = [&hurried, &poor].map(|token| job_id(&keyed(&stack, token, "p", "k")));
    assert_eq!([&hurried, &poor].map(|token| stack.prompt(token, "q").status), [201, 201]);
    assert_refused(&stack.prompt(&hurried, "r"), 429, "rate_limit_error", "rate_limited");
    assert_refused(&stack.prompt(&poor, "r"), 402, "payment_error", "insufficient_credits");
    for (token, id) in [&hurried, &poor].into_iter().zip(&kept) {
        for _ in 0..3 {
            assert_replayed(&keyed(&stack, token, "p", "k"), 201, id);
        }
        let mismatch = keyed(&stack, token, "other", "k");
        assert_refused(&mismatch, 422, "idempotency_error", "idempotency_mismatch");
    }
    assert_eq!(stack.sent(), ["p", "p", "q", "q"]);
}

#[test]
fn a_key_survives_a_disconnect_and_a_restart() {
    let mut stack = Stack::with_policy(&policy());
    let token = token(&user("hung-up"));
    let create = create_of(&token, "p").header("Idempotency-Key", "k");
    stack.fault("create", 1, &json!({"delay_ms": 2_000}));
    create.send_and_leave(&stack.worker, || stack.assert_sent(&["p"]));
    let again = stack.send(&create);
    let id = job_id(&again);
    assert_replayed(&again, 201, &id);
    stack.ended(&token, &id);
    stack.restart_workerd();
    let again = assert_replayed(&stack.send(&create), 201, &id);
    assert_eq!(again["status"], "succeeded");
    assert_eq!(stack.sent(), ["p"]);
}
