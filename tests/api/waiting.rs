//! `Prefer: wait` (RFC 7240), and estimates.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, shared, token, token_with, user};
use crate::http::{Request, Response};
use crate::sse::Sse;
use crate::steps::{assert_refused, create_of, job_id, policy_with, wait_until};

fn create(stack: &Stack, token: &str, prompt: &str, prefer: &str) -> Response {
    let body = json!({"input": {"prompt": prompt}});
    stack.send(&Request::post(MODEL).bearer(token).header("Prefer", prefer).json(&body))
}

#[test]
fn a_create_that_prefers_to_wait_returns_the_ended_prediction() {
    let (stack, token) = (shared(), token(&user("waiter")));
    for (prefer, applied) in [("wait=20", "wait=20"), ("respond-async, wait=90", "wait=60")] {
        let answer = create(stack, &token, "waited for", prefer);
        assert_eq!((answer.status, answer.header("preference-applied")), (201, Some(applied)));
        assert_eq!(answer.json()["status"], "succeeded");
    }
    let answer = create(stack, &token, "[slow] not waited for", "wait=1");
    assert_eq!((answer.status, &answer.json()["status"]), (201, &json!("processing")));
    for malformed in ["wait=soon", "wait=-1", "wait"] {
        let answer = create(stack, &token, "[slow] at once", malformed);
        assert_eq!((answer.status, answer.header("preference-applied")), (201, None), "{malformed}");
    }
}

#[test]
fn a_queued_create_is_a_202_even_if_it_ends_while_the_client_waits() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})));
    let token = token(&user("waiter"));
    stack.prompt(&token, "first");
    let answer = create(&stack, &token, "second", "wait=30");
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("succeeded")), "{}", answer.text());
}

#[test]
fn a_replay_over_the_rate_limit_does_not_wait() {
    let stack = Stack::with_policy(&policy_with(&json!({"requests_per_minute": 1}), &json!({})));
    let token = token(&user("repeater"));
    let repeat = || {
        let body = json!({"input": {"prompt": "[slow] once"}});
        let request = Request::post(MODEL).bearer(&token).header("Idempotency-Key", "k").header("Prefer", "wait=2");
        stack.send(&request.json(&body))
    };
    for (applied, replayed) in [(Some("wait=2"), None), (None, Some("true")), (None, Some("true"))] {
        let answer = repeat();
        assert_eq!((answer.status, answer.header("preference-applied")), (201, applied));
        assert_eq!((answer.header("idempotency-replayed"), &answer.json()["status"]), (replayed, &json!("processing")));
    }
    assert_eq!(stack.sent().len(), 1);
}

/// Event streams are limited to four, waits are not among them.
#[test]
fn waits_take_no_place_of_an_event_stream() {
    let stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("patient"));
    let id = job_id(&stack.prompt(&token, "watched"));
    let path = format!("/v1/predictions/{id}/events");
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..5)
            .map(|number| {
                scope.spawn({
                    let (stack, token) = (&stack, &token);
                    move || create(stack, token, &format!("waited for {number}"), "wait=60")
                })
            })
            .collect();
        wait_until("the creates", || (stack.sent().len() == 6).then_some(()));
        let mut streams: Vec<Sse> = (0..4).map(|_| Sse::open(&stack.worker, &path, &token, &[])).collect();
        assert!(streams.iter_mut().all(|stream| stream.status() == 200 && stream.next_event().is_some()));
        assert_eq!(stack.get(&token, &path).status, 429);
        for number in 0..5 {
            stack.finish(&format!("waited for {number}"), &json!({}));
        }
        for wait in waits {
            assert_eq!(wait.join().unwrap().json()["status"], "succeeded");
        }
    });
}

/// Repeats of a create may wait too, and there may be hundreds of them in a minute.
#[test]
fn a_29th_wait_is_answered_at_once_and_event_streams_keep_their_places() {
    let stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("impatient"));
    let create = create_of(&token, "waited for").header("Idempotency-Key", "k");
    let id = job_id(&stack.send(&create));
    let wait = || stack.send(&create.clone().header("Prefer", "wait=60"));
    std::thread::scope(|scope| {
        let before = stack.object_messages()[0];
        let waits: Vec<_> = (0..28).map(|_| scope.spawn(wait)).collect();
        // Of each, the create and the socket.
        wait_until("the sockets", || (stack.object_messages()[0] >= before + 2 * 28).then_some(()));
        let one_more = wait();
        assert_eq!((one_more.status, one_more.header("preference-applied")), (201, None));
        let path = format!("/v1/predictions/{id}/events");
        let mut streams: Vec<Sse> = (0..4).map(|_| Sse::open(&stack.worker, &path, &token, &[])).collect();
        assert!(streams.iter_mut().all(|stream| stream.status() == 200 && stream.next_event().is_some()));
        assert_eq!(stack.object_messages()[0] - before, 2 * 29 + 4, "no polls");
        stack.finish("waited for", &json!({}));
        for answer in waits.into_iter().map(|wait| wait.join().unwrap()) {
            let applied = answer.header("preference-applied");
            assert_eq!((&answer.json()["status"], applied), (&json!("succeeded"), Some("wait=60")));
        }
    });
}

