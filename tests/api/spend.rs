//! Spend by day, model, plan and user, and refused requests, as operators read them.

use std::time::Duration;

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;
use valetkey::types::time::UnixSeconds;

use crate::harness::{ISSUER, MODEL, Options, Stack, now, token, token_with, user};
use crate::http::{Request, Response};
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::steps::{assert_refused, job_id, wait_until};
use crate::stored::{damage, stored};

const SPEND: &str = "/admin/api/spend";
const REFUSALS: &str = "/admin/api/refusals";
const OTHER_MODEL: &str = "/v1/acme/clip-maker/predictions";

/// Returns settings with a second model of the vendor.
fn with_other_model() -> Vec<(&'static str, Option<String>)> {
    let mut settings = settings(&[&SigningKey::new("k1")]);
    let (_, policy) = settings.iter_mut().find(|(name, _)| *name == "POLICY").unwrap();
    let mut parsed: Value = serde_json::from_str(policy.as_deref().unwrap()).unwrap();
    let mut other = parsed["models"]["acme/model-x"].clone();
    other["credits"] = json!("1");
    parsed["models"]["acme/clip-maker"] = other;
    *policy = Some(parsed.to_string());
    settings
}

fn stack() -> Stack {
    Stack::start(&Options { settings: with_other_model(), is_observed: true, ..Options::default() })
}

fn read(stack: &Stack, target: &str) -> Response {
    stack.get(&token_of(STAFF, "viewer", &json!({})), target)
}

