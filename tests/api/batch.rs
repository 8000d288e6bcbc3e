//! `POST /v1/predictions/batch` admits all predictions of a batch or none.

use serde_json::{Value, json};

use crate::harness::{Stack, policy, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, create_of, policy_with, retry_after, wait_until};

const BATCH: &str = "/v1/predictions/batch";

fn item(prompt: &str) -> Value {
    json!({"model": "acme/model-x", "input": {"prompt": prompt}})
}

fn batch_of(token: &str, items: &[Value]) -> Request {
    Request::post(BATCH).bearer(token).json(&json!({"predictions": items}))
}

fn send(stack: &Stack, token: &str, prompts: &[&str]) -> Response {
    let items: Vec<Value> = prompts.iter().map(|prompt| item(prompt)).collect();
    stack.send(&batch_of(token, &items))
}

fn job_ids(batch: &Value) -> Vec<String> {
    let rows = batch["predictions"].as_array().unwrap_or_else(|| panic!("{batch}"));
    rows.iter().map(|row| row["job_id"].as_str().unwrap().to_owned()).collect()
}

/// Returns the prompts that the vendor received, sorted: the creates of a batch are concurrent and arrive in any order.
fn sent(stack: &Stack) -> Vec<String> {
    let mut prompts = stack.sent();
    prompts.sort();
    prompts
}

fn read(stack: &Stack, token: &str, batch: &Value) -> Value {
    let answer = stack.get(token, &format!("{BATCH}/{}", batch["batch_id"].as_str().unwrap()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn ended(stack: &Stack, token: &str, batch: &Value) -> Value {
    wait_until("the batch ends", || Some(read(stack, token, batch)).filter(|batch| batch["status"] != "processing"))
}

/// Checks that a refused batch left nothing in the user's usage or list.
#[track_caller]
fn assert_nothing_was_made(stack: &Stack, token: &str) {
    let usage = stack.usage(token);
    assert_eq!((&usage["predictions"], &usage["credits_reserved"]), (&json!(0), &json!("0")));
    assert_eq!(stack.get(token, "/v1/predictions").json()["data"], json!([]));
}

#[test]
fn a_batch_is_admitted_together_and_followed_together() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 2})));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let created = send(&stack, &alice, &["one", "two", "three"]);
    assert_eq!(created.status, 202, "{}", created.text());
    let batch = created.json();
    let id = batch["batch_id"].as_str().unwrap();
    assert!(id.starts_with("batch_") && id.len() == 32, "{id}");
    assert_eq!(batch["status"], "processing");
    let ids = job_ids(&batch);
    assert_eq!(ids.len(), 3);
    let usage = stack.usage(&alice);
    assert_eq!(usage["predictions"], 3);
    for path in [format!("{BATCH}/{id}"), format!("/v1/predictions/{}", ids[0])] {
        assert_refused(&stack.get(&bob, &path), 404, "not_found_error", "not_found");
    }
    let all = ended(&stack, &alice, &batch);
    assert_eq!((&all["status"], &all["batch_id"]), (&json!("succeeded"), &batch["batch_id"]));
    assert_eq!(job_ids(&all), ids, "in the order in which they were asked for");
    for (number, id) in ids.iter().enumerate() {
        let one = stack.get(&alice, &format!("/v1/predictions/{id}")).json();
        assert_eq!((&one, &one["credits_used"]), (&all["predictions"][number], &json!("2.5")));
    }
    assert_eq!(sent(&stack), ["one", "three", "two"]);
    let requests = stack.vendor_requests();
    assert!(requests.iter().all(|request| request["route"] != "batch"), "each is a create of its own");
}

#[test]
fn a_batch_that_exceeds_the_credits_is_refused_as_a_whole() {
    let stack = Stack::with_policy(&policy_with(&json!({"daily_credits": "7"}), &json!({})));
    let token = token(&user("poor"));
    let refused = send(&stack, &token, &["one", "two", "three"]);
    assert_refused(&refused, 402, "payment_error", "insufficient_credits");
    assert_nothing_was_made(&stack, &token);
    assert!(stack.vendor_requests().is_empty());
    assert_eq!(send(&stack, &token, &["one", "two"]).status, 202);
}

