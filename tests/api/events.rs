//! `GET /v1/predictions/{id}/events`: the present state first, then each change and each queue position; at most four
//! streams per user.

use serde_json::{Value, json};

use crate::harness::{Stack, shared, token, token_with, user};
use crate::http::Request;
use crate::sse::Sse;
use crate::steps::{assert_refused, job_id, policy_with, wait_until};

fn path(id: &str) -> String {
    format!("/v1/predictions/{id}/events")
}

fn open(stack: &Stack, token: &str, id: &str) -> Sse {
    let stream = Sse::open(&stack.worker, &path(id), token, &[]);
    assert_eq!(stream.status(), 200, "{}", stream.head);
    stream
}

#[test]
fn events_begin_with_the_present_state_and_end_with_the_prediction() {
    let (stack, token) = (shared(), token(&user("watcher")));
    let id = job_id(&stack.prompt(&token, "watched"));
    let mut stream = open(stack, &token, &id);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-store"));
    assert!(stream.header("x-ratelimit-remaining").is_some() && stream.header("x-request-id").is_some());
    let events: Vec<_> = std::iter::from_fn(|| stream.next_event()).collect();
    assert!(events.iter().all(|event| event.event == "status" && event.json()["job_id"] == json!(id)));
    let ids: Vec<u64> = events.iter().map(|event| event.id.parse().unwrap()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert_eq!(events.last().unwrap().json(), stack.get(&token, &format!("/v1/predictions/{id}")).json());
    assert_eq!(events.last().unwrap().json()["status"], "succeeded");
    // A browser that reconnects with `Last-Event-ID` gets no event twice.
    let last = ids.last().unwrap().to_string();
    let mut again = Sse::open(&stack.worker, &path(&id), &token, &[("Last-Event-ID", &last)]);
    assert!(again.next_event().is_none());
    let before = (ids.last().unwrap() - 1).to_string();
    let mut again = Sse::open(&stack.worker, &path(&id), &token, &[("Last-Event-ID", &before)]);
    assert_eq!(again.next_event().unwrap().id, last);
}

#[test]
fn queue_positions_are_sent_as_they_change() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})));
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("queued"));
    let ids: Vec<String> = ["first", "second", "third"].map(|prompt| job_id(&stack.prompt(&token, prompt))).into();
    let mut stream = open(&stack, &token, &ids[2]);
    let place = |event: Option<crate::sse::Event>| event.unwrap().json()["queue"]["position"].clone();
    assert_eq!(place(stream.next_event()), json!(2));
    stack.finish("first", &json!({}));
    assert_eq!(place(stream.next_event()), json!(1));
    stack.finish("second", &json!({}));
    let started = stream.next_event().unwrap().json();
    assert_eq!((started["status"].clone(), started.get("queue")), (json!("processing"), None));
    stack.finish("third", &json!({}));
    let ended: Vec<Value> = std::iter::from_fn(|| stream.next_event()).map(|event| event.json()).collect();
    assert_eq!(ended.last().unwrap()["status"], "succeeded");
}

#[test]
fn a_users_fifth_stream_is_refused() {
    let (stack, name) = (shared(), user("greedy"));
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "[slow] watched"));
    let mut streams: Vec<Sse> = (0..4).map(|_| open(stack, &token, &id)).collect();
    let fifth = stack.get(&token, &path(&id));
    assert_refused(&fifth, 429, "rate_limit_error", "rate_limited");
    // Another user's streams have their own limit: this one gets 404, not 429.
    let (other, theirs) = (crate::harness::token(&user("other")), stack.create(&crate::harness::token(&name)));
    assert_eq!(stack.get(&other, &path(&job_id(&theirs))).status, 404);
    assert!(streams.iter_mut().all(|stream| stream.next_event().is_some()));
}

#[test]
fn a_stream_whose_client_left_frees_its_slot() {
    let stack = shared();
    let token = token(&user("restless"));
    let id = job_id(&stack.prompt(&token, "[slow] left"));
    // Three times the limit: each client disconnects after the first event.
    for _ in 0..12 {
        let mut stream = wait_until("a place", || {
            Some(Sse::open(&stack.worker, &path(&id), &token, &[])).filter(|stream| stream.status() == 200)
        });
        assert!(stream.next_event().is_some());
    }
}

#[test]
fn events_of_another_users_prediction_are_not_found() {
    let (stack, alice, bob) = (shared(), token(&user("alice")), token(&user("bob")));
    let id = job_id(&stack.prompt(&alice, "[slow] private"));
    for target in [path(&id), path("pred_01jh0000000000000000000000")] {
        assert_refused(&stack.get(&bob, &target), 404, "not_found_error", "not_found");
    }
    let without = token_with(&user("alice"), json!({"vk": {"scope": ["create"]}}));
    assert_refused(&stack.get(&without, &path(&id)), 403, "permission_error", "insufficient_permissions");
    let head = stack.send(&Request::new("HEAD", &path(&id)).bearer(&alice));
    assert_eq!((head.status, head.body.len(), head.header("content-type")), (200, 0, Some("text/event-stream")));
}

#[test]
fn no_event_is_sent_after_the_token_expires() {
    let stack = Stack::start(&Default::default());
    stack.control_put("/settings", &json!({"manual": true}));
    let name = user("expiring");
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "stopped too late"));
    let exp = crate::harness::now() + 3;
    let mut stream = open(&stack, &token_with(&name, json!({"exp": exp})), &id);
    // Just after `exp`, and well before the stream's next poll, which comes every one to three seconds.
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = std::time::Duration::from_secs(exp.unsigned_abs()) + std::time::Duration::from_millis(20);
    std::thread::sleep(end.saturating_sub(since_epoch));
    let canceled = stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token));
    assert_eq!(canceled.status, 200);
    let seen = stream.rest();
    assert!(seen.contains("processing") && !seen.contains("cancel_requested") && !seen.contains("canceled"), "{seen}");
}

#[test]
fn a_stream_ends_with_its_token_and_a_silent_stream_sends_heartbeats() {
    let stack = shared();
    let name = user("expiring");
    let id = job_id(&stack.prompt(&token(&name), "[slow] watched"));
    // The default leeway of five seconds applies when the stream is opened. The open stream ends at `exp`.
    let now = crate::harness::now();
    let short = token_with(&name, json!({"exp": now + 3}));
    let mut stream = open(stack, &short, &id);
    let seen: Vec<_> = std::iter::from_fn(|| stream.next()).collect();
    assert!(!seen.is_empty() && seen.last().unwrap().json()["status"] == "processing");
    // A manual prediction does not change by itself, so the heartbeat comes next.
    let stack = Stack::start(&Default::default());
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("patient"));
    let id = job_id(&stack.prompt(&token, "silent"));
    let mut stream = open(&stack, &token, &id);
    let heartbeat = std::iter::from_fn(|| stream.next()).find(|event| !event.comment.is_empty());
    assert_eq!(heartbeat.unwrap().comment, "heartbeat");
    assert!(stack.vendor_requests().iter().filter(|request| request["route"] == "get").count() < 10);
}
