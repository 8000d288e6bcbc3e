//! `POST /hooks/{capability}`: the vendor's webhook makes the next poll earlier. A request without the capability has
//! no effect.

use std::time::Instant;

use serde_json::{Value, json};
use valetkey::types::ids::JobId;
use valetkey::types::secret::VendorKey;
use valetkey::types::time::UnixMillis;
use valetkey::vendor::webhook::capability;

use crate::harness::{Options, Stack, VENDOR_KEY, now, policy, token, user};
use crate::http::Request;
use crate::steps::{assert_refused, job_id, wait_until};

/// Returns a stack with a vendor rate limit so low that each prediction is polled every half minute, and with a
/// `PUBLIC_URL`. Nothing listens at that URL: the tests call the webhook themselves.
fn slow_polls() -> Stack {
    let mut policy = policy();
    policy["key"]["requests_per_minute"] = json!(8);
    let stack = Stack::start(&Options {
        settings: vec![("POLICY", Some(policy.to_string())), ("PUBLIC_URL", Some("http://127.0.0.1:9".to_owned()))],
        ..Options::default()
    });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

fn webhook(stack: &Stack) -> String {
    let create = stack.vendor_requests().into_iter().find(|request| request["route"] == "create").unwrap();
    let body: Value = serde_json::from_str(create["body"].as_str().unwrap()).unwrap();
    let url = body["webhook"].as_str().unwrap().to_owned();
    url.strip_prefix("http://127.0.0.1:9").expect("under PUBLIC_URL").to_owned()
}

fn polls(stack: &Stack) -> Vec<i64> {
    let requests = stack.vendor_requests().into_iter().filter(|request| request["route"] == "get");
    requests.map(|request| request["time_ms"].as_i64().unwrap()).collect()
}

#[test]
fn a_webhook_makes_the_next_poll_earlier_and_changes_nothing_else() {
    let stack = slow_polls();
    let token = token(&user("hooked"));
    let id = job_id(&stack.prompt(&token, "hooked"));
    let hook = webhook(&stack);
    stack.finish("hooked", &json!({}));
    // The body is unauthenticated, so the Worker does not read it.
    let lie =
        Request::post(&hook).json(&json!({"job_id": id, "status": "failed", "output": ["https://evil.example/"]}));
    let answer = stack.send(&lie);
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.text());
    let ended = stack.ended(&token, &id);
    assert_eq!(ended["status"], "succeeded");
    assert_eq!(polls(&stack).len(), 1, "one poll, half a minute before its time");
    // Webhooks of an ended prediction change nothing.
    for _ in 0..5 {
        assert_eq!(stack.send(&Request::post(&hook)).status, 204);
    }
    assert_eq!((polls(&stack).len(), stack.get(&token, &format!("/v1/predictions/{id}")).json()), (1, ended));
    assert!(!stack.worker_log().contains(hook.rsplit('/').next().unwrap()), "the capability is a secret");
}

#[test]
fn repeated_webhooks_cause_at_most_one_poll_in_ten_seconds() {
    let stack = slow_polls();
    let token = token(&user("hooked"));
    stack.prompt(&token, "runs on");
    let hook = webhook(&stack);
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(stack.send(&Request::post(&hook)).status, 204);
    }
    wait_until("the poll", || (!polls(&stack).is_empty()).then_some(()));
    for _ in 0..20 {
        assert_eq!(stack.send(&Request::post(&hook)).status, 204);
    }
    let (polls, most) = (polls(&stack).len(), start.elapsed().as_secs() / 10 + 1);
    assert!(u64::try_from(polls).unwrap() <= most, "{polls} of {most}");
}

#[test]
fn a_wrong_capability_is_not_found_and_reaches_no_object() {
    let stack = slow_polls();
    stack.prompt(&token(&user("hooked")), "runs on");
    let hook = webhook(&stack);
    let (path, capability) = hook.rsplit_once('/').unwrap();
    let mut flipped = capability.to_owned().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for wrong in [
        &flipped,
        &capability[1..],
        &format!("{capability}A"),
        &format!("{capability}="),
        "x",
        "pred_01jh0000000000000000000000",
    ] {
        assert_refused(&stack.send(&Request::post(&format!("{path}/{wrong}"))), 404, "not_found_error", "not_found");
    }
    let read = stack.send(&Request::get(&hook));
    assert_eq!((read.status, read.header("allow")), (405, Some("POST")));
    assert!(polls(&stack).is_empty());
    // The edge alone decides: a wrong capability is a 404 even without the Dispatcher.
    let closed = Stack::start(&Options { unbound: Some("DISPATCHER"), ..Options::default() });
    assert_eq!(closed.send(&Request::post(&format!("{path}/{flipped}"))).status, 404);
}

#[test]
fn a_capability_ends_with_the_longest_life_of_a_prediction() {
    let stack = Stack::start(&Options { unbound: Some("DISPATCHER"), ..Options::default() });
    let key = VendorKey::try_new(VENDOR_KEY).unwrap();
    let call = |age_secs: i64| {
        let job_id = JobId::new(UnixMillis((now() - age_secs) * 1_000), [7; 10]);
        stack.send(&Request::post(&format!("/hooks/{}", capability(&job_id, &key))))
    };
    // The longest wait of 600 s, twice the longest run of 600 s, and 600 s to spare.
    assert_eq!(call(2_380).status, 204);
    assert_refused(&call(2_410), 404, "not_found_error", "not_found");
}

#[test]
fn no_signature_replaces_the_capability_and_no_body_is_read() {
    let stack = slow_polls();
    let token = token(&user("hooked"));
    let id = job_id(&stack.prompt(&token, "runs on"));
    let before = stack.get(&token, &format!("/v1/predictions/{id}")).json();
    let hook = webhook(&stack);
    let (path, capability) = hook.rsplit_once('/').unwrap();
    let half = &capability[..capability.len() / 2];
    let lie = json!({"id": id, "status": "succeeded", "output": ["https://cdn.example/lie.png"]}).to_string();
    for wrong in [half, "other"] {
        for signature in ["", "v1,", "v1,QUFBQQ==", "v1,AA v2,AA", capability] {
            let request = Request::post(&format!("{path}/{wrong}"))
                .header("Content-Type", "application/json")
                .header("webhook-id", &id)
                .header("webhook-timestamp", "9223372036854775808")
                .header("webhook-signature", signature)
                .body(lie.clone());
            assert_refused(&stack.send(&request), 404, "not_found_error", "not_found");
        }
        let huge = Request::post(&format!("{path}/{wrong}")).body(vec![b'A'; 20_000_000]);
        assert_eq!(stack.send(&huge).status, 404);
    }
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert_eq!(stack.send(&Request::new(method, &hook)).status, 405, "{method}");
    }
    assert!(polls(&stack).is_empty());
    assert_eq!(stack.get(&token, &format!("/v1/predictions/{id}")).json(), before);
}

#[test]
fn without_a_public_url_no_webhook_is_requested() {
    let stack = Stack::start(&Options::default());
    stack.prompt(&token(&user("plain")), "plain");
    let create = stack.vendor_requests().into_iter().find(|request| request["route"] == "create").unwrap();
    assert!(!create["body"].as_str().unwrap().contains("webhook"));
}
