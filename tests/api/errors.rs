//! Every error of the table in contract 3 that this version returns, with its exact status, type and code, and with
//! nothing sent to the vendor. `upstream_answers` has the errors that the vendor causes.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, token, token_with, user};
use crate::http::{Request, Response};

fn expect(answer: &Response, status: u16, kind: &str, code: &str) {
    assert_eq!(answer.error(), (status, kind.to_owned(), code.to_owned()), "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(answer.header("x-request-id"), error["request_id"].as_str());
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

const REQUEST: &str = "invalid_request_error";

#[test]
fn every_refusal_before_the_vendor_has_its_exact_code_and_sends_nothing_upstream() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("errors"));
    let post = |body: &Value| stack.send(&Request::post(MODEL).bearer(&token).json(body));
    let raw = |body: &str| {
        stack.send(&Request::post(MODEL).bearer(&token).header("Content-Type", "application/json").body(body))
    };

    for bad in
        ["", "{", "[]", "null", "{\"input\":{},\"input\":{}}", "{}{}", &format!("{{\"a\":{}}}", "[".repeat(50_000))]
    {
        expect(&raw(bad), 400, REQUEST, "invalid_json");
    }
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input": "x"}), "input"),
        (json!({"input": {}}), "input.prompt"),
        (json!({"input": {"prompt": 5}}), "input.prompt"),
        (json!({"input": {"prompt": "x".repeat(4001)}}), "input.prompt"),
        (json!({"input": {"prompt": "p", "aspect_ratio": "2:1"}}), "input.aspect_ratio"),
        (json!({"input": {"prompt": "p", "image": "http://169.254.169.254/"}}), "input.image"),
        (json!({"input": {"prompt": "p"}, "image_count": 3}), "image_count"),
        (json!({"input": {"prompt": "p"}, "image_count": 0}), "image_count"),
        (json!({"input": {"prompt": "p"}, "model": "model-y"}), "model"),
        (json!({"input": {"prompt": "p"}, "provider": "evil"}), "provider"),
    ] {
        let answer = post(&body);
        expect(&answer, 400, REQUEST, "invalid_parameter");
        assert_eq!(answer.json()["error"]["details"]["param"], param);
    }
    for (body, param) in [
        (json!({"input": {"prompt": "p"}, "webhook": "https://evil.example/"}), json!("webhook")),
        (json!({"input": {"prompt": "p"}, "zzz": 1}), json!("zzz")),
        (json!({"input": {"prompt": "p", "seed": 1}}), json!("input.seed")),
        (json!({"input": {"prompt": "p", "<script>": 1}}), Value::Null),
    ] {
        let answer = post(&body);
        expect(&answer, 400, REQUEST, "unsupported_parameter");
        assert_eq!(answer.json()["error"]["details"]["param"], param);
    }

    for limit in ["%2B5", "+5", "-5", "0", "101", "5.0", ""] {
        let answer = stack.get(&token, &format!("/v1/predictions?limit={limit}"));
        expect(&answer, 400, REQUEST, "invalid_parameter");
        assert_eq!(answer.json()["error"]["details"]["param"], "limit");
    }

    let missing = stack.send(&Request::get("/v1/predictions"));
    expect(&missing, 401, "authentication_error", "missing_token");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    let invalid = stack.get("a.b.c", "/v1/predictions");
    expect(&invalid, 401, "authentication_error", "invalid_token");
    assert_eq!(invalid.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));

    let poor = token_with(&user("poor"), json!({"jti": "j", "vk": {"max_credits": "1"}}));
    expect(&stack.create(&poor), 402, "payment_error", "insufficient_credits");

    for scope in ["read", "cancel", "files"] {
        let narrow = token_with(&user("narrow"), json!({"vk": {"scope": [scope]}}));
        expect(&stack.create(&narrow), 403, "permission_error", "insufficient_permissions");
    }
    let write_only = token_with(&user("narrow"), json!({"vk": {"scope": ["create"]}}));
    expect(&stack.get(&write_only, "/v1/predictions"), 403, "permission_error", "insufficient_permissions");

    let body = json!({"input": {"prompt": "p"}});
    let other_plan = token_with(&user("plan"), json!({"plan": "narrow"}));
    let by_plan = stack.send(&Request::post(MODEL).bearer(&other_plan).json(&body));
    expect(&by_plan, 403, "permission_error", "model_not_allowed");
    let unknown = stack.send(&Request::post("/v1/acme/unknown/predictions").bearer(&token).json(&body));
    expect(&unknown, 403, "permission_error", "model_not_allowed");

    let evil = stack.send(&Request::post(MODEL).bearer(&token).header("Origin", "https://evil.example").json(&body));
    expect(&evil, 403, "permission_error", "origin_not_allowed");

    for path in ["/v1/api-keys", "/v1/api-keys/x/predictions", "/v1/webhooks/x/predictions"] {
        expect(&stack.get(&token, path), 404, "not_found_error", "not_found");
        let create = stack.send(&Request::post(path).bearer(&token).json(&body));
        expect(&create, 404, "not_found_error", "not_found");
    }
    let wrong_method = stack.send(&Request::new("PUT", MODEL).bearer(&token));
    expect(&wrong_method, 405, REQUEST, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), Some("POST"));

    let huge = json!({"input": {"prompt": "x".repeat(256 * 1024)}});
    expect(&post(&huge), 413, REQUEST, "body_too_large");
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Type", "multipart/form-data; boundary=x"),
    ] {
        let answer = stack.send(&Request::post(MODEL).bearer(&token).header(name, value).body(body.to_string()));
        expect(&answer, 415, REQUEST, "unsupported_media_type");
    }
    let encoded = Request::post(MODEL).bearer(&token).header("Content-Encoding", "gzip").json(&body);
    expect(&stack.send(&encoded), 415, REQUEST, "unsupported_media_type");

    assert!(stack.vendor_requests().is_empty(), "{:?}", stack.vendor_requests());
}

#[test]
fn without_the_durable_objects_every_request_that_needs_them_is_refused() {
    for unbound in ["LEDGER", "DISPATCHER"] {
        let stack = Stack::start(&Options { unbound: Some(unbound), ..Options::default() });
        let token = token(&user("closed"));
        let refused = stack.create(&token);
        expect(&refused, 503, "api_error", "limiter_unavailable");
        assert_eq!(refused.header("retry-after"), Some("1"));
        expect(&stack.get(&token, "/v1/predictions"), 503, "api_error", "limiter_unavailable");
        assert!(stack.vendor_requests().is_empty());
    }
}

#[test]
fn if_no_response_can_be_made_the_response_of_last_resort_is_in_our_format() {
    let settings = vec![("DEMO", Some("on".to_owned()))];
    let stack = Stack::start(&Options { settings, unbound: Some("ASSETS"), ..Options::default() });
    for path in ["/openapi.json", "/"] {
        let answer = stack.send(&Request::get(path));
        expect(&answer, 503, "api_error", "limiter_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    stack.assert_logged("no_answer");
    assert_eq!(stack.send(&Request::get("/healthz")).status, 200, "the next one is answered");
}
