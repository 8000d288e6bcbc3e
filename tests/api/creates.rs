//! How a request may carry its token, and how much of its body is read.

use serde_json::json;

use crate::harness::{MODEL, Options, SECRET, Stack, token, user};
use crate::http::Request;

#[test]
fn a_token_is_accepted_only_in_the_authorization_header() {
    let stack = Stack::start(&Options::default());
    let good = token(&user("transport"));
    let body = json!({"input": {"prompt": "p"}});
    let plain = || Request::post(MODEL).json(&body);
    let requests = [
        plain(),
        plain().header("Authorization", &format!("Token {good}")),
        plain().header("Authorization", &format!("DPoP {good}")),
        plain().header("Authorization", &format!("Basic {good}")),
        plain().header("Authorization", &format!("Bearer\t{good}")),
        plain().header("Authorization", &format!("Bearer  {good}")),
        plain().header("Authorization", &good),
        plain().header("Authorization", "Token sk_live_0000000000000000000000000000"),
        plain().header("Authorization", "Bearer sk_live_0000000000000000000000000000"),
        plain().header("Authorization", &format!("Bearer {good}")).header("Authorization", &format!("Bearer {good}")),
        plain().header("Cookie", &format!("token={good}")),
        plain().header("X-Api-Key", SECRET),
        Request::post(&format!("{MODEL}?access_token={good}")).json(&body),
        Request::post(MODEL)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("access_token={good}")),
    ];
    for request in requests {
        let answer = stack.send(&request);
        assert_eq!(answer.status, 401, "{:?}: {}", request.headers, answer.text());
    }
    assert!(stack.vendor_requests().is_empty());
}

#[test]
fn a_body_over_the_limit_is_not_read_to_its_end() {
    let stack = Stack::start(&Options::default());
    let good = token(&user("large"));
    let chunked = format!("{:x}\r\n{}\r\n", 300_000, "x".repeat(300_000)).repeat(4) + "0\r\n\r\n";
    let request = Request::post(MODEL).bearer(&good).header("Content-Type", "application/json");
    let request = request.header("Transfer-Encoding", "chunked").header("Content-Length", "");
    let request = Request {
        headers: request.headers.into_iter().filter(|(name, _)| name != "Content-Length").collect(),
        ..request
    };
    let request =
        Request { method: "POST".into(), target: MODEL.into(), headers: request.headers, body: chunked.into_bytes() };
    let answer = request.send(&stack.worker);
    assert!([400, 413].contains(&answer.status), "{}", answer.text());
    assert!(stack.vendor_requests().is_empty());
    assert_eq!(stack.create(&good).status, 201, "the next one is fine");
}
