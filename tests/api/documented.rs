//! Checks every response of the Worker, in any test, against docs/openapi.json: its status, code, media type and
//! headers.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use valetkey::wire::cors::EXPOSED_HEADERS;
use valetkey::wire::route::{OPERATIONS, PublicRoute, Route};

use crate::harness::root;
use crate::http::Response;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

/// Checks the response to a request. Skips responses of workerd itself and of the simulator, which have no request id
/// of ours, and responses to a path or method that is no operation, which the document does not list one by one.
pub fn check(method: &str, target: &str, answer: &Response) {
    let path = target.split(['?', '#']).next().unwrap();
    let is_ours = answer.header("x-request-id").is_some_and(|id| id.starts_with("req_"));
    match Route::parse(method, path) {
        Ok(Route::Public(PublicRoute::Demo(_) | PublicRoute::DemoSettings | PublicRoute::AdminPage(_))) | Err(_) => {}
        Ok(_) if !is_ours => {}
        // The response of last resort can come on any path; the document describes it once, at its head.
        Ok(Route::Public(_) | Route::TokenEndpoint(_) | Route::Admin(_)) if is_last_resort(answer) => {}
        Ok(_) => check_operation(if method == "HEAD" { "get" } else { method }, path, answer),
    }
}

fn is_last_resort(answer: &Response) -> bool {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    answer.status == 503 && code_of(&body) == Some("limiter_unavailable")
}

fn check_operation(method: &str, path: &str, answer: &Response) {
    let method = method.to_lowercase();
    let of_method = OPERATIONS.iter().filter(|(known, _)| *known == method);
    let found: Vec<_> = of_method.filter(|(_, template)| matches_template(path, template)).collect();
    let [(_, template)] = found[..] else { panic!("{method} {path} is not one operation: {found:?}") };
    let status = answer.status;
    let described = resolved(&DOCUMENT["paths"][template][&method]["responses"][status.to_string()]);
    assert!(described.is_object(), "{method} {template} is not said to answer {status}: {}", answer.text());
    let place = format!("{method} {template} {status}");
    check_headers(&place, described, answer);
    // Only a readable body is checked: HEAD has none, a stream's comes later, and a killed Worker's is cut off.
    if let (400.., Ok(body)) = (status, serde_json::from_slice::<Value>(&answer.body)) {
        let examples = described["content"]["application/json"]["examples"].as_object().unwrap();
        let codes: BTreeSet<_> = examples.values().map(|example| code_of(&resolved(example)["value"])).collect();
        assert!(codes.contains(&code_of(&body)), "{place} is not said to be {body}");
    }
}

/// Returns whether a path matches a template. Ids have prefixes, and no owner has the name of a path segment, so at
/// most one template of a method matches.
fn matches_template(path: &str, template: &str) -> bool {
    let matches_template = |(segment, wanted): (&str, &str)| match wanted {
        "{job_id}" => segment.starts_with("pred_"),
        "{batch_id}" => segment.starts_with("batch_"),
        "{file_id}" => segment.starts_with("file_"),
        "{owner}" => !["models", "predictions"].contains(&segment),
        _ => segment == wanted || wanted.starts_with('{'),
    };
    path.split('/').count() == template.split('/').count()
        && path.split('/').zip(template.split('/')).all(matches_template)
}

fn check_headers(place: &str, described: &Value, answer: &Response) {
    let empty = serde_json::Map::new();
    let headers = described["headers"].as_object().unwrap_or(&empty);
    for (name, header) in headers {
        let is_there = answer.header(name).is_some() || resolved(header)["required"] != true;
        assert!(is_there, "{place} is said to have {name}: {:?}", answer.headers);
    }
    for name in EXPOSED_HEADERS.split(", ") {
        assert!(answer.header(name).is_none() || headers.contains_key(name), "{place} is not said to have {name}");
    }
    let known: Vec<_> = described["content"].as_object().unwrap_or(&empty).keys().map(String::as_str).collect();
    let sent = answer.header("content-type").and_then(|sent| sent.split(';').next());
    assert!(sent.map_or(known.is_empty(), |sent| known.contains(&sent)), "{place} is said to be {known:?}: {sent:?}");
}

fn resolved(value: &Value) -> &Value {
    value["$ref"].as_str().map_or(value, |target| DOCUMENT.pointer(target.trim_start_matches('#')).unwrap())
}

fn code_of(body: &Value) -> Option<&str> {
    body["error"]["code"].as_str().or_else(|| body["error"].as_str())
}
