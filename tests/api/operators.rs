//! The operator's API: who may use it, and its audit log.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;
use valetkey::types::time::UnixSeconds;

use crate::harness::{ISSUER, Options, Stack, now, root, shared, token, user};
use crate::http::Request;
use crate::identity::{LOGIN, PUBLIC_URL, STAFF, SigningKey, settings, token_of};
use crate::steps::{assert_refused, job_id};
use crate::stored::{damage, stored};

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
    let target = UserKey::new(LOGIN, "u1");
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

/// An operation of the API.
struct Operation {
    method: &'static str,
    path: &'static str,
    body: Option<Value>,
    /// Its name in the audit log, if it writes.
    action: Option<&'static str>,
}

/// Returns every operation, those that read first. The last one deletes the user.
fn operations(subject: &str) -> Vec<Operation> {
    let name = json!({"issuer": ISSUER, "subject": subject});
    let limits = json!({"max_files": 3, "expires_at": UnixSeconds(now() + 3_600).millis().to_rfc3339()});
    let read = |method, path, body| Operation { method, path, body, action: None };
    let write = |method, path, body, action| Operation { method, path, body, action: Some(action) };
    vec![
        read("GET", AUDIT, None),
        read("GET", "/admin/api/state", None),
        read("GET", "/admin/api/spend", None),
        read("GET", "/admin/api/refusals", None),
        read("POST", "/admin/api/users/lookup", Some(name.clone())),
        read("GET", "/admin/api/users/{user}", None),
        write("PUT", "/admin/api/users/{user}/override", Some(limits), "set_limits"),
        write("DELETE", "/admin/api/users/{user}/override", None, "remove_limits"),
        write("POST", "/admin/api/users/{user}/cancel", None, "cancel_user"),
        write("POST", "/admin/api/pause", Some(json!({"for_secs": 60})), "pause"),
        write("POST", "/admin/api/resume", Some(json!({"id": "pause_01jh0000000000000000000000"})), "resume"),
        write("POST", "/admin/api/jobs/{job_id}/release", None, "release"),
        write("POST", REVOCATIONS, Some(name), "revoke_user"),
        write("DELETE", "/admin/api/users/{user}", None, "delete_user"),
    ]
}

impl Operation {
    fn request(&self, user: &UserKey, job_id: &str) -> Request {
        let target = self.path.replace("{user}", user.as_str()).replace("{job_id}", job_id);
        let request = Request::new(self.method, &target);
        self.body.iter().fold(request, |request, body| request.json(body))
    }
}

