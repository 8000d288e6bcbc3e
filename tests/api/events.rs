//! `GET /v1/predictions/{id}/events`: the present state first, then each change as the Ledger tells it, and each queue
//! position; at most four streams per user.

use std::time::Duration;

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, Options, Stack, shared, token, token_with, user};
use crate::http::Request;
use crate::sse::Sse;
use crate::steps::{assert_refused, create_of, job_id, policy_with, wait_until};

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
    // An ETA may change meanwhile, and the position may not.
    let mut rest = std::iter::from_fn(|| stream.next_event()).map(|event| event.json());
    let started = rest.find(|event| event["queue"]["position"] != json!(1)).unwrap();
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
    // Just after `exp`.
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

/// A stack whose objects are observed, and whose predictions end when a test says so.
fn observed() -> Stack {
    let stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

fn ledger_of(name: &str) -> String {
    UserKey::new(ISSUER, name).as_str().to_owned()
}

fn ledger_messages(stack: &Stack) -> u64 {
    stack.object_messages()[0]
}

/// The Ledger loses its memory meanwhile, as one that sleeps does.
#[test]
fn a_stream_of_many_seconds_costs_one_request_to_the_ledger() {
    let (stack, name) = (observed(), user("sleeper"));
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "watched"));
    let before = ledger_messages(&stack);
    let mut stream = open(&stack, &token, &id);
    assert_eq!(stream.next_event().unwrap().json()["status"], "processing");
    stack.evict_ledger(&name);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(ledger_messages(&stack) - before, 1);
    stack.finish("watched", &json!({}));
    assert_eq!(stream.next_event().unwrap().json()["status"], "succeeded");
    assert!(stream.next().is_none());
    // The other one is the Dispatcher's, which tells the end.
    assert_eq!(ledger_messages(&stack) - before, 2);
}

#[test]
fn a_stream_whose_ledger_is_reset_misses_nothing() {
    let (stack, name) = (observed(), user("unlucky"));
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "watched"));
    let mut stream = open(&stack, &token, &id);
    assert_eq!(stream.next_event().unwrap().json()["status"], "processing");
    let before = ledger_messages(&stack);
    stack.abort_objects();
    wait_until("the socket to be opened again", || (ledger_messages(&stack) > before).then_some(()));
    stack.finish("watched", &json!({}));
    assert_eq!(stream.next_event().unwrap().json()["status"], "succeeded");
    assert!(stream.next().is_none());
}

/// The client reads on from where it was: with `Last-Event-ID`, a first event only if there is a newer one.
#[test]
fn a_stream_whose_ledger_is_reset_twice_ends() {
    let (stack, name) = (observed(), user("unluckier"));
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "watched"));
    let mut stream = open(&stack, &token, &id);
    let last = stream.next_event().unwrap().id;
    for _ in 0..2 {
        let before = ledger_messages(&stack);
        stack.abort_objects();
        wait_until("the socket to be opened again, or the end", || {
            (ledger_messages(&stack) > before || stream.is_over()).then_some(())
        });
    }
    assert_eq!(stream.rest(), "");
    let mut again = Sse::open(&stack.worker, &path(&id), &token, &[("Last-Event-ID", &last)]);
    stack.finish("watched", &json!({}));
    assert_eq!(again.next_event().unwrap().json()["status"], "succeeded");
}

/// During a deployment the edge can be newer than the Ledger, which then ignores the upgrade.
#[test]
fn a_ledger_of_the_build_before_sockets_is_polled() {
    let (stack, token) = (observed(), token(&user("early")));
    stack.send(&Request::get("/test/sockets?are=unknown"));
    let id = job_id(&stack.prompt(&token, "watched"));
    let mut stream = open(&stack, &token, &id);
    assert_eq!(stream.next_event().unwrap().json()["status"], "processing");
    let before = ledger_messages(&stack);
    wait_until("a second poll", || (ledger_messages(&stack) > before + 1).then_some(()));
    stack.finish("watched", &json!({}));
    assert_eq!(stream.next_event().unwrap().json()["status"], "succeeded");
    assert!(stream.next().is_none());
    let waiting = create_of(&token, "waited for").header("Prefer", "wait=20");
    stack.control_put("/settings", &json!({"manual": false}));
    assert_eq!(stack.send(&waiting).json()["status"], "succeeded");
}

/// During a deployment the Ledger can be newer than the edge, which polls.
#[test]
fn a_stream_of_the_edge_before_is_answered_and_counts() {
    let (stack, name) = (observed(), user("late"));
    let token = token(&name);
    let id = job_id(&stack.prompt(&token, "watched"));
    let ledger = ledger_of(&name);
    let poll = |stream: &str| {
        let stream = json!({"id": format!("req_01jh00000000000000000000{stream}")});
        let caller = json!({"issued_at": crate::harness::now()});
        let ask = json!({"watch": {"job_id": id, "stream": stream}});
        stack.send_to_object("LEDGER", &ledger, &json!({"caller": caller, "ask": ask}))["reply"].clone()
    };
    for stream in ["a1", "a2", "a3", "a1"] {
        assert_eq!(poll(stream)["prediction"]["job_id"], json!(id), "{stream}");
    }
    let mut fourth = open(&stack, &token, &id);
    assert!(fourth.next_event().is_some());
    assert_eq!(poll("a4")["refused"]["rate_limited"]["retry_after_secs"], json!(15));
    assert_refused(&stack.get(&token, &path(&id)), 429, "rate_limit_error", "rate_limited");
    let unwatch = json!({"unwatch": {"stream": {"id": "req_01jh00000000000000000000a1"}}});
    assert_eq!(stack.send_to_object("LEDGER", &ledger, &json!({"ask": unwatch})), json!({"reply": "done"}));
    assert_eq!(poll("a4")["prediction"]["job_id"], json!(id));
}
