//! CORS for exact origins, on every response.

use serde_json::json;

use crate::harness::{MODEL, Options, Stack, shared, token, user};
use crate::http::{Request, Response};
use crate::identity::{SigningKey, settings};

const APP: &str = "https://app.example";

fn cors_headers(answer: &Response) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.to_ascii_lowercase().starts_with("access-control-")).collect()
}

#[test]
fn a_preflight_needs_no_token_and_costs_nothing() {
    let stack = shared();
    let before = stack.vendor_requests().len();
    let answer = stack.send(
        &Request::new("OPTIONS", MODEL)
            .header("Origin", APP)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type"),
    );
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    let headers = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for name in [
        "authorization",
        "dpop",
        "content-type",
        "idempotency-key",
        "prefer",
        "last-event-id",
        "x-request-id",
        "x-firebase-appcheck",
    ] {
        assert!(headers.split(", ").any(|listed| listed == name), "{name}");
    }
    assert!(answer.header("access-control-allow-methods").unwrap().contains("DELETE"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert!(stack.vendor_requests().len() - before < 50, "polls of other tests at most");
}

#[test]
fn responses_and_errors_carry_cors_headers_for_a_listed_origin() {
    let (stack, token) = (shared(), token(&user("cors")));
    let body = json!({"input": {"prompt": "p"}});
    let requests = [
        (Request::post(MODEL).bearer(&token).json(&body), 201),
        (Request::get("/v1/predictions").bearer(&token), 200),
        (Request::get("/v1/predictions"), 401),
        (Request::get("/v1/nothing").bearer(&token), 404),
        (Request::new("PUT", MODEL), 405),
        (Request::post(MODEL).bearer(&token).body("x"), 415),
    ];
    for (request, status) in requests {
        let answer = stack.send(&request.header("Origin", APP));
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{status}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["X-Request-Id", "Retry-After", "Location", "WWW-Authenticate", "X-RateLimit-Limit"] {
            assert!(exposed.contains(name));
        }
    }
}

#[test]
fn an_origin_that_is_not_listed_gets_no_cors_headers() {
    let (stack, token) = (shared(), token(&user("cors")));
    for origin in [
        "https://evil.example",
        "null",
        "https://APP.EXAMPLE",
        "https://app.example.evil.example",
        "http://app.example",
    ] {
        for request in [Request::get("/v1/predictions").bearer(&token), Request::new("OPTIONS", MODEL)] {
            let answer = stack.send(&request.header("Origin", origin));
            assert_eq!((answer.status, cors_headers(&answer)), (403, Vec::new()), "{origin}");
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    let two = stack.send(
        &Request::get("/v1/predictions").bearer(&token).header("Origin", APP).header("Origin", "https://evil.example"),
    );
    assert_eq!((two.status, cors_headers(&two)), (403, Vec::new()));
}

#[test]
fn health_checks_check_the_origin_like_every_route() {
    let stack = shared();
    for path in ["/healthz", "/readyz"] {
        let allowed = stack.send(&Request::get(path).header("Origin", APP));
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(APP)), "{path}");
        let foreign = stack.send(&Request::get(path).header("Origin", "https://evil.example"));
        assert_eq!((foreign.error().2.as_str(), cors_headers(&foreign)), ("origin_not_allowed", Vec::new()), "{path}");
        let preflight = stack.send(&Request::new("OPTIONS", path).header("Origin", APP));
        assert_eq!(preflight.status, 204, "{path}");
        assert_eq!(stack.send(&Request::new("HEAD", path)).status, 200, "{path}");
    }
}

#[test]
fn an_invalid_configuration_is_reported_to_any_origin() {
    let settings = vec![("DEMO", Some("yes".to_owned()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    for (path, status) in [("/healthz", 200), ("/readyz", 503), ("/v1/predictions", 503)] {
        let answer = stack.send(&Request::get(path).header("Origin", "https://evil.example"));
        assert_eq!((answer.status, cors_headers(&answer)), (status, Vec::new()), "{path}");
    }
}

#[test]
fn a_request_without_an_origin_passes_without_cors_headers() {
    let (stack, token) = (shared(), token(&user("mobile")));
    let answer = stack.get(&token, "/v1/predictions");
    assert_eq!((answer.status, cors_headers(&answer)), (200, Vec::new()));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[test]
fn on_loopback_our_own_origin_is_allowed() {
    let (stack, token) = (shared(), token(&user("own")));
    let own = format!("http://{}", stack.worker);
    let answer = stack.send(&Request::get("/v1/predictions").bearer(&token).header("Origin", &own));
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(&*own)));
}

#[test]
fn on_loopback_every_page_of_localhost_is_allowed_except_to_the_operators_api() {
    let stack = Stack::start(&Options { settings: settings(&[&SigningKey::new("k1")]), ..Options::default() });
    let token = token(&user("local"));
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000"] {
        let answer = stack.send(&Request::get("/v1/predictions").bearer(&token).header("Origin", origin));
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)));
        let preflight = stack.send(&Request::new("OPTIONS", MODEL).header("Origin", origin));
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some(origin)));
        let admin = stack.send(&Request::post("/admin/api/revocations").bearer(&token).header("Origin", origin));
        assert_eq!((admin.error().2.as_str(), cors_headers(&admin)), ("origin_not_allowed", Vec::new()));
    }
    for origin in ["http://127.0.0.2:3000", "http://localhost.evil.example"] {
        let answer = stack.send(&Request::get("/v1/predictions").bearer(&token).header("Origin", origin));
        assert_eq!((answer.status, cors_headers(&answer)), (403, Vec::new()), "{origin}");
    }
}
