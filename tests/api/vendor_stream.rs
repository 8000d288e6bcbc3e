//! `GET /v1/predictions/{id}/stream` relays the vendor's bytes to the owner, without the vendor's headers or its key.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Options, Stack, VENDOR_KEY, shared, token, user};
use crate::http::Request;
use crate::sse::Sse;
use crate::steps::{assert_refused, job_id, policy_with, wait_until};

fn path(id: &str) -> String {
    format!("/v1/predictions/{id}/stream")
}

fn running(stack: &Stack, token: &str) -> String {
    let created = stack.prompt(token, "[slow] streamed");
    assert_eq!(created.status, 201, "{}", created.text());
    job_id(&created)
}

fn streams_sent(stack: &Stack) -> usize {
    stack.vendor_requests().iter().filter(|request| request["route"] == "stream").count()
}

#[test]
fn the_vendors_stream_is_relayed_with_our_headers() {
    let stack = Stack::start(&Default::default());
    let token = token(&user("streamer"));
    let id = running(&stack, &token);
    let mut stream = Sse::open(&stack.worker, &path(&id), &token, &[]);
    assert_eq!(stream.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(stream.header(name), Some(value));
    }
    assert_eq!(stream.next_event().unwrap().json()["status"], "processing");
    let request = stack.vendor_requests().into_iter().find(|request| request["route"] == "stream").unwrap();
    let sent = request["headers"].to_string();
    assert!(sent.contains(VENDOR_KEY) && !sent.contains(&token));
    // A prediction has one stream at a time, and opens another after ten seconds at the earliest.
    assert_refused(&stack.get(&token, &path(&id)), 429, "rate_limit_error", "rate_limited");
    drop(stream);
    assert_refused(&stack.get(&token, &path(&id)), 429, "rate_limit_error", "rate_limited");
    assert_eq!(streams_sent(&stack), 1);
    // After the client has disconnected, the Worker closes the vendor's stream when its next chunk arrives.
    wait_until("the vendor's stream to be closed", || {
        (stack.control_get("/state")["streams"]["open"] == 0).then_some(())
    });
}

#[test]
fn head_opens_no_stream_at_the_vendor() {
    let stack = Stack::start(&Default::default());
    let token = token(&user("header"));
    let id = running(&stack, &token);
    let head = stack.send(&Request::new("HEAD", &path(&id)).bearer(&token));
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(streams_sent(&stack), 0);
    // A HEAD request does not count as a stream either.
    assert_eq!(stack.send(&Request::new("HEAD", &path(&id)).bearer(&token)).status, 200);
    assert_eq!(Sse::open(&stack.worker, &path(&id), &token, &[]).status(), 200);
    assert_eq!(stack.send(&Request::new("HEAD", &path(&id)).bearer(&token)).status, 429);
}

#[test]
fn a_queued_ended_or_foreign_prediction_has_no_stream() {
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"concurrent_predictions": 1})));
    stack.control_put("/settings", &json!({"manual": true}));
    let token = token(&user("streamer"));
    let (first, second) = (job_id(&stack.prompt(&token, "first")), job_id(&stack.prompt(&token, "second")));
    let refused = |token: &str, id: &str| {
        // A 404 does not count as an opened stream: the next request is not rate-limited.
        for _ in 0..2 {
            assert_refused(&stack.get(token, &path(id)), 404, "not_found_error", "not_found");
            assert_eq!(stack.send(&Request::new("HEAD", &path(id)).bearer(token)).status, 404);
        }
    };
    refused(&token, &second);
    refused(&crate::harness::token(&user("other")), &first);
    stack.finish("first", &json!({}));
    stack.ended(&token, &first);
    refused(&token, &first);
    assert_eq!(streams_sent(&stack), 0);
    stack.until(&token, &second, |prediction| prediction["status"] == "processing");
    assert_eq!(Sse::open(&stack.worker, &path(&second), &token, &[]).status(), 200, "seconds after it was not there");
}