#[test]
fn the_tests_know_every_operation() {
    let text = fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/admin/api/"));
    let documented: BTreeSet<String> = paths
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    let known = operations("nobody").iter().map(|it| format!("{} {}", it.method.to_lowercase(), it.path)).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_operation_is_closed_to_whoever_lacks_its_right() {
    let stack = stack();
    let name = user("somebody");
    let good = token(&name);
    let id = job_id(&stack.create(&good));
    for operation in operations(&name) {
        let request = operation.request(&UserKey::new(ISSUER, &name), &id);
        let send = |token: &str| stack.send(&request.clone().bearer(token));
        assert_refused(&stack.send(&request), 401, "authentication_error", "missing_token");
        assert_refused(&send(&good), 401, "authentication_error", "invalid_token");
        assert_refused(&send(&staff("stranger")), 403, "permission_error", "insufficient_permissions");
        match operation.action {
            Some(_) => assert_refused(&send(&staff("viewer")), 403, "permission_error", "insufficient_permissions"),
            None => assert_eq!(send(&staff("viewer")).status, 200, "{}", operation.path),
        }
        let off = shared().send(&request.clone().bearer(&staff("boss")));
        assert_refused(&off, 404, "not_found_error", "not_found");
    }
    assert_eq!(audit(&stack), Vec::<Value>::new());
    assert_eq!(stack.get(&good, &format!("/v1/predictions/{id}")).status, 200);
}

#[test]
fn every_write_is_recorded_first_or_not_done() {
    let stack = stack();
    let name = user("target");
    let (good, key) = (token(&name), UserKey::new(ISSUER, &name));
    let id = job_id(&stack.create(&good));
    stack.ended(&good, &id);
    let all = operations(&name);
    let writes: Vec<_> =
        all.iter().filter_map(|operation| Some((operation.request(&key, &id), operation.action?))).collect();
    let send = |request: &Request| stack.send(&request.clone().bearer(&staff("boss")));
    stack.lose_messages("begin_action");
    for (request, _) in &writes {
        assert_refused(&send(request), 503, "api_error", "limiter_unavailable");
    }
    stack.lose_no_messages();
    assert_eq!(audit(&stack), Vec::<Value>::new());
    assert_eq!(stack.get(&staff("viewer"), "/admin/api/state").json()["pauses"], json!([]));
    let export = stack.get(&staff("viewer"), &format!("/admin/api/users/{}", key.as_str())).json();
    assert_eq!((&export["override"], &export["predictions"][0]["job_id"]), (&Value::Null, &json!(id)));
    assert_eq!(stack.get(&good, "/v1/predictions").status, 200, "no token is revoked");
    let request_ids: Vec<String> =
        writes.iter().map(|(request, _)| send(request).header("x-request-id").unwrap().to_owned()).collect();
    let rows = audit(&stack);
    assert_eq!(rows.len(), writes.len());
    for (row, ((_, action), request_id)) in rows.iter().rev().zip(writes.iter().zip(&request_ids)) {
        // The prediction has ended: it holds no slot that could be freed.
        let result = if *action == "release" { "refused" } else { "ok" };
        let shown = (&row["action"], &row["result"], &row["request_id"], &row["operator"]);
        assert_eq!(shown, (&json!(action), &json!(result), &json!(request_id), &json!("boss")));
        let text = row.to_string();
        assert!(!text.contains(&name) && !text.contains("eyJ") && !text.contains("a test"), "{text}");
    }
}

#[test]
fn the_audit_log_keeps_400_days_and_10_000_rows() {
    let mut stack = stack();
    assert_eq!(stack.send(&revoke_all(5).bearer(&staff("boss"))).status, 204);
    stack.kill_workerd();
    let first_kept = (now() - 400 * 86_400) * 1_000;
    let row = |id: u32, at: i64| format!("({id}, 'r{id}', {at}, '{{}}')");
    let old: Vec<String> = (1..=5).map(|id| row(id, first_kept - 60_000)).collect();
    let kept = row(6, first_kept + 600_000);
    damage(
        &stack,
        &format!("DELETE FROM audit; INSERT INTO audit (id, request_id, at, doc) VALUES {}, {kept}", old.join(", ")),
    );
    stack.start_workerd_again();
    // Two with the cron's tick, and two with an action.
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    assert_eq!(stack.send(&revoke_all(5).bearer(&staff("boss"))).status, 204);
    let ids = |stack: &Stack| stored(stack, "SELECT id FROM audit ORDER BY id");
    stack.kill_workerd();
    assert_eq!(ids(&stack), json!([{"id": 5}, {"id": 6}, {"id": 7}]));
    stack.start_workerd_again();
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    stack.kill_workerd();
    assert_eq!(ids(&stack), json!([{"id": 6}, {"id": 7}]), "a row of 400 days stays");
    let many = "WITH RECURSIVE numbers(n) AS (SELECT 8 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10005)";
    damage(
        &stack,
        &format!(
            "{many} INSERT INTO audit (id, request_id, at, doc) SELECT n, 'r' || n, {}, '{{}}' FROM numbers",
            now() * 1_000
        ),
    );
    stack.start_workerd_again();
    assert_eq!(stack.send(&revoke_all(5).bearer(&staff("boss"))).status, 204);
    stack.kill_workerd();
    let counted = stored(&stack, "SELECT COUNT(*) AS count, MIN(id) AS first, MAX(id) AS last FROM audit");
    assert_eq!(counted, json!([{"count": 10_000, "first": 7, "last": 10_006}]));
}