#[test]
fn a_batch_that_exceeds_a_limit_is_refused_as_a_whole() {
    let one_slot = json!({"concurrent_predictions": 1});
    let short_line = json!({"concurrent_predictions": 1, "queue": {"max_waiting": 1}});
    let cases = [
        (json!({"predictions_per_minute": 2}), json!({}), 400, "invalid_request_error", "invalid_parameter"),
        (json!({"max_waiting": 1}), one_slot, 429, "rate_limit_error", "too_many_predictions"),
        (json!({}), short_line, 429, "rate_limit_error", "queue_full"),
        (json!({}), json!({"daily_credits": "7"}), 503, "api_error", "upstream_unavailable"),
    ];
    for (plan, key, status, kind, code) in cases {
        let stack = Stack::with_policy(&policy_with(&plan, &key));
        let token = token(&user("many"));
        assert_refused(&send(&stack, &token, &["one", "two", "three"]), status, kind, code);
        assert_nothing_was_made(&stack, &token);
        assert!(stack.vendor_requests().is_empty(), "{code}");
        let smaller = send(&stack, &token, &["four", "five"]);
        assert_eq!(smaller.status, 202, "what was refused holds no place: {}", smaller.text());
        assert_eq!(ended(&stack, &token, &smaller.json())["status"], "succeeded");
        assert_eq!(sent(&stack), ["five", "four"]);
    }
}

#[test]
fn a_batch_that_exceeds_the_rest_of_the_minute_is_told_when_to_retry() {
    let stack = Stack::with_policy(&policy_with(&json!({"predictions_per_minute": 3}), &json!({})));
    let token = token(&user("hurried"));
    assert_eq!(send(&stack, &token, &["one"]).status, 202);
    let refused = send(&stack, &token, &["two", "three", "four"]);
    assert_refused(&refused, 429, "rate_limit_error", "rate_limited");
    assert!(retry_after(&refused) > 50, "{}", retry_after(&refused));
    assert_eq!(send(&stack, &token, &["five", "six"]).status, 202);
}

#[test]
fn an_invalid_batch_names_the_invalid_member() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("wrong"));
    let good = item("p");
    let long = json!({"model": "acme/model-x", "input": {"prompt": "p".repeat(4_001)}});
    let no_input = json!({"model": "acme/model-x"});
    let extra = json!({"model": "acme/model-x", "input": {"prompt": "p"}, "webhook": "https://example.com/"});
    let invalid = "invalid_parameter";
    let cases = [
        (json!({"predictions": []}), invalid, "predictions"),
        (json!({"predictions": vec![good.clone(); 21]}), invalid, "predictions"),
        (json!({"predictions": {}}), invalid, "predictions"),
        (json!({}), invalid, "predictions"),
        (json!({"predictions": [good, "text"]}), invalid, "predictions[1]"),
        (json!({"predictions": [good, {"input": {"prompt": "p"}}]}), invalid, "predictions[1].model"),
        (json!({"predictions": [good, no_input]}), invalid, "predictions[1].input"),
        (
            json!({"predictions": [good, {"model": "acme/model-x", "input": {}}]}),
            invalid,
            "predictions[1].input.prompt",
        ),
        (json!({"predictions": [good, good, long]}), invalid, "predictions[2].input.prompt"),
        (json!({"predictions": [extra]}), "unsupported_parameter", "predictions[0].webhook"),
        (json!({"predictions": [good], "webhook": "https://example.com/"}), "unsupported_parameter", "webhook"),
    ];
    for (body, code, param) in cases {
        let answer = stack.send(&Request::post(BATCH).bearer(&token).json(&body));
        assert_refused(&answer, 400, "invalid_request_error", code);
        assert_eq!(answer.json()["error"]["details"]["param"], param, "{body}");
    }
    let garbage =
        Request::post(BATCH).bearer(&token).header("Content-Type", "application/json").body("{\"predictions\":");
    assert_refused(&stack.send(&garbage), 400, "invalid_request_error", "invalid_json");
    let large = batch_of(&token, &[item(&"p".repeat(1_100_000))]);
    assert_refused(&stack.send(&large), 413, "invalid_request_error", "body_too_large");
    assert_nothing_was_made(&stack, &token);
    assert!(stack.vendor_requests().is_empty());
}