#[test]
fn a_vendor_refusal_has_our_own_message() {
    for (fault, status, code) in [
        (json!({"status": 404}), 502, "upstream_rejected"),
        (json!({"status": 401, "echo_authorization": {"in": "body"}}), 502, "upstream_rejected"),
        (json!({"redirect": {"location": "http://127.0.0.1:1/elsewhere"}}), 502, "upstream_rejected"),
        (json!({"status": 500}), 502, "upstream_error"),
        (json!({"status": 429, "headers": {"retry-after": "7"}}), 503, "upstream_unavailable"),
        (json!({"close_before": true}), 502, "upstream_error"),
    ] {
        let stack = Stack::start(&Default::default());
        let token = token(&user("streamer"));
        let id = running(&stack, &token);
        // workerd itself retries when a connection closes without a byte, so the fault covers five requests.
        stack.fault("stream", 5, &fault);
        let refused = stack.get(&token, &path(&id));
        assert_refused(&refused, status, "api_error", code);
        assert!(!refused.everything().contains(VENDOR_KEY));
    }
}

/// Returns the encodings in which the vendor could echo the key. The simulator sends every other body byte by byte
/// (`drip`), so that every chunk splits the key.
fn leaks() -> Vec<Value> {
    let texts =
        ["{{key}}", "{{authorization}}", "{{key:hex}}", "{{key:base64}}", "{{key:base64_shift1}}", "{{key:percent}}"];
    let escaped: String = VENDOR_KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    texts.iter().map(|text| json!(text)).chain([json!(escaped)]).collect()
}

#[test]
fn a_stream_that_contains_the_key_is_cut_before_it() {
    for (index, leak) in leaks().iter().enumerate() {
        let stack = Stack::start(&Default::default());
        let token = token(&user("streamer"));
        let id = running(&stack, &token);
        let body = format!("data: good\n\ndata: {{\"echo\":\"{}\"}}\n\ndata: after\n\n", leak.as_str().unwrap());
        let mut fault = json!({"status": 200, "content_type": "text/event-stream", "body": body});
        if index % 2 == 0 {
            fault["drip"] = json!(2);
        }
        stack.fault("stream", 1, &fault);
        let mut stream = Sse::open(&stack.worker, &path(&id), &token, &[]);
        let seen = stream.rest();
        assert!(!seen.contains("after"), "{leak}: {seen}");
        let tail = &VENDOR_KEY[8..24];
        assert!(!seen.contains(tail) && !seen.contains("5465737430") && !seen.contains("VGVzdD"), "{leak}: {seen}");
        stack.assert_logged("vendor_key_in_stream");
    }
}

/// A browser decodes deflate and zstd, the key scan does not: the key would pass it unseen.
#[test]
fn a_stream_in_a_content_coding_is_never_relayed() {
    let text = "data: {\"echo\":\"{{key}}\"}\n\ndata: after\n\n";
    let coded = |name: &str| {
        json!({"status": 200, "content_type": "text/event-stream", "body": text,
        "headers": {"content-encoding": name}})
    };
    let compressed = |name: &str| {
        json!({"status": 200, "content_type": "text/event-stream", "body": text,
        "compress": name})
    };
    let faults = ["deflate", "gzip"].map(compressed);
    let faults = faults.into_iter().chain(["zstd", "br", "Deflate", "identity, zstd", "x-new"].map(coded));
    for fault in faults {
        let stack = Stack::start(&Default::default());
        let token = token(&user("streamer"));
        let id = running(&stack, &token);
        stack.fault("stream", 1, &fault);
        let refused = stack.get(&token, &path(&id));
        assert_refused(&refused, 502, "api_error", "upstream_error");
        assert!(!refused.everything().contains("after"), "{fault}");
        assert_eq!(streams_sent(&stack), 1);
    }
}