/// The create, its acknowledgement and its end; a socket, and no look after it.
#[test]
fn a_wait_of_many_seconds_costs_one_request_to_the_ledger() {
    let stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("patient"));
    let waited = |secs: u32| {
        let before = stack.object_messages()[0];
        let answer = create(&stack, &token, &format!("waited for {secs}"), &format!("wait={secs}"));
        assert_eq!((answer.status, &answer.json()["status"]), (201, &json!("processing")));
        stack.object_messages()[0] - before
    };
    assert_eq!(waited(8), waited(1));
}

/// Of a wait, the create, the socket, and one look at its end: the position that it had at first is old by then.
#[test]
fn a_wait_in_the_queue_reads_its_position_once_and_shows_the_last() {
    let policy = policy_with(&json!({}), &json!({"concurrent_predictions": 1})).to_string();
    let settings = vec![("POLICY", Some(policy))];
    let stack = Stack::start(&Options { is_observed: true, settings, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("patient"));
    stack.prompt(&token, "at the vendor");
    let before = stack.object_messages()[0];
    let first = create(&stack, &token, "first in the queue", "wait=8");
    assert_eq!((first.status, &first.json()["queue"]["position"]), (202, &json!(1)));
    assert_eq!(stack.object_messages()[0] - before, 3);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| create(&stack, &token, "second in the queue", "wait=12"));
        let listed = || stack.get(&token, "/v1/predictions?status=queued").json()["data"].as_array().unwrap().len();
        wait_until("the second create", || (listed() == 2).then_some(()));
        let path = format!("/v1/predictions/{}/cancel", first.json()["job_id"].as_str().unwrap());
        assert_eq!(stack.send(&Request::post(&path).bearer(&token)).json()["status"], "canceled");
        assert_eq!(second.join().unwrap().json()["queue"]["position"], 1);
    });
}

fn estimate(stack: &Stack, token: &str, body: &Value) -> Response {
    stack.send(&Request::post("/v1/estimate").bearer(token).json(body))
}

#[test]
fn an_estimate_is_the_price_and_calls_no_vendor() {
    let (stack, token) = (Stack::start(&Default::default()), token(&user("estimator")));
    let body = |input: Value| json!({"model": "acme/model-x", "input": input, "image_count": 2});
    let answer = estimate(&stack, &token, &body(json!({"prompt": "p"})));
    assert_eq!((answer.status, answer.json()), (200, json!({"credits": "5"})));
    assert_eq!(answer.header("x-ratelimit-limit"), None);
    for (body, status, kind, code) in [
        (body(json!({})), 400, "invalid_request_error", "invalid_parameter"),
        (json!({"model": "acme/none", "input": {}}), 403, "permission_error", "model_not_allowed"),
        (json!({"input": {"prompt": "p"}}), 400, "invalid_request_error", "invalid_parameter"),
        (
            json!({"model": "acme/model-x", "input": {"prompt": "p"}, "webhook": "x"}),
            400,
            "invalid_request_error",
            "unsupported_parameter",
        ),
        (body(json!({"prompt": "x".repeat(16 * 1024)})), 413, "invalid_request_error", "body_too_large"),
    ] {
        assert_refused(&estimate(&stack, &token, &body), status, kind, code);
    }
    let create_only = token_with(&user("estimator"), json!({"vk": {"scope": ["create"]}}));
    assert_refused(
        &estimate(&stack, &create_only, &body(json!({}))),
        403,
        "permission_error",
        "insufficient_permissions",
    );
    assert!(stack.vendor_requests().is_empty());
    // It works without the Ledger, because it calls no Durable Object.
    let closed = Stack::start(&crate::harness::Options { unbound: Some("LEDGER"), ..Default::default() });
    assert_eq!(estimate(&closed, &token, &body(json!({"prompt": "p"}))).status, 200);
}
