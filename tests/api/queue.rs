//! The queue for a slot: positions, refusals, cancels, and queue time-outs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Stack, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, create_of, job_id, policy_with, retry_after, wait_until};

/// Returns a stack with one slot, whose predictions end only when a test finishes them.
fn one_slot(plan: &Value, queue: &Value) -> Stack {
    let stack = Stack::with_policy(&policy_with(plan, &json!({"concurrent_predictions": 1, "queue": queue})));
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

/// Sends a create and checks that it is queued.
#[track_caller]
fn create_queued(stack: &Stack, token: &str, prompt: &str) -> Value {
    let answer = stack.prompt(token, prompt);
    assert_queued(&answer);
    answer.json()
}

#[track_caller]
fn assert_queued(answer: &Response) {
    assert_eq!(answer.status, 202, "{}", answer.text());
    let prediction = answer.json();
    assert_eq!(prediction["status"], "queued");
    let place = (&prediction["queue"]["position"], &prediction["queue"]["eta_seconds"]);
    assert!(place.0.as_u64() >= Some(1) && place.1.is_u64(), "{prediction}");
    let location = answer.header("location").unwrap();
    assert!(location.ends_with(&format!("/v1/predictions/{}", prediction["job_id"].as_str().unwrap())), "{location}");
}

fn id_of(prediction: &Value) -> String {
    prediction["job_id"].as_str().unwrap().to_owned()
}

fn position(stack: &Stack, token: &str, prediction: &Value) -> Value {
    stack.get(token, &format!("/v1/predictions/{}", id_of(prediction))).json()["queue"]["position"].clone()
}

fn cancel(stack: &Stack, token: &str, prediction: &Value) -> Response {
    stack.send(&Request::post(&format!("/v1/predictions/{}/cancel", id_of(prediction))).bearer(token))
}

/// Returns the user's spent and reserved credits.
fn credits(stack: &Stack, token: &str) -> (Value, Value) {
    let usage = stack.usage(token);
    (usage["credits_spent"].clone(), usage["credits_reserved"].clone())
}

#[test]
fn without_a_free_slot_a_create_is_queued_with_its_position() {
    let stack = one_slot(&json!({}), &json!({}));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| token(&user(name)));
    assert_eq!(stack.prompt(&alice, "first").status, 201);
    let second = create_queued(&stack, &bob, "second");
    let third = create_queued(&stack, &carol, "third");
    assert_eq!((&second["queue"]["position"], &third["queue"]["position"]), (&json!(1), &json!(2)));
    assert!(second["queue"]["eta_seconds"].as_u64() <= third["queue"]["eta_seconds"].as_u64());
    assert_eq!(stack.sent(), ["first"]);
    let usage = stack.usage(&bob);
    assert_eq!(
        (&usage["running"], &usage["waiting"], &usage["credits_reserved"]),
        (&json!(0), &json!(1), &json!("2.5"))
    );

    stack.finish("first", &json!({}));
    let started = stack.until(&bob, &id_of(&second), |prediction| prediction["status"] != "queued");
    assert_eq!((&started["status"], started.get("queue")), (&json!("processing"), None));
    stack.assert_sent(&["first", "second"]);
    wait_until("the third moves up", || (position(&stack, &carol, &third) == 1).then_some(()));
    stack.finish("second", &json!({}));
    stack.until(&carol, &id_of(&third), |prediction| prediction["status"] == "processing");
    stack.finish("third", &json!({}));
    assert_eq!(stack.ended(&carol, &id_of(&third))["status"], "succeeded");
    stack.assert_sent(&["first", "second", "third"]);
}

