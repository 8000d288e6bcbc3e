//! Every fault, as a client observes it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::client::{Reply, open};
use crate::harness::{CREATE, KEY, Sim};

/// Sends a create to a simulator with this fault. Returns the response and the number of predictions that exist
/// afterwards.
async fn create_with(fault: Value) -> (Reply, usize) {
    let sim = Sim::start(10).await;
    sim.fault("create", fault).await;
    let reply = sim.create("x").await;
    let creates = sim.state().await["creates"].as_array().unwrap().len();
    assert_eq!(sim.create("x").await.status, 201, "the fault is used up");
    (reply, creates)
}

#[tokio::test]
async fn a_status_comes_with_any_headers_and_body() {
    let headers = json!([["retry-after", "7"], ["x-twice", "a"], ["x-twice", "b"]]);
    let fault = json!({"status": 503, "headers": headers, "content_type": "text/html", "body": "<h1>down</h1>"});
    let (reply, creates) = create_with(fault).await;
    assert_eq!((reply.status, reply.text(), creates), (503, "<h1>down</h1>", 0));
    assert_eq!((reply.header("retry-after"), reply.header("content-type")), (Some("7"), Some("text/html")));
    assert_eq!(reply.headers.iter().filter(|(name, _)| name == "x-twice").count(), 2);
}

#[tokio::test]
async fn a_bare_error_status_has_an_envelope_and_any_status_is_possible() {
    let (reply, _) = create_with(json!({"status": 500})).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (500, &json!("api_error")));
    for status in [103, 204, 304, 418, 599] {
        assert_eq!(create_with(json!({"status": status, "body": ""})).await.0.status, status);
    }
}

#[tokio::test]
async fn a_body_can_be_compressed() {
    for (coding, start) in [("deflate", &[0x78][..]), ("gzip", &[0x1f, 0x8b])] {
        let (reply, creates) = create_with(json!({"body": "a text that does not show", "compress": coding})).await;
        assert_eq!((reply.status, reply.header("content-encoding"), creates), (200, Some(coding), 0));
        assert!(reply.body.starts_with(start) && !reply.body.windows(6).any(|six| six == b"a text"), "{coding}");
        // The real response, compressed.
        let (reply, creates) = create_with(json!({"compress": coding})).await;
        assert_eq!((reply.status, reply.header("content-encoding"), creates), (201, Some(coding), 1));
        assert!(reply.body.starts_with(start), "{coding}");
    }
}

#[tokio::test]
async fn apply_runs_the_handler_although_its_response_is_replaced() {
    let (reply, creates) = create_with(json!({"status": 502, "apply": true})).await;
    assert_eq!((reply.status, creates), (502, 1));
}

#[tokio::test]
async fn a_delay_comes_before_the_real_response() {
    let sim = Sim::start(10).await;
    sim.fault("create", json!({"delay_ms": 150})).await;
    let start = Instant::now();
    assert_eq!(sim.create("x").await.status, 201);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn delay_after_ms_comes_after_the_work_of_the_handler() {
    let sim = Sim::start(10).await;
    sim.fault("create", json!({"delay_after_ms": 60_000})).await;
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let waiting = open(sim.server.address(), "POST", CREATE, &headers, br#"{"input":{"prompt":"x"}}"#).await;
    sim.wait_for("/creates/0", Value::is_object).await;
    drop(waiting);
    sim.wait_for("/connections/open", |open| open == 0).await;
}

#[tokio::test]
async fn a_connection_closes_before_and_after_the_work() {
    let (reply, creates) = create_with(json!({"close_before": true})).await;
    assert_eq!((reply.raw.len(), creates), (0, 0));
    let (reply, creates) = create_with(json!({"close_after": true})).await;
    assert_eq!((reply.raw.len(), creates), (0, 1));
}

#[tokio::test]
async fn a_connection_closes_within_the_body() {
    let (reply, creates) = create_with(json!({"close_mid_body": true})).await;
    assert_eq!((reply.status, creates), (201, 1));
    assert!(!reply.body.is_empty() && reply.body.len() as u64 <= reply.number("content-length") / 2);
    let (reply, _) = create_with(json!({"close_mid_body": 3, "body": "{\"job_id\":\"a\"}"})).await;
    assert_eq!((reply.text(), reply.number("content-length")), ("{\"j", 14));
}

#[tokio::test]
async fn a_body_hangs_after_some_bytes() {
    let sim = Sim::start(10).await;
    sim.fault("get", json!({"hang_after": 5, "body": "{\"id\":1}"})).await;
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str())];
    let mut socket = open(sim.server.address(), "GET", "/v1/predictions/x", &headers, b"").await;
    let mut raw = Vec::new();
    let read = tokio::time::timeout(Duration::from_millis(150), socket.read_to_end(&mut raw)).await;
    assert!(read.is_err(), "the connection stays open");
    assert!(raw.ends_with(b"\r\n\r\n{\"id\""));
}