#[test]
fn the_vendor_is_asked_for_a_plain_stream() {
    for coding in [None, Some("identity"), Some("Identity"), Some("")] {
        let stack = Stack::start(&Default::default());
        let token = token(&user("streamer"));
        let id = running(&stack, &token);
        let mut fault = json!({"status": 200, "content_type": "text/event-stream", "body": "data: plain\n\n"});
        if let Some(coding) = coding {
            fault["headers"] = json!({"content-encoding": coding});
        }
        stack.fault("stream", 1, &fault);
        let mut stream = Sse::open(&stack.worker, &path(&id), &token, &[]);
        assert_eq!((stream.status(), stream.rest().as_str()), (200, "data: plain\n\n"), "{coding:?}");
        let request = stack.vendor_requests().into_iter().find(|request| request["route"] == "stream").unwrap();
        let asked: Vec<&serde_json::Value> = request["headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|pair| pair[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("accept-encoding")))
            .map(|pair| &pair[1])
            .collect();
        assert_eq!(asked, ["identity"]);
    }
}

#[test]
fn a_stream_is_relayed_byte_for_byte_however_odd_its_frames_are() {
    let stack = Stack::start(&Default::default());
    let token = token(&user("streamer"));
    let id = running(&stack, &token);
    // An event inside data, all kinds of line ends, an empty event, an unknown field, and no line end at the end.
    let body = "data: a\\n\\nevent: status\n\nevent: end\ndata:\n\ndata: b\r\n\r\n\n\nx: \u{e9}\u{1f600}\rdata: {\"c\"";
    let fault = json!({"status": 200, "content_type": "text/event-stream", "body": body, "drip": 3});
    stack.fault("stream", 1, &fault);
    let mut stream = Sse::open(&stack.worker, &path(&id), &token, &[]);
    assert_eq!(stream.status(), 200);
    let mut seen = Vec::new();
    while let Some(chunk) = stream.chunk() {
        seen.extend(chunk);
    }
    assert_eq!(String::from_utf8_lossy(&seen), body);
}

#[test]
fn a_silent_stream_times_out() {
    let stack = Stack::start(&Default::default());
    let token = token(&user("streamer"));
    let id = running(&stack, &token);
    let body = "data: one\n\ndata: two\n\n";
    stack.fault(
        "stream",
        1,
        &json!({"status": 200, "content_type": "text/event-stream", "body": body, "hang_after": 11}),
    );
    let mut stream = Sse::open(&stack.worker, &path(&id), &token, &[]);
    assert_eq!(stream.next_event().unwrap().data, "one");
    assert_eq!(stream.rest(), "", "it ends without the client's doing");
}

#[test]
fn a_slow_reader_delays_no_other_user_and_frees_its_stream() {
    let stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "60000"], ..Options::default() });
    let slow = token(&user("slow"));
    let id = running(&stack, &slow);
    // More than all buffers on the way hold: the vendor waits for the client.
    let fault = json!({"status": 200, "content_type": "text/event-stream", "huge_body": {"bytes": 1_000_000_000_u64}});
    stack.fault("stream", 1, &fault);
    let mut stream = Sse::open(&stack.worker, &path(&id), &slow, &[]);
    for reads in 0..20 {
        assert!(stream.byte().is_some(), "it ended after {reads} bytes");
        std::thread::sleep(Duration::from_millis(100));
        if reads % 10 == 0 {
            let other = token(&user(&format!("other-{reads}")));
            assert_eq!(stack.prompt(&other, "beside a slow reader").status, 201);
        }
    }
    drop(stream);
    // The prediction can have another stream ten seconds after the first opened, once the relay has noticed its end.
    let mut again = loop {
        let again = Sse::open(&stack.worker, &path(&id), &slow, &[]);
        if again.status() == 200 {
            break again;
        }
        assert_eq!(again.status(), 429);
        let wait: u64 = again.header("Retry-After").unwrap().parse().unwrap();
        assert!(wait <= 10, "held by who is gone: {wait} s");
        std::thread::sleep(Duration::from_secs(wait));
    };
    assert_eq!(again.next_event().unwrap().json()["status"], "processing");
}

#[test]
fn the_stream_route_requires_a_token() {
    let answer = shared().send(&crate::http::Request::get(&path("pred_01jh0000000000000000000000")));
    assert_refused(&answer, 401, "authentication_error", "missing_token");
}
