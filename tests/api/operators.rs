//! The operator's API: who may use it, and its audit log.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, now, shared, token, user};
use crate::http::Request;
use crate::identity::{LOGIN, PUBLIC_URL, STAFF, SigningKey, settings, token_of};
use crate::steps::assert_refused;

const AUDIT: &str = "/admin/api/audit";
const REVOCATIONS: &str = "/admin/api/revocations";
const ASSERTION: &str = "Cf-Access-Jwt-Assertion";

fn stack() -> Stack {
    let settings = settings(&[&SigningKey::new("k1")]);
    Stack::start(&Options { settings, is_observed: true, ..Options::default() })
}

fn staff(name: &str) -> String {
    token_of(STAFF, name, &json!({}))
}

fn revoke_all(time: i64) -> Request {
    Request::post(REVOCATIONS).json(&json!({"issued_by": time}))
}

/// Returns the audit log's rows, the latest first.
fn audit(stack: &Stack) -> Vec<Value> {
    let answer = stack.get(&staff("viewer"), AUDIT);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

#[test]
fn without_an_issuer_of_operators_all_of_it_is_404() {
    let stack = shared();
    let token = token(&user("nobody"));
    let unknown = Request::get("/admin/api/unknown");
    let page = ["/admin", "/admin/", "/admin/admin.js", "/admin/icon.svg"].map(Request::get);
    for request in [Request::get(AUDIT), revoke_all(5), Request::post(AUDIT), unknown].into_iter().chain(page) {
        assert_refused(&stack.send(&request.bearer(&token)), 404, "not_found_error", "not_found");
    }
}

#[test]
fn the_state_says_who_asks_and_with_which_rights() {
    let stack = stack();
    let asks = |token: &str| stack.get(token, "/admin/api/state").json()["operator"].clone();
    assert_eq!(asks(&staff("boss")), json!({"name": "boss", "rights": ["read", "write"]}));
    assert_eq!(asks(&staff("viewer")), json!({"name": "viewer", "rights": ["read"]}));
    // The rights of the subject and of the address add up, and the name is that of the audit log.
    let both = token_of(STAFF, "viewer", &json!({"email": "boss@staff.example", "email_verified": true}));
    assert_eq!(asks(&both), json!({"name": "boss@staff.example", "rights": ["read", "write"]}));
}

/// No page may frame it or get a handle to it, it loads and calls nothing but this Worker, and no text becomes markup.
#[test]
fn the_operators_page_is_public_and_locked_down() {
    let stack = stack();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                  trusted-types 'none'";
    for (path, content_type) in [
        ("/admin", "text/html; charset=utf-8"),
        ("/admin/", "text/html; charset=utf-8"),
        ("/admin/admin.js", "text/javascript; charset=utf-8"),
        ("/admin/admin.css", "text/css; charset=utf-8"),
        ("/admin/icon.svg", "image/svg+xml"),
    ] {
        let answer = stack.send(&Request::get(path));
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in [
            ("content-type", content_type),
            ("content-security-policy", policy),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
    assert_refused(&stack.send(&Request::get("/admin/index.html")), 404, "not_found_error", "not_found");
    assert_refused(&stack.send(&Request::post("/admin/")), 405, "invalid_request_error", "method_not_allowed");
}

#[test]
fn an_operator_needs_the_right_of_the_route() {
    let stack = stack();
    let forbidden = |request: Request| {
        assert_refused(&stack.send(&request), 403, "permission_error", "insufficient_permissions");
    };
    forbidden(revoke_all(5).bearer(&staff("viewer")));
    forbidden(Request::get(AUDIT).bearer(&staff("stranger")));
    let writer = token_of(STAFF, "x", &json!({"email": "boss@staff.example", "email_verified": true}));
    forbidden(Request::get(AUDIT).bearer(&writer));
    assert_eq!(stack.send(&revoke_all(5).bearer(&writer)).status, 204);
    assert_refused(&stack.send(&Request::get(AUDIT)), 401, "authentication_error", "missing_token");
    let user = token(&user("user"));
    assert_refused(&stack.get(&user, AUDIT), 401, "authentication_error", "invalid_token");
    let wrong = stack.get(&staff("boss"), "/admin/api/audit?cursor=x");
    assert_refused(&wrong, 400, "invalid_request_error", "invalid_parameter");
}

#[test]
fn an_assertion_of_access_reads_and_writes_only_from_our_own_page() {
    let stack = stack();
    let assertion = staff("boss");
    assert_eq!(stack.send(&Request::get(AUDIT).header(ASSERTION, &assertion)).status, 200);
    let write = || revoke_all(5).header(ASSERTION, &assertion);
    let marked = || write().header("X-Valetkey-Admin", "1");
    for refused in [
        write(),
        marked(),
        write().header("Origin", PUBLIC_URL),
        write().header("Origin", PUBLIC_URL).header("X-Valetkey-Admin", "yes"),
        marked().header("Origin", "https://evil.example"),
        marked().header("Origin", "null"),
    ] {
        assert_refused(&stack.send(&refused), 403, "permission_error", "origin_not_allowed");
    }
    assert_eq!(audit(&stack), Vec::<Value>::new(), "nothing was done");
    assert_eq!(stack.send(&marked().header("Origin", PUBLIC_URL)).status, 204);
    assert_eq!(audit(&stack).len(), 1);
    // It is verified like any other token.
    let foreign = token_of(LOGIN, "boss", &json!({}));
    for bad in ["", "x", &foreign] {
        let refused = stack.send(&Request::get(AUDIT).header(ASSERTION, bad));
        assert_refused(&refused, 401, "authentication_error", "invalid_token");
    }
}

#[test]
fn a_bearer_wins_over_an_assertion_beside_it() {
    let stack = stack();
    let both = |bearer: &str, assertion: &str| stack.send(&revoke_all(5).bearer(bearer).header(ASSERTION, assertion));
    assert_eq!(both(&staff("boss"), "broken").status, 204);
    let answer = both(&staff("viewer"), &staff("boss"));
    assert_refused(&answer, 403, "permission_error", "insufficient_permissions");
    let answer = both("broken", &staff("boss"));
    assert_refused(&answer, 401, "authentication_error", "invalid_token");
}

#[test]
fn every_write_is_in_the_audit_log_with_its_result() {
    let mut stack = stack();
    let boss = staff("boss");
    let user = json!({"issuer": LOGIN, "subject": "u1"});
    let request_id = |body: &Value, status| {
        let answer = stack.send(&Request::post(REVOCATIONS).bearer(&boss).json(body));
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.header("x-request-id").unwrap().to_owned()
    };
    let all = request_id(&json!({"issued_by": 5}), 204);
    let one = request_id(&user, 204);
    // A request that is refused before the action is not an action.
    request_id(&json!({"issuer": "unknown", "subject": "u1"}), 400);
    let rows = audit(&stack);
    let target = valetkey::types::ids::UserKey::new(LOGIN, "u1");
    let expected = [("revoke_user", json!(target.as_str()), one), ("revoke_all", Value::Null, all)];
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for (row, (action, target, request_id)) in rows.iter().zip(&expected) {
        assert_eq!((row["issuer"].as_str(), row["operator"].as_str()), (Some(STAFF), Some("boss")));
        assert_eq!((&row["action"], &row["target"]), (&json!(action), target));
        assert_eq!((&row["request_id"], &row["result"]), (&json!(request_id), &json!("ok")));
        assert!(row["time"].as_str().unwrap().ends_with('Z'));
    }
    // In pages, and it survives a restart.
    let first = stack.get(&boss, "/admin/api/audit?limit=1").json();
    let next = stack.get(&boss, &format!("/admin/api/audit?limit=1&cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!((&first["data"][0], &next.json()["data"][0]), (&rows[0], &rows[1]));
    stack.restart_workerd();
    assert_eq!(audit(&stack), rows);
}

#[test]
fn an_action_that_cannot_be_recorded_is_not_done() {
    let stack = stack();
    let token = token(&user("spared"));
    assert_eq!(stack.get(&token, "/v1/predictions").status, 200);
    stack.lose_messages("begin_action");
    let answer = stack.send(&revoke_all(now()).bearer(&staff("boss")));
    assert_refused(&answer, 503, "api_error", "limiter_unavailable");
    stack.lose_no_messages();
    assert_eq!(stack.get(&token, "/v1/predictions").status, 200);
    assert_eq!(audit(&stack), Vec::<Value>::new());
    // Without its result, the record stays, and says that the result is not known.
    stack.lose_messages("finish_action");
    assert_eq!(stack.send(&revoke_all(5).bearer(&staff("boss"))).status, 204);
    stack.lose_no_messages();
    let rows = audit(&stack);
    assert_eq!((&rows[0]["action"], &rows[0]["result"]), (&json!("revoke_all"), &Value::Null));
}