/// Returns the groups of spend.
fn spend(stack: &Stack, query: &str) -> Vec<Value> {
    let answer = read(stack, &format!("{SPEND}?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

fn today() -> String {
    UnixSeconds(now()).millis().utc_day().to_iso_date()
}

/// Returns the state's member about today.
fn state_of_today(stack: &Stack) -> Value {
    read(stack, "/admin/api/state").json()["today"].clone()
}

/// Creates a prediction and waits until it has ended.
fn run(stack: &Stack, token: &str, target: &str, count: u32) {
    let body = json!({"input": {"prompt": "a fox"}, "image_count": count});
    let created = stack.send(&Request::post(target).bearer(token).json(&body));
    assert!(created.status < 300, "{}", created.text());
    stack.ended(token, &job_id(&created));
}

/// Returns the sum of predictions, and of credits in hundredths.
fn sums(rows: &[Value]) -> (u64, i64) {
    let credits = |row: &Value| (row["credits"].as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as i64;
    (rows.iter().map(|row| row["predictions"].as_u64().unwrap()).sum(), rows.iter().map(credits).sum())
}

#[test]
fn spend_is_grouped_by_whatever_the_operator_asks_for() {
    let mut stack = stack();
    let (alice, bob) = (user("alice"), user("bob"));
    let [of_alice, of_bob] = [&alice, &bob].map(|subject| UserKey::new(ISSUER, subject).as_str().to_owned());
    let poor = token_with(&bob, json!({"plan": "poor"}));
    run(&stack, &token(&alice), MODEL, 1);
    run(&stack, &token(&alice), MODEL, 2);
    run(&stack, &token(&alice), OTHER_MODEL, 1);
    run(&stack, &poor, OTHER_MODEL, 1);
    let day = today();
    let by_day = json!([{"day": day, "credits": "9.5", "predictions": 4}]);
    let by_user = |stack: &Stack| {
        let mut rows = spend(stack, "by=user");
        rows.sort_by_key(|row| row["predictions"].as_u64());
        rows
    };
    for is_restarted in [false, true] {
        if is_restarted {
            stack.restart_workerd();
        }
        assert_eq!(json!(spend(&stack, "")), by_day);
        assert_eq!(json!(spend(&stack, "by=day")), by_day);
        let by_model = json!([{"model": "acme/clip-maker", "credits": "2", "predictions": 2},
            {"model": "acme/model-x", "credits": "7.5", "predictions": 2}]);
        assert_eq!(json!(spend(&stack, "by=model")), by_model);
        let by_plan = json!([{"day": day, "plan": "default", "credits": "8.5", "predictions": 3},
            {"day": day, "plan": "poor", "credits": "1", "predictions": 1}]);
        assert_eq!(json!(spend(&stack, &format!("by=plan,day&from={day}&to={day}"))), by_plan);
        let of_users = json!([{"user": of_bob, "credits": "1", "predictions": 1},
            {"user": of_alice, "credits": "8.5", "predictions": 3}]);
        assert_eq!(json!(by_user(&stack)), of_users);
        assert_eq!(spend(&stack, "by=user,model,plan,day").len(), 3);
        let of_today = json!({"day": day, "credits": "9.5", "predictions": 4, "daily_credits": null});
        assert_eq!(state_of_today(&stack), of_today);
    }
    let yesterday = spend(&stack, "by=day&from=1999-01-01&to=2000-01-01");
    assert_eq!(yesterday, Vec::<Value>::new());
}

#[test]
fn what_ended_without_a_price_counts_and_an_unknown_outcome_costs_its_reservation() {
    let stack = stack();
    let payer = token(&user("payer"));
    // Refused by the vendor: nothing is paid.
    stack.fault("create", 1, &json!({"status": 400, "body": r#"{"error":{"code":"bad"}}"#}));
    assert_eq!(stack.create(&payer).status, 400);
    wait_until("the refused prediction", || (spend(&stack, "").len() == 1).then_some(()));
    let free = json!([{"day": today(), "credits": "0", "predictions": 1}]);
    assert_eq!(json!(spend(&stack, "")), free);
    // The vendor's response cannot be read: it may have charged.
    stack.fault("create", 1, &json!({"status": 200, "body": "garbage"}));
    assert_eq!(stack.create(&payer).status, 502);
    let paid = json!([{"day": today(), "credits": "2.5", "predictions": 2}]);
    assert_eq!(json!(spend(&stack, "")), paid);
    let messages = json!({"operator": {"spend": {"by": {"day": true, "model": false, "plan": false, "user": false},
        "from": 0, "to": 1, "limit": 1}}});
    assert_eq!(stack.send_to_object("DISPATCHER", "main", &messages), json!({"operator": {"spend": []}}));
}

#[test]
fn spend_is_read_in_pages_by_a_cursor_as_json_and_as_csv() {
    let stack = stack();
    for name in ["a", "b", "c"] {
        run(&stack, &token(&user(name)), OTHER_MODEL, 1);
    }
    let all = spend(&stack, "by=day,user");
    assert_eq!((all.len(), sums(&all)), (3, (3, 300)));
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = read(&stack, &format!("{SPEND}?by=day,user&limit=2{cursor}")).json();
        pages.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, all);
    let day = today();
    let line = |row: &Value| format!("{day},{},1,1\r\n", row["user"].as_str().unwrap());
    let first = read(&stack, &format!("{SPEND}?by=user,day&limit=2&format=csv"));
    assert_eq!(first.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(first.text(), format!("day,user,credits,predictions\r\n{}{}", line(&all[0]), line(&all[1])));
    let next = first.header("x-next-cursor").unwrap();
    let viewer = token_of(STAFF, "viewer", &json!({}));
    let last = Request::get(&format!("{SPEND}?by=user,day&limit=2&cursor={next}")).header("Accept", "text/csv");
    let last = stack.send(&last.bearer(&viewer));
    assert_eq!(last.text(), format!("day,user,credits,predictions\r\n{}", line(&all[2])));
    assert_eq!((last.header("x-next-cursor"), last.header("cache-control")), (None, Some("no-store")));
}

#[test]
fn spend_of_many_users_is_read_in_pages_that_add_up() {
    let mut stack = stack();
    run(&stack, &token(&user("maker")), OTHER_MODEL, 1);
    stack.kill_workerd();
    let today = UnixSeconds(now()).millis().utc_day().0;
    damage(
        &stack,
        &format!(
            "DELETE FROM spend; WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2499) \
             INSERT INTO spend SELECT {today} - n % 2, 'gold', 'acme/x', 'user ' || (n / 2), 10000, 1 FROM numbers"
        ),
    );
    stack.start_workerd_again();
    for (by, groups) in [("by=day,user", 2_500), ("by=user", 1_250), ("by=plan,day", 2), ("by=model", 1)] {
        let (mut rows, mut cursor, mut sizes) = (Vec::new(), String::new(), Vec::new());
        loop {
            let page = read(&stack, &format!("{SPEND}?{by}{cursor}")).json();
            sizes.push(page["data"].as_array().unwrap().len());
            rows.extend(page["data"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(sizes.iter().all(|size| *size <= 1_000), "{by}: {sizes:?}");
        assert_eq!((rows.len(), sums(&rows)), (groups, (2_500, 2_500)), "{by}");
    }
    let rows_read = || stack.object_costs()["Dispatcher"]["rows_read"].as_u64().unwrap();
    let before = rows_read();
    assert_eq!(state_of_today(&stack)["predictions"], 1_250, "the state counts those of today alone");
    let once = rows_read();
    assert!(once - before >= 1_250, "{}", once - before);
    // An open page asks every four seconds.
    run(&stack, &token(&user("another")), OTHER_MODEL, 1);
    for _ in 0..10 {
        assert_eq!(state_of_today(&stack)["predictions"], 1_251);
    }
    assert!(rows_read() - once < 500, "{}", rows_read() - once);
}

#[test]
fn spend_older_than_90_days_is_not_shown_and_goes_with_a_tick_of_the_cron() {
    let mut stack = stack();
    run(&stack, &token(&user("first")), OTHER_MODEL, 1);
    stack.kill_workerd();
    let today = UnixSeconds(now()).millis().utc_day().0;
    let rows: Vec<String> = (0..1_005).map(|user| format!("({}, 'p', 'm', 'u{user}', 1, 1)", today - 90)).collect();
    let kept = format!("({}, 'p', 'm', 'u', 1000000, 1)", today - 89);
    damage(&stack, &format!("INSERT INTO spend VALUES {}, {kept}", rows.join(", ")));
    stack.start_workerd_again();
    assert_eq!(sums(&spend(&stack, "by=plan")), (2, 200), "today's and the oldest that is kept");
    run(&stack, &token(&user("second")), OTHER_MODEL, 1);
    stack.kill_workerd();
    let old = |stack: &Stack| stored(stack, &format!("SELECT COUNT(*) AS count FROM spend WHERE day < {}", today - 89));
    assert_eq!(old(&stack), json!([{"count": 1_005}]), "a booking deletes none");
    stack.start_workerd_again();
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    stack.kill_workerd();
    assert_eq!(old(&stack), json!([{"count": 5}]), "a tick deletes a thousand");
    stack.start_workerd_again();
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    stack.kill_workerd();
    let days = stored(&stack, "SELECT DISTINCT day FROM spend ORDER BY day");
    assert_eq!(days, json!([{"day": today - 89}, {"day": today}]));
}

#[test]
fn spend_and_refusals_refuse_what_they_do_not_know() {
    let stack = stack();
    let refused = |target: &str, status, kind, code| {
        let answer = read(&stack, target);
        assert_refused(&answer, status, kind, code);
        answer.json()["error"]["details"].clone()
    };
    for (query, details) in [
        ("by=subject", json!({"param": "by", "rule": "enum", "allowed": ["day", "model", "plan", "user"]})),
        ("by=", json!({"param": "by", "rule": "enum", "allowed": ["day", "model", "plan", "user"]})),
        ("from=yesterday", json!({"param": "from", "rule": "format"})),
        ("to=2026-02-30", json!({"param": "to", "rule": "format"})),
        ("from=2026-02-02&to=2026-02-01", json!({"param": "from", "rule": "max", "allowed": "2026-02-01"})),
        ("limit=0", json!({"param": "limit", "rule": "min", "allowed": 1})),
        ("limit=1001", json!({"param": "limit", "rule": "max", "allowed": 1000})),
        ("cursor=x", json!({"param": "cursor", "rule": "format"})),
        ("format=xml", json!({"param": "format", "rule": "enum", "allowed": ["json", "csv"]})),
    ] {
        let target = format!("{SPEND}?{query}");
        assert_eq!(refused(&target, 400, "invalid_request_error", "invalid_parameter"), details, "{query}");
    }
    let from = json!({"param": "from", "rule": "format"});
    assert_eq!(refused(&format!("{REFUSALS}?from=x"), 400, "invalid_request_error", "invalid_parameter"), from);
    for target in [format!("{SPEND}?user=x"), format!("{REFUSALS}?by=day")] {
        refused(&target, 400, "invalid_request_error", "unsupported_parameter");
    }
    for target in [SPEND, REFUSALS] {
        // Days that are not kept are cut off, and no days are left.
        for days in ["to=1034-04-07", "from=2999-01-01"] {
            let none = read(&stack, &format!("{target}?{days}"));
            assert_eq!((none.status, &none.json()["data"]), (200, &json!([])), "{target} {days}");
        }
        let stranger = stack.get(&token_of(STAFF, "stranger", &json!({})), target);
        assert_refused(&stranger, 403, "permission_error", "insufficient_permissions");
        let post = Request::post(target).bearer(&token_of(STAFF, "boss", &json!({})));
        assert_refused(&stack.send(&post), 405, "invalid_request_error", "method_not_allowed");
    }
}

/// Takes over a minute: an isolate hands over its counts once a minute.
#[test]
fn refusals_are_counted_by_code_and_handed_over_once_a_minute() {
    let settings = settings(&[&SigningKey::new("k1")]);
    let stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    let good = token(&user("refused"));
    assert_eq!(stack.get(&good, "/v1/predictions").status, 200);
    let [_, before] = stack.object_messages();
    for _ in 0..20 {
        assert_eq!(stack.send(&Request::get("/v1/predictions")).status, 401);
        assert_eq!(stack.send(&Request::get("/nowhere?token=canary")).status, 404);
    }
    assert_eq!(stack.send(&Request::post("/auth/token").body("grant_type=canary")).status, 415);
    assert_eq!(stack.object_messages()[1], before, "refusals alone reach nobody");
    assert_eq!(read(&stack, REFUSALS).json(), json!({"data": []}));
    std::thread::sleep(Duration::from_secs(61));
    // Any request hands the counts over, after its response.
    let counted = wait_until("the counts", || {
        let data = read(&stack, REFUSALS).json()["data"].clone();
        (data != json!([])).then_some(data)
    });
    let day = today();
    let count = |code: &str, count: u32| json!({"day": day, "code": code, "count": count});
    let expected = [count("invalid_request", 1), count("missing_token", 20), count("not_found", 20)];
    assert_eq!(counted, json!(expected));
    assert_eq!(read(&stack, &format!("{REFUSALS}?to=2000-01-01&from=1999-01-01")).json(), json!({"data": []}));
    // Whatever a message says, only our own codes and these days are stored.
    let sent = json!([{"day": UnixSeconds(now()).millis().utc_day().0, "code": "canary", "count": 1},
        {"day": 5, "code": "not_found", "count": 7}]);
    let message = json!({"operator": {"count_refusals": sent}});
    assert_eq!(stack.send_to_object("DISPATCHER", "main", &message), json!({"operator": "done"}));
    assert_eq!(read(&stack, REFUSALS).json()["data"], json!(expected));
}
