//! `/openapi.json` serves docs/openapi.json, under the CORS rules of every route.

use serde_json::Value;

use crate::harness::{root, shared};
use crate::http::Request;
use crate::steps::assert_refused;

#[test]
fn the_document_is_served_to_allowed_origins() {
    let stack = shared();
    let answer = stack.send(&Request::get("/openapi.json").header("Origin", "https://app.example"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(answer.header("x-request-id").is_some());
    let file = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    assert!(answer.json() == serde_json::from_str::<Value>(&file).unwrap(), "it is not docs/openapi.json");
    let head = stack.send(&Request::new("HEAD", "/openapi.json"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_refused(&stack.send(&Request::post("/openapi.json")), 405, "invalid_request_error", "method_not_allowed");
    let evil = stack.send(&Request::get("/openapi.json").header("Origin", "https://evil.example"));
    assert_refused(&evil, 403, "permission_error", "origin_not_allowed");
}