#[test]
fn a_batch_needs_the_scope_and_every_one_of_its_models() {
    let stack = Stack::with_policy(&policy());
    let name = user("narrow");
    let reader = token_with(&name, json!({"vk": {"scope": ["read"]}}));
    assert_refused(&send(&stack, &reader, &["p"]), 403, "permission_error", "insufficient_permissions");
    let narrow = token_with(&name, json!({"plan": "narrow"}));
    let items = [json!({"model": "acme/model-y", "input": {"prompt": "p"}}), item("p")];
    assert_refused(&stack.send(&batch_of(&narrow, &items)), 403, "permission_error", "model_not_allowed");
    let unknown = [item("p"), json!({"model": "acme/nothing", "input": {"prompt": "p"}})];
    let good = token(&name);
    assert_refused(&stack.send(&batch_of(&good, &unknown)), 403, "permission_error", "model_not_allowed");
    let creator = token_with(&name, json!({"vk": {"scope": ["create"]}}));
    let path = format!("{BATCH}/batch_01jh0000000000000000000000");
    assert_refused(&stack.get(&creator, &path), 403, "permission_error", "insufficient_permissions");
    assert_refused(&stack.get(&good, &path), 404, "not_found_error", "not_found");
    assert_nothing_was_made(&stack, &good);
    assert!(stack.vendor_requests().is_empty());
}

#[test]
fn the_status_of_a_batch_is_succeeded_partial_or_failed() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("mixed"));
    for (prompts, status) in [
        (["one", "two"], "succeeded"),
        (["[fail] three", "four"], "partial"),
        (["[fail] five", "[fail] six"], "failed"),
    ] {
        let batch = send(&stack, &token, &prompts).json();
        assert_eq!(ended(&stack, &token, &batch)["status"], status, "{prompts:?}");
    }
}

#[test]
fn a_capped_token_creates_no_part_of_a_batch() {
    let stack = Stack::with_policy(&policy());
    let name = user("capped");
    let capped = token_with(&name, json!({"jti": "one", "vk": {"max_predictions": 2}}));
    assert_refused(&send(&stack, &capped, &["one", "two", "three"]), 402, "payment_error", "insufficient_credits");
    assert_nothing_was_made(&stack, &token(&name));
    assert_eq!(send(&stack, &capped, &["four", "five"]).status, 202);
    assert_refused(&send(&stack, &capped, &["six"]), 402, "payment_error", "insufficient_credits");
}

#[test]
fn one_idempotency_key_replays_the_whole_batch() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("repeats"));
    let keyed = |prompts: &[&str]| {
        let items: Vec<Value> = prompts.iter().map(|prompt| item(prompt)).collect();
        stack.send(&batch_of(&token, &items).header("Idempotency-Key", "k"))
    };
    let first = keyed(&["one", "two"]);
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None), "{}", first.text());
    ended(&stack, &token, &first.json());
    let again = keyed(&["one", "two"]);
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, Some("true")), "{}", again.text());
    assert_eq!((&again.json()["batch_id"], &again.json()["status"]), (&first.json()["batch_id"], &json!("succeeded")));
    assert_eq!(job_ids(&again.json()), job_ids(&first.json()));
    for other in [&["one"][..], &["two", "one"]] {
        assert_refused(&keyed(other), 422, "idempotency_error", "idempotency_mismatch");
    }
    let single = create_of(&token, "one").header("Idempotency-Key", "k");
    assert_refused(&stack.send(&single), 422, "idempotency_error", "idempotency_mismatch");
    assert_eq!(sent(&stack), ["one", "two"]);
    assert_eq!(stack.usage(&token)["predictions"], 2);
}
