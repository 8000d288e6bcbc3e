//! Requests of operators about one user: look up, export, own limits, cancel, delete.

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;
use valetkey::types::time::{UnixMillis, UnixSeconds};

use crate::harness::{ISSUER, Options, Stack, VENDOR_KEY, now, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::steps::{assert_refused, create_of, job_id, wait_until};
use crate::stored::{run_sql, stored};

const USERS: &str = "/admin/api/users";

/// Returns a stack with one slot, whose predictions end when the test says so.
fn stack() -> Stack {
    let mut settings = settings(&[&SigningKey::new("k1")]);
    let (_, policy) = settings.iter_mut().find(|(name, _)| *name == "POLICY").unwrap();
    let mut parsed: Value = serde_json::from_str(policy.as_deref().unwrap()).unwrap();
    parsed["key"]["concurrent_predictions"] = json!(1);
    *policy = Some(parsed.to_string());
    let stack = Stack::start(&Options { settings, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

fn key_of(subject: &str) -> String {
    UserKey::new(ISSUER, subject).as_str().to_owned()
}

fn staff(name: &str) -> String {
    token_of(STAFF, name, &json!({}))
}

fn act(stack: &Stack, method: &str, user: &str, path: &str) -> Response {
    stack.send(&Request::new(method, &format!("{USERS}/{user}{path}")).bearer(&staff("boss")))
}

fn export(stack: &Stack, user: &str, query: &str) -> Value {
    let answer = stack.get(&staff("viewer"), &format!("{USERS}/{user}{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn limit(stack: &Stack, user: &str, limits: &Value) -> Response {
    stack.send(&Request::new("PUT", &format!("{USERS}/{user}/override")).bearer(&staff("boss")).json(limits))
}

fn in_an_hour() -> String {
    UnixSeconds(now() + 3_600).millis().to_rfc3339()
}

fn upload(stack: &Stack, token: &str) -> Response {
    stack.send(&Request::post("/v1/files").bearer(token).header("Content-Type", "image/png").body(b"\x89PNG"))
}

/// Returns a token that was issued three seconds from now: after whatever happens now.
fn later_token(subject: &str) -> String {
    token_with(subject, json!({"iat": now() + 3}))
}

#[test]
fn a_user_is_looked_up_by_issuer_and_subject() {
    let stack = stack();
    let known = user("known");
    assert_eq!(stack.prompt(&token(&known), "p").status, 201);
    let look_up =
        |body: &Value| stack.send(&Request::post(&format!("{USERS}/lookup")).bearer(&staff("viewer")).json(body));
    for (subject, is_known) in [(known.clone(), true), (user("unknown"), false)] {
        let found = look_up(&json!({"issuer": ISSUER, "subject": subject}));
        assert_eq!((found.status, found.json()), (200, json!({"user": key_of(&subject), "known": is_known})));
    }
    for (body, details) in [
        (json!({"issuer": "https://other.example", "subject": "s"}), json!({"param": "issuer", "rule": "enum"})),
        (json!({"issuer": ISSUER}), json!({"param": "subject", "rule": "required"})),
        (json!({"subject": "s"}), json!({"param": "issuer", "rule": "required"})),
        (json!({"issuer": ISSUER, "subject": 1}), json!({"param": "subject", "rule": "type", "allowed": "string"})),
    ] {
        let refused = look_up(&body);
        assert_refused(&refused, 400, "invalid_request_error", "invalid_parameter");
        assert_eq!(refused.json()["error"]["details"], details);
    }
    let more = look_up(&json!({"issuer": ISSUER, "subject": "s", "jti": "j"}));
    assert_refused(&more, 400, "invalid_request_error", "unsupported_parameter");
    let form = Request::post(&format!("{USERS}/lookup")).bearer(&staff("viewer")).body(b"issuer=x");
    assert_refused(&stack.send(&form), 415, "invalid_request_error", "unsupported_media_type");
}

#[test]
fn nobody_acts_on_an_unknown_user_or_without_the_right() {
    let stack = stack();
    let unknown = key_of(&user("unknown"));
    let limits = json!({"expires_at": in_an_hour()});
    let path = format!("{USERS}/{unknown}");
    let writes = [
        Request::new("PUT", &format!("{path}/override")).json(&limits),
        Request::new("DELETE", &format!("{path}/override")),
        Request::post(&format!("{path}/cancel")),
        Request::new("DELETE", &path),
    ];
    for request in writes {
        let by_viewer = stack.send(&request.clone().bearer(&staff("viewer")));
        assert_refused(&by_viewer, 403, "permission_error", "insufficient_permissions");
        assert_refused(&stack.send(&request.bearer(&staff("boss"))), 404, "not_found_error", "not_found");
    }
    assert_refused(&stack.get(&staff("viewer"), &path), 404, "not_found_error", "not_found");
    assert_refused(&stack.get(&staff("stranger"), &path), 403, "permission_error", "insufficient_permissions");
    let wrong = stack.get(&staff("viewer"), &format!("{path}?cursor=x"));
    assert_refused(&wrong, 400, "invalid_request_error", "invalid_parameter");
    let wrong = stack.get(&staff("viewer"), &format!("{path}?page=2"));
    assert_refused(&wrong, 400, "invalid_request_error", "unsupported_parameter");
    stack.kill_workerd();
    let ledgers = run_sql(&stack, "ledger", "", "SELECT COUNT(*) AS count FROM marks");
    assert_eq!(ledgers.lines().count(), 2, "those of the two operators with a right, and no other: {ledgers}");
}

#[test]
fn an_export_has_all_that_is_stored_in_pages() {
    let stack = stack();
    let name = user("exported");
    let (good, key) = (token(&name), key_of(&name));
    let file = upload(&stack, &good).json()["file_id"].as_str().unwrap().to_owned();
    let running = job_id(&stack.prompt(&good, "running"));
    stack.assert_sent(&["running"]);
    let waiting = job_id(&stack.prompt(&good, "waiting"));
    let page = export(&stack, &key, "");
    assert_eq!((&page["user"], &page["next_cursor"]), (&json!(key), &Value::Null));
    let shown = &page["predictions"];
    assert_eq!((&shown[0]["job_id"], &shown[1]["job_id"]), (&json!(waiting), &json!(running)));
    assert_eq!(shown[0]["input"], json!({"prompt": "waiting"}));
    assert_eq!(shown[1]["input"], Value::Null, "the vendor has it: it is not stored any more");
    assert_eq!((&shown[1]["status"], &shown[1]["credits_reserved"]), (&json!("processing"), &json!("2.5")));
    assert_eq!((&page["files"][0]["file_id"], page["files"].as_array().unwrap().len()), (&json!(file), 1));
    assert_eq!((&page["usage"][0]["predictions"], &page["usage"][0]["credits_reserved"]), (&json!(2), &json!("5")));
    assert_eq!((&page["revocations"], &page["override"]), (&json!({"issued_by": null, "tokens": []}), &Value::Null));
    // Page by page: the predictions, then the files.
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = export(&stack, &key, &format!("?limit=1{cursor}"));
        for rows in ["predictions", "files"] {
            let name = if rows == "files" { "file_id" } else { "job_id" };
            ids.extend(page[rows].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap().to_owned()));
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, [waiting, running, file]);
    // Neither the vendor's ids nor keys.
    let state = stack.control_get("/state").to_string();
    let text = page.to_string();
    let vendor_ids: Vec<&str> = state.split('"').filter(|word| word.starts_with("file_") || word.len() > 20).collect();
    for secret in vendor_ids.into_iter().chain([VENDOR_KEY, "vendor_id"]) {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn limits_of_a_users_own_replace_the_plans_until_they_expire() {
    let stack = stack();
    let name = user("limited");
    let (good, key) = (token(&name), key_of(&name));
    assert_eq!(stack.prompt(&good, "first").status, 201);
    let plan = stack.get(&good, "/v1/account").json()["limits"].clone();
    let mut limits = json!({"requests_per_minute": 50, "predictions_per_minute": 2, "concurrent_predictions": 1,
        "max_waiting": 1, "daily_credits": "5", "max_files": 0, "max_file_bytes": 10, "expires_at": in_an_hour()});
    assert_eq!(limit(&stack, &key, &limits).status, 204);
    assert_eq!(export(&stack, &key, "")["override"], limits);
    let account = stack.get(&good, "/v1/account");
    limits.as_object_mut().unwrap().remove("expires_at");
    assert_eq!(account.json()["limits"], limits);
    assert_eq!((account.header("x-ratelimit-limit"), &account.json()["credits_balance"]), (Some("50"), &json!("2.5")));
    assert_refused(&upload(&stack, &good), 403, "permission_error", "file_limit_reached");
    assert_eq!(stack.prompt(&good, "second").status, 202);
    assert_refused(&stack.prompt(&good, "third"), 429, "rate_limit_error", "rate_limited");
    // It is stored, and the models stay the plan's.
    stack.evict_ledger(&name);
    assert_refused(&stack.prompt(&good, "third"), 429, "rate_limit_error", "rate_limited");
    assert_eq!(act(&stack, "DELETE", &key, "/override").status, 204);
    assert_eq!(stack.get(&good, "/v1/account").json()["limits"], plan);
    assert_eq!(stack.prompt(&good, "third").status, 202);
    for (body, code) in [
        (json!({"expires_at": "2999-01-01T00:00:00Z"}), "invalid_parameter"),
        (json!({"max_files": 1}), "invalid_parameter"),
        (json!({"expires_at": in_an_hour(), "models": ["*"]}), "unsupported_parameter"),
    ] {
        assert_refused(&limit(&stack, &key, &body), 400, "invalid_request_error", code);
    }
    // A limit that has expired does not count.
    let soon = UnixMillis((now() + 2) * 1_000).to_rfc3339();
    assert_eq!(limit(&stack, &key, &json!({"daily_credits": "0", "expires_at": soon})).status, 204);
    assert_refused(&stack.prompt(&good, "fourth"), 402, "payment_error", "insufficient_credits");
    wait_until("the limit expires", || (stack.prompt(&good, "fourth").status == 202).then_some(()));
}

#[test]
fn a_cancel_ends_all_that_waits_or_runs() {
    let stack = stack();
    let (name, other) = (user("canceled"), token(&user("other")));
    let (good, key) = (token(&name), key_of(&name));
    let running = job_id(&stack.prompt(&good, "running"));
    stack.assert_sent(&["running"]);
    let waiting = [job_id(&stack.prompt(&good, "a")), job_id(&stack.prompt(&good, "b"))];
    let of_other = job_id(&stack.prompt(&other, "of other"));
    assert_eq!(act(&stack, "POST", &key, "/cancel").status, 204);
    for id in waiting {
        assert_eq!(stack.get(&good, &format!("/v1/predictions/{id}")).json()["status"], "canceled");
    }
    assert_eq!(stack.ended(&good, &running)["status"], "canceled");
    stack.until(&other, &of_other, |prediction| prediction["status"] == "processing");
    assert_eq!(act(&stack, "POST", &key, "/cancel").status, 204, "nothing is left to cancel");
    // A token of the user still works.
    assert_eq!(stack.prompt(&good, "again").status, 202);
}

#[test]
fn a_deleted_user_leaves_nothing_but_what_runs_and_that_is_settled() {
    let mut stack = stack();
    let name = user("deleted");
    let key = key_of(&name);
    let good = token_with(&name, json!({"iat": now() - 5, "jti": "canary-jti", "vk": {"max_predictions": 9}}));
    let ended = stack.send(&create_of(&good, "canary prompt").header("Idempotency-Key", "canary-key"));
    stack.finish("canary prompt", &json!({"status": "succeeded"}));
    stack.ended(&good, &job_id(&ended));
    let file = upload(&stack, &good).json()["file_id"].as_str().unwrap().to_owned();
    let running = job_id(&stack.prompt(&good, "running canary"));
    wait_until("it runs", || (stack.sent().len() == 2).then_some(()));
    let waiting = job_id(&stack.prompt(&good, "waiting canary"));
    let spend = |stack: &Stack, by: &str| {
        stack.get(&staff("viewer"), &format!("/admin/api/spend?by={by}")).json()["data"].clone()
    };
    assert_eq!(spend(&stack, "user"), json!([{"user": key, "credits": "2.5", "predictions": 1}]));
    assert_eq!(act(&stack, "DELETE", &key, "").status, 204);
    // Every token issued by now is refused, and a new one sees nothing.
    assert_refused(&stack.get(&good, "/v1/predictions"), 401, "authentication_error", "invalid_token");
    let later = later_token(&name);
    assert_eq!(stack.get(&later, "/v1/predictions").json()["data"], json!([]));
    for target in [&format!("/v1/predictions/{running}"), &format!("/v1/predictions/{waiting}")] {
        assert_refused(&stack.get(&later, target), 404, "not_found_error", "not_found");
    }
    let cancel = Request::post(&format!("/v1/predictions/{running}/cancel")).bearer(&later);
    assert_refused(&stack.send(&cancel), 404, "not_found_error", "not_found");
    assert_refused(&stack.get(&later, &format!("/v1/files/{file}")), 404, "not_found_error", "not_found");
    assert_eq!(stack.get(&later, "/v1/files").json()["data"], json!([]));
    let left = export(&stack, &key, "");
    assert_eq!((&left["predictions"], &left["files"]), (&json!([]), &json!([])));
    assert!(left["revocations"]["issued_by"].is_string(), "{left}");
    // The running prediction goes on, and is settled for nobody. The waiting one was never sent.
    stack.restart_workerd();
    stack.finish("running canary", &json!({"status": "succeeded"}));
    let settled = wait_until("the settlement", || {
        let rows = spend(&stack, "user");
        (rows[0]["predictions"] == 3).then_some(rows)
    });
    assert_eq!(settled, json!([{"user": null, "credits": "5", "predictions": 3}]));
    assert_eq!(stack.sent(), ["canary prompt", "running canary"]);
    let usage = wait_until("the Ledger is told", || {
        let usage = stack.usage(&later);
        (usage["credits_reserved"] == "0").then_some(usage)
    });
    assert_eq!(usage["credits_spent"], "5", "the day's credits are not spent twice");
    // The file is deleted at the vendor once the Ledger's alarm has handed it over.
    stack.kill_workerd();
    let rows =
        |class: &str, table: &str, column: &str| run_sql(&stack, class, "", &format!("SELECT {column} FROM {table}"));
    let texts = [
        rows("ledger", "predictions", "doc"),
        rows("ledger", "marks", "name || doc AS text"),
        rows("dispatcher", "jobs", "doc"),
        rows("dispatcher", "inputs", "doc"),
        rows("dispatcher", "outbox", "doc"),
    ];
    for text in texts {
        for canary in ["canary prompt", "running canary", "waiting canary", "canary-key", "outputs/"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    let forgotten = run_sql(&stack, "ledger", "", "SELECT COUNT(*) AS count FROM files WHERE used_on > 0");
    assert!(forgotten.lines().all(|line| line == r#"[{"count":0}]"#), "{forgotten}");
    let jti = run_sql(&stack, "ledger", "", "SELECT jti FROM jti");
    assert!(jti.contains("canary-jti"), "what a token has spent stays for 48 hours: {jti}");
    let of_user = stored(&stack, &format!("SELECT COUNT(*) AS count FROM spend WHERE user = '{key}'"));
    assert_eq!(of_user, json!([{"count": 0}]));
}

#[test]
fn a_user_whose_ledger_is_gone_is_deleted_from_spend() {
    let stack = stack();
    let gone = key_of(&user("gone"));
    let spent = json!({"operator": {"spend": {"by": {"day": false, "model": false, "plan": false, "user": true},
        "from": 0, "to": 99_999, "limit": 9}}});
    assert_eq!(stack.prompt(&token(&user("maker")), "p").status, 201);
    stack.kill_workerd();
    crate::stored::damage(&stack, &format!("INSERT INTO spend VALUES (20000, 'p', 'm', '{gone}', 5, 1)"));
    let mut stack = stack;
    stack.start_workerd_again();
    assert_eq!(act(&stack, "DELETE", &gone, "").status, 204);
    let rows = stack.send_to_object("DISPATCHER", "main", &spent)["operator"]["spend"].clone();
    assert_eq!((&rows[0]["user"], &rows[0]["credits"]), (&json!(""), &json!(5)));
}

#[test]
fn no_key_token_or_prompt_is_in_what_operators_read() {
    let stack = stack();
    let name = user("canary-subject");
    let (good, key) = (token(&name), key_of(&name));
    let canary = job_id(&stack.prompt(&good, "canary prompt"));
    stack.finish("canary prompt", &json!({"status": "succeeded"}));
    stack.ended(&good, &canary);
    assert_eq!(stack.get(&good, "/canary?token=canary-query").status, 404);
    assert_eq!(limit(&stack, &key, &json!({"max_files": 3, "expires_at": in_an_hour()})).status, 204);
    assert_eq!(act(&stack, "POST", &key, "/cancel").status, 204);
    let revocation = json!({"issuer": ISSUER, "subject": name});
    let revoked = Request::post("/admin/api/revocations").bearer(&staff("boss")).json(&revocation);
    assert_eq!(stack.send(&revoked).status, 204);
    assert_eq!(act(&stack, "DELETE", &key, "").status, 204);
    let read = |target: &str| stack.get(&staff("viewer"), target).text();
    let mut texts: Vec<String> =
        ["spend?by=day,model,plan,user", "spend?by=user&format=csv", "refusals", "audit", "state"]
            .map(|target| read(&format!("/admin/api/{target}")))
            .into();
    let actions = ["delete_user", "revoke_user", "cancel_user", "set_limits"];
    assert!(actions.iter().all(|action| texts[3].contains(action)), "{}", texts[3]);
    stack.kill_workerd();
    for table in ["audit", "spend", "refusals"] {
        texts.push(stored(&stack, &format!("SELECT * FROM {table}")).to_string());
    }
    for text in texts {
        for secret in [VENDOR_KEY, "canary", &good, &staff("boss"), "eyJ"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