#[tokio::test]
async fn a_body_drips_byte_by_byte() {
    let start = Instant::now();
    let (reply, _) = create_with(json!({"drip": 10, "body": "0123456789"})).await;
    assert_eq!(reply.text(), "0123456789");
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_redirect_has_its_location() {
    let redirect = json!({"status": 307, "location": "https://evil.example/{{key}}"});
    let (reply, _) = create_with(json!({ "redirect": redirect })).await;
    assert_eq!((reply.status, reply.header("location").unwrap()), (307, &*format!("https://evil.example/{KEY}")));
}

#[tokio::test]
async fn the_key_is_echoed_in_body_or_header_in_any_encoding() {
    let echo = json!({"in": "body", "encoding": "hex"});
    let (reply, _) = create_with(json!({"status": 401, "echo_authorization": echo})).await;
    let hex: String = format!("Bearer {KEY}").bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((reply.status, &reply.json()["detail"]), (401, &json!(hex)));
    let echo = json!({"in": "header", "header": "x-debug"});
    let (reply, _) = create_with(json!({ "echo_authorization": echo })).await;
    assert_eq!((reply.status, reply.header("x-debug").unwrap()), (200, &*format!("Bearer {KEY}")));
    let echo = json!({"in": "body", "encoding": "json"});
    let (reply, _) = create_with(json!({ "echo_authorization": echo })).await;
    assert!(!reply.text().contains(KEY));
    assert_eq!(reply.json()["detail"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn json_may_be_broken_or_huge() {
    let (reply, _) = create_with(json!({"invalid_json": true})).await;
    assert!(serde_json::from_slice::<Value>(&reply.body).is_err());
    let (reply, _) = create_with(json!({"huge_body": {"bytes": 5_000_000}})).await;
    assert_eq!((reply.body.len(), reply.number("content-length")), (5_000_000, 5_000_000));
    let (reply, _) = create_with(json!({"huge_body": {"bytes": 100_000, "json": true}})).await;
    assert_eq!(reply.json()["padding"].as_str().unwrap().len(), 100_000);
}

#[tokio::test]
async fn merge_replaces_members_of_the_real_response() {
    let (reply, creates) = create_with(json!({"merge": {"output": ["javascript:alert(1)"], "status": "odd"}})).await;
    let body = reply.json();
    assert_eq!((reply.status, creates, &body["status"]), (201, 1, &json!("odd")));
    assert!(body["job_id"].as_str().unwrap().starts_with("pred_"));
}

#[tokio::test]
async fn a_fault_stays_until_it_is_deleted() {
    let sim = Sim::start(10).await;
    sim.control("POST", "/faults", json!({"route": "any", "times": null, "fault": {"status": 500}})).await;
    for path in ["/v1/models", "/session", "/outputs/x.png"] {
        assert_eq!(sim.get(path).await.status, 500, "{path}");
    }
    assert_eq!(sim.control("DELETE", "/faults", Value::Null).await, json!({"faults": []}));
    assert_eq!(sim.get("/v1/models").await.status, 200);
    assert_eq!(sim.state().await["faults_fired"], 3);
}

#[tokio::test]
async fn an_invalid_fault_is_refused_with_the_reason() {
    let sim = Sim::start(10).await;
    let reply = sim.control_reply("POST", "/faults", json!({"route": "create", "fault": {"statsu": 500}})).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("statsu"));
    assert_eq!(sim.api("POST", CREATE, &json!({"input": {"prompt": "x"}})).await.status, 201);
}