#[test]
fn a_queued_prediction_is_canceled_at_once_and_for_free() {
    let stack = one_slot(&json!({}), &json!({}));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| token(&user(name)));
    stack.prompt(&alice, "first");
    let second = create_queued(&stack, &bob, "second");
    let third = create_queued(&stack, &carol, "third");
    let canceled = cancel(&stack, &bob, &second);
    assert_eq!((canceled.status, canceled.json()["status"].clone()), (200, json!("canceled")), "{}", canceled.text());
    assert!(canceled.json().get("cancel_requested").is_none() && canceled.json().get("queue").is_none());
    assert_eq!(credits(&stack, &bob), (json!("0"), json!("0")));
    assert_eq!(cancel(&stack, &bob, &second).json(), canceled.json(), "an ended one is returned unchanged");
    wait_until("the third moves up", || (position(&stack, &carol, &third) == 1).then_some(()));
    stack.finish("first", &json!({}));
    stack.until(&carol, &id_of(&third), |prediction| prediction["status"] == "processing");
    stack.assert_sent(&["first", "third"]);
    let cancels = stack.vendor_requests().iter().filter(|request| request["route"] == "cancel").count();
    assert_eq!(cancels, 0);
}

#[test]
fn a_user_at_its_concurrency_limit_waits_while_others_start() {
    let key = json!({"concurrent_predictions": 3});
    let stack = Stack::with_policy(&policy_with(&json!({"concurrent_predictions": 1}), &key));
    stack.control_put("/settings", &json!({"manual": true}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    assert_eq!(stack.prompt(&alice, "alice 1").status, 201);
    let waiting = create_queued(&stack, &alice, "alice 2");
    create_queued(&stack, &alice, "alice 3");
    let passed = stack.prompt(&bob, "bob 1");
    assert_eq!(passed.status, 201, "there are free slots: {}", passed.text());
    stack.assert_sent(&["alice 1", "bob 1"]);
    stack.finish("alice 1", &json!({}));
    stack.until(&alice, &id_of(&waiting), |prediction| prediction["status"] == "processing");
    stack.assert_sent(&["alice 1", "bob 1", "alice 2"]);
}

#[test]
fn the_queue_of_a_user_is_bounded() {
    let stack = one_slot(&json!({"max_waiting": 2}), &json!({}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    assert_eq!(stack.prompt(&alice, "first").status, 201);
    create_queued(&stack, &alice, "second");
    let third = create_queued(&stack, &alice, "third");
    for _ in 0..3 {
        assert_refused(&stack.prompt(&alice, "fourth"), 429, "rate_limit_error", "too_many_predictions");
    }
    let usage = stack.usage(&alice);
    assert_eq!((&usage["predictions"], &usage["credits_reserved"]), (&json!(3), &json!("7.5")));
    create_queued(&stack, &bob, "fifth");
    cancel(&stack, &alice, &third);
    create_queued(&stack, &alice, "sixth");
    assert_eq!(stack.sent(), ["first"]);
}

#[test]
fn a_plan_can_forbid_queueing() {
    let stack = one_slot(&json!({"max_waiting": 0}), &json!({}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    assert_eq!(stack.prompt(&alice, "first").status, 201, "a free slot is no waiting");
    for other in [&alice, &bob] {
        assert_refused(&stack.prompt(other, "second"), 429, "rate_limit_error", "too_many_predictions");
    }
    assert_eq!(stack.sent(), ["first"]);
}

#[test]
fn the_whole_queue_is_bounded() {
    let stack = one_slot(&json!({}), &json!({"max_waiting": 2}));
    let tokens: Vec<String> = (0..4).map(|_| token(&user("many"))).collect();
    assert_eq!(stack.prompt(&tokens[0], "first").status, 201);
    create_queued(&stack, &tokens[1], "second");
    create_queued(&stack, &tokens[2], "third");
    assert_refused(&stack.prompt(&tokens[3], "fourth"), 429, "rate_limit_error", "queue_full");
    let usage = stack.usage(&tokens[3]);
    assert_eq!((&usage["predictions"], &usage["credits_reserved"]), (&json!(0), &json!("0")));
    let list = stack.get(&tokens[3], "/v1/predictions").json();
    assert_eq!(list["data"], json!([]), "a refused create leaves nothing");
    stack.finish("first", &json!({}));
    wait_until("the second starts", || (stack.sent().len() == 2).then_some(()));
    create_queued(&stack, &tokens[3], "fifth");
    stack.assert_sent(&["first", "second"]);
}

#[test]
fn a_plan_can_fill_only_its_share_of_the_queue() {
    let mut policy = policy_with(&json!({}), &json!({"concurrent_predictions": 1, "queue": {"max_waiting": 4}}));
    policy["plans"]["pooled"] = policy["plans"]["default"].clone();
    policy["plans"]["pooled"]["pool_waiting_share"] = json!(0.5);
    let stack = Stack::with_policy(&policy);
    stack.control_put("/settings", &json!({"manual": true}));
    let pooled = || token_with(&user("pooled"), json!({"plan": "pooled"}));
    assert_eq!(stack.prompt(&pooled(), "first").status, 201);
    let (second, holder) = (pooled(), pooled());
    let place = create_queued(&stack, &second, "second");
    create_queued(&stack, &holder, "third");
    assert_refused(&stack.prompt(&pooled(), "fourth"), 429, "rate_limit_error", "queue_full");
    let other = token(&user("other"));
    create_queued(&stack, &other, "fifth");
    create_queued(&stack, &other, "sixth");
    assert_refused(&stack.prompt(&other, "seventh"), 429, "rate_limit_error", "queue_full");
    cancel(&stack, &second, &place);
    create_queued(&stack, &pooled(), "eighth");
    assert_eq!(stack.sent(), ["first"]);
}

#[test]
fn a_queue_timeout_is_reported_and_costs_nothing() {
    let stack = one_slot(&json!({}), &json!({"max_wait_secs": 4}));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    assert_eq!(stack.prompt(&alice, "first").status, 201);
    let start = Instant::now();
    let waiting = create_queued(&stack, &bob, "second");
    let ended = stack.ended(&bob, &id_of(&waiting));
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("queue_timeout")));
    assert!(ended.get("queue").is_none());
    assert!(start.elapsed() >= Duration::from_secs(4));
    assert_eq!(credits(&stack, &bob), (json!("0"), json!("0")));
    stack.finish("first", &json!({}));
    let next = stack.send(&create_of(&bob, "third"));
    assert!([201, 202].contains(&next.status), "{}", next.text());
    stack.until(&bob, &job_id(&next), |prediction| prediction["status"] == "processing");
    stack.assert_sent(&["first", "third"]);
}

#[test]
fn with_a_refused_key_creates_are_queued_if_a_probe_can_come_in_time() {
    // Both cases run concurrently, because the probe comes only after half a minute.
    at_once(2, |number| {
        let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"queue": {"max_wait_secs": 600}})));
        let status = [401, 402][number];
        stack.fault("create", 1, &json!({"status": status}));
        let (alice, bob) = (token(&user("alice")), token(&user("bob")));
        let first = create_queued(&stack, &alice, "first");
        let second = create_queued(&stack, &bob, "second");
        assert_eq!(stack.sent(), ["first"], "submitting stops until the probe");
        for (token, prediction) in [(&alice, &first), (&bob, &second)] {
            assert_eq!(stack.ended(token, &id_of(prediction))["status"], "succeeded");
        }
        stack.assert_sent(&["first", "first", "second"]);
    });
}

#[test]
fn with_a_refused_key_creates_that_could_not_start_in_time_are_refused() {
    for status in [401, 402] {
        let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"queue": {"max_wait_secs": 5}})));
        stack.fault("create", 1, &json!({"status": status}));
        let (alice, bob) = (token(&user("alice")), token(&user("bob")));
        let first = create_queued(&stack, &alice, "first");
        let refused = stack.prompt(&bob, "second");
        assert_refused(&refused, 503, "api_error", "upstream_unavailable");
        assert!((1..=31).contains(&retry_after(&refused)));
        assert_eq!(credits(&stack, &bob), (json!("0"), json!("0")));
        let ended = stack.ended(&alice, &id_of(&first));
        assert_eq!(ended["error"]["code"], "queue_timeout");
        assert_eq!(stack.sent(), ["first"]);
    }
}
