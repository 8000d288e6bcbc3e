//! Stored rows of the Dispatcher: nothing that is stored can stop it.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, now, policy, root, token, token_with, user};
use crate::http::Request;
use crate::steps::{job_id, wait_until};
use crate::upstream_answers::{assert_failed, credits};

/// Changes the Dispatcher's stored rows, as a disk fault or another version of the Worker would. workerd must not run.
pub fn damage(stack: &Stack, sql: &str) {
    run_sql(stack, "dispatcher", sql, "");
}

/// Returns the rows of a query of the Dispatcher's stored rows. workerd must not run.
pub fn stored(stack: &Stack, query: &str) -> Value {
    serde_json::from_str(&run_sql(stack, "dispatcher", "", query)).unwrap()
}

/// Runs statements, then a query, on each object of a class that has tables. Returns the rows of each as a line of JSON.
/// workerd must not run.
pub fn run_sql(stack: &Stack, class: &str, sql: &str, query: &str) -> String {
    let script = r#"
        const { DatabaseSync } = require("node:sqlite");
        const { readdirSync } = require("node:fs");
        const [folder, sql, query] = process.argv.slice(1);
        for (const file of readdirSync(folder).filter((name) => name.endsWith(".sqlite"))) {
          const database = new DatabaseSync(`${folder}/${file}`);
          const tables = database.prepare("SELECT name FROM sqlite_master WHERE name IN ('jobs', 'predictions')").all();
          if (tables.length > 0) {
            database.exec(sql);
            if (query !== "") console.log(JSON.stringify(database.prepare(query).all()));
          }
          database.close();
        }"#;
    let node = root().join("node_modules/.bin/node");
    let folder = stack.directory.join("storage").join(class);
    let done = Command::new(node).args(["-e", script]).arg(folder).args([sql, query]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Returns what the Dispatcher says about itself to an operator.
pub fn dispatcher_state(stack: &Stack) -> Value {
    stack.send_to_object("DISPATCHER", "main", &json!({"operator": "state"}))["operator"]["state"].clone()
}

/// Returns a stack with one slot, in which each prediction runs for a minute.
pub fn one_slow_slot() -> Stack {
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    Stack::start(&Options {
        settings: vec![("POLICY", Some(policy.to_string()))],
        simulator: vec!["--prediction-ms", "60000"],
        ..Options::default()
    })
}

/// An object has 128 MB. The Dispatcher once held every waiting input in memory, several times while it loaded: 481 MB
/// with such a queue, so that it could never load again.
#[test]
fn memory_after_a_restart_with_a_full_queue_is_as_with_an_empty_one() {
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    let input = &mut policy["models"]["acme/model-x"]["input"];
    input["prompt"] = json!({"type": "string", "max_length": 300_000});
    input["numbers"] = json!({"type": "array", "max_items": 140_000, "items": {"type": "integer"}});
    input["texts"] = json!({"type": "array", "max_items": 140_000, "items": {"type": "string"}});
    let settings = vec![("POLICY", Some(policy.to_string()))];
    let simulator = vec!["--prediction-ms", "600000"];
    let mut stack = Stack::start(&Options {
        settings,
        simulator,
        test_exports: true,
        stores_in_memory: true,
        ..Options::default()
    });
    let loaded_memory = |stack: &Stack| {
        dispatcher_state(stack);
        stack.send(&Request::get("/test/memory")).json().as_f64().unwrap()
    };
    let empty = loaded_memory(&stack);
    assert_eq!(stack.create(&token(&user("first"))).status, 201);
    let bodies = [
        format!(r#"{{"input":{{"prompt":"{}"}}}}"#, r"\u0001".repeat(42_500)),
        format!(r#"{{"input":{{"numbers":[{}1]}}}}"#, "1,".repeat(127_000)),
        format!(r#"{{"input":{{"texts":[{}""]}}}}"#, r#""","#.repeat(84_900)),
    ];
    let mut taken = 0;
    for number in 0..16 {
        let token = token(&user("full"));
        for body in bodies.iter().cycle().skip(number).take(9) {
            let request = Request::post(MODEL).bearer(&token).header("Content-Type", "application/json");
            let created = stack.send(&request.body(body.as_bytes()));
            match created.status {
                202 => taken += 1,
                _ => assert_eq!(created.error().2, "too_many_predictions", "{}", created.text()),
            }
        }
    }
    assert!(taken >= 16 * 7, "{taken} creates of 255 KB");
    stack.restart_workerd();
    let full = loaded_memory(&stack);
    println!("wasm memory after a start: {empty} bytes empty, {full} bytes with {taken} waiting creates");
    assert!(full - empty < 20_000_000.0, "{} bytes more than an empty one", full - empty);
}

#[test]
fn inputs_of_waiting_predictions_survive_a_restart_and_go_when_the_vendor_has_them() {
    let mut stack = one_slow_slot();
    let token = token(&user("kept"));
    assert_eq!(stack.prompt(&token, "first").status, 201);
    let waiting = stack.prompt(&token, "\u{1}second \u{e9}\"");
    assert_eq!(waiting.status, 202);
    stack.kill_workerd();
    let rows = stored(&stack, "SELECT job_id, doc FROM inputs");
    assert_eq!(rows, json!([{"job_id": job_id(&waiting), "doc": r#"{"prompt":"\u0001second é\""}"#}]));
    stack.start_workerd_again();
    stack.finish("first", &json!({"status": "succeeded"}));
    assert_eq!(stack.get(&token, "/v1/account").status, 200);
    wait_until("the second create", || (stack.sent() == ["first", "\u{1}second \u{e9}\""]).then_some(()));
    stack.until(&token, &job_id(&waiting), |prediction| prediction["status"] == "processing");
    stack.kill_workerd();
    assert_eq!(stored(&stack, "SELECT count(*) AS count FROM inputs"), json!([{"count": 0}]));
    assert!(!stored(&stack, "SELECT doc FROM jobs").to_string().contains("prompt"));
}

#[test]
fn a_job_row_of_the_build_before_is_submitted_with_the_input_that_it_holds() {
    let mut stack = one_slow_slot();
    let token = token(&user("before"));
    assert_eq!(stack.prompt(&token, "first").status, 201);
    let waiting = job_id(&stack.prompt(&token, "second \u{e9}"));
    stack.kill_workerd();
    // What the build before stores.
    damage(
        &stack,
        "UPDATE jobs SET doc = json_set(json_remove(doc, '$.order.input_bytes'), '$.order.input', \
         (SELECT json(doc) FROM inputs WHERE job_id = jobs.job_id)) WHERE job_id IN (SELECT job_id FROM inputs); \
         DROP TABLE inputs; DROP TABLE audit; DROP TABLE spend; DROP TABLE refusals; \
         DROP TABLE migrations",
    );
    stack.start_workerd_again();
    stack.finish("first", &json!({"status": "succeeded"}));
    wait_until("the second create", || {
        dispatcher_state(&stack);
        (stack.sent() == ["first", "second \u{e9}"]).then_some(())
    });
    stack.finish("second \u{e9}", &json!({"status": "succeeded"}));
    assert_eq!(stack.ended(&token, &waiting)["status"], "succeeded");
}

#[test]
fn a_waiting_prediction_whose_input_is_lost_fails_for_free() {
    let mut stack = one_slow_slot();
    let token = token(&user("lost"));
    assert_eq!(stack.prompt(&token, "first").status, 201);
    let waiting = job_id(&stack.prompt(&token, "second"));
    stack.kill_workerd();
    damage(&stack, "DELETE FROM inputs");
    stack.start_workerd_again();
    stack.finish("first", &json!({"status": "succeeded"}));
    dispatcher_state(&stack);
    let ended = stack.ended(&token, &waiting);
    assert_failed(&ended, "upstream_rejected");
    stack.assert_logged("input_missing");
    assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "the first one's alone");
    assert_eq!(stack.sent(), ["first"]);
}

#[test]
fn an_unreadable_job_row_stays_and_is_tried_at_each_load() {
    let mut stack = one_slow_slot();
    let token = token(&user("damaged"));
    let id = job_id(&stack.prompt(&token, "first"));
    stack.kill_workerd();
    damage(
        &stack,
        "CREATE TABLE kept AS SELECT * FROM jobs; UPDATE jobs SET doc = '{\"state\":\"of another version\"}'",
    );
    for load in 1..=6 {
        stack.start_workerd_again();
        assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(1), "load {load}");
        stack.kill_workerd();
    }
    stack.assert_logged("row_unreadable");
    stack.start_workerd_again();
    assert_eq!(stack.create(&crate::harness::token(&user("next"))).status, 202, "the slot may be taken at the vendor");
    stack.kill_workerd();
    damage(
        &stack,
        "UPDATE jobs SET doc = (SELECT doc FROM kept WHERE kept.job_id = jobs.job_id) WHERE job_id IN (SELECT job_id FROM kept)",
    );
    stack.start_workerd_again();
    assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(0));
    stack.finish("first", &json!({"status": "succeeded"}));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
}

#[test]
fn an_unreadable_job_row_holds_its_slot_for_the_longest_life_of_a_prediction() {
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    policy["key"]["queue"] = json!({"max_wait_secs": 6});
    policy["models"]["acme/model-x"]["max_seconds"] = json!(2);
    policy["models"]["acme/model-y"]["max_seconds"] = json!(2);
    let settings = vec![("POLICY", Some(policy.to_string()))];
    let mut stack =
        Stack::start(&Options { settings, simulator: vec!["--prediction-ms", "60000"], ..Options::default() });
    assert_eq!(stack.prompt(&token(&user("damaged")), "first").status, 201);
    stack.kill_workerd();
    damage(&stack, "UPDATE jobs SET doc = '{}'");
    stack.start_workerd_again();
    assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(1));
    let prompt = || stack.prompt(&token(&user("next")), "next").status;
    assert_eq!(prompt(), 202);
    wait_until("the slot of the unreadable row", || {
        // Each waits for six seconds.
        prompt();
        std::thread::sleep(std::time::Duration::from_millis(1_000));
        (stack.sent() == ["first", "next"]).then_some(())
    });
    assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(1), "it stays");
}

#[test]
fn unreadable_rows_of_other_tables_hold_no_slot() {
    let mut stack = one_slow_slot();
    dispatcher_state(&stack);
    stack.kill_workerd();
    damage(
        &stack,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) \
         INSERT INTO outbox (job_id, doc) SELECT 'pred_01jh000000000000000000000' || i, '{}' FROM n",
    );
    stack.start_workerd_again();
    assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(5));
    assert_eq!(stack.prompt(&token(&user("first")), "first").status, 201);
}

#[test]
fn rows_that_a_build_before_quarantined_are_put_back_once() {
    let mut stack = one_slow_slot();
    let token = token(&user("aside"));
    let id = job_id(&stack.prompt(&token, "first"));
    stack.kill_workerd();
    damage(
        &stack,
        "CREATE TABLE quarantine (name TEXT PRIMARY KEY, doc TEXT NOT NULL, attempts INTEGER NOT NULL) WITHOUT ROWID; \
         INSERT INTO quarantine SELECT 'jobs:' || job_id, doc, 5 FROM jobs; DELETE FROM jobs; \
         INSERT INTO quarantine VALUES ('state', '{}', 1), ('jobs:pred_01jh0000000000000000000000', '{}', 5)",
    );
    stack.start_workerd_again();
    assert_eq!(dispatcher_state(&stack)["unreadable_rows"], json!(0), "the old row says nothing any more");
    stack.finish("first", &json!({"status": "succeeded"}));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
    stack.kill_workerd();
    let left = stored(&stack, "SELECT name FROM quarantine ORDER BY name");
    assert_eq!(left, json!([{"name": "jobs:pred_01jh0000000000000000000000"}, {"name": "state"}]));
}

/// Returns a stopped stack whose vendor key has spent its credits of the day and whose users' tokens are revoked, an old
/// token and a new one.
fn spent_and_revoked() -> (Stack, String, String) {
    let mut policy = policy();
    policy["key"]["daily_credits"] = json!("2.5");
    let stack = Stack::with_policy(&policy);
    let name = user("state");
    let old = token(&name);
    let created = stack.create(&old);
    assert_eq!(stack.ended(&old, &job_id(&created))["status"], "succeeded");
    stack.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": now()}}));
    let new = token_with(&name, json!({"iat": now() + 1, "nbf": now() - 1}));
    assert_spent_and_revoked(&stack, &old, &new);
    stack.kill_workerd();
    (stack, old, new)
}

fn assert_spent_and_revoked(stack: &Stack, old: &str, new: &str) {
    let refused = stack.create(new);
    assert_eq!((refused.status, refused.error().2), (503, "upstream_unavailable".into()), "the day is spent");
    assert_eq!(stack.create(old).error().2, "invalid_token");
}

#[test]
fn an_unreadable_part_of_the_state_is_lost_alone() {
    let (mut stack, old, new) = spent_and_revoked();
    for kind in ["window", "turns", "vendor_health", "vendor_models", "time"] {
        let insert =
            format!("INSERT OR REPLACE INTO state VALUES ('{kind}', '{{\"window\":{{\"sent\":[[1,\"lane\",1]]}}}}')");
        damage(&stack, &insert);
        stack.start_workerd_again();
        assert_spent_and_revoked(&stack, &old, &new);
        stack.assert_logged(&format!("\"alert\":\"state_unreadable\",\"word\":\"{kind}\""));
        stack.kill_workerd();
    }
    let names = stored(&stack, "SELECT name FROM state WHERE name IN ('revocation', 'spending:')");
    assert_eq!(names.as_array().map(Vec::len), Some(2));
}

#[test]
fn the_state_document_of_the_build_before_is_carried_over() {
    let (mut stack, old, new) = spent_and_revoked();
    // What the build before stores, with one lane that it does not know.
    damage(
        &stack,
        "CREATE TABLE copy AS SELECT * FROM state; DELETE FROM state; \
         INSERT INTO state SELECT 'main', json_object( \
         'window', json('{\"sent\":[[1,\"lane\",1]]}'), \
         'accounts', (SELECT json_extract(doc, '$.accounts') FROM copy WHERE name = 'spending:'), \
         'average_run_ms', 5, 'clock', 1, 'deficits', json('{}'), \
         'revoked_by', (SELECT json_extract(doc, '$.revoked_by') FROM copy WHERE name = 'revocation'))",
    );
    stack.start_workerd_again();
    assert_spent_and_revoked(&stack, &old, &new);
    stack.assert_logged("\"alert\":\"state_unreadable\",\"word\":\"window\"");
    stack.restart_workerd();
    assert_spent_and_revoked(&stack, &old, &new);
    stack.kill_workerd();
    assert_eq!(stored(&stack, "SELECT count(*) AS count FROM state WHERE name = 'main'"), json!([{"count": 0}]));
    assert_eq!(stack.worker_log().matches("state_unreadable").count(), 1, "once");
}

#[test]
fn storage_with_a_breaking_migration_of_a_newer_build_is_left_alone() {
    let mut stack = one_slow_slot();
    let token = token(&user("newer"));
    assert_eq!(stack.prompt(&token, "first").status, 201);
    let waiting = job_id(&stack.prompt(&token, "second"));
    stack.kill_workerd();
    damage(&stack, "INSERT INTO migrations VALUES (1000, 0); CREATE TABLE of_a_newer_build (id TEXT PRIMARY KEY)");
    stack.start_workerd_again();
    assert_eq!(stack.prompt(&token, "third").status, 202, "a compatible one changes nothing");
    stack.kill_workerd();
    assert!(!stack.worker_log().contains("storage_too_new"));
    damage(&stack, "INSERT INTO migrations VALUES (1001, 1)");
    let rows = stored(&stack, "SELECT * FROM jobs");
    stack.start_workerd_again();
    let refused = stack.prompt(&token, "fourth");
    assert_eq!((refused.status, refused.error().2), (503, "limiter_unavailable".into()));
    stack.assert_logged("storage_too_new");
    stack.kill_workerd();
    assert_eq!(stored(&stack, "SELECT * FROM jobs"), rows, "nothing was touched");
    damage(&stack, "DELETE FROM migrations WHERE number >= 1000");
    stack.start_workerd_again();
    stack.finish("first", &json!({"status": "succeeded"}));
    dispatcher_state(&stack);
    wait_until("the second create", || (stack.sent() == ["first", "second"]).then_some(()));
    stack.until(&token, &waiting, |prediction| prediction["status"] == "processing");
}

#[test]
fn a_stored_clock_an_hour_ahead_stops_nothing_for_longer_than_about_a_minute() {
    let mut stack = Stack::start(&Options::default());
    dispatcher_state(&stack);
    stack.kill_workerd();
    let later = (now() + 3_600) * 1_000;
    let closed = later + 60_000;
    damage(
        &stack,
        &format!(
            "INSERT OR REPLACE INTO state VALUES ('time', '{{\"clock\":{later}}}'), \
             ('window', '{{\"window\":{{\"sent\":[[{later},\"c\",1]],\"closed_until\":{closed}}}}}')"
        ),
    );
    stack.start_workerd_again();
    let token = token(&user("late"));
    let created = stack.prompt(&token, "late");
    assert_eq!(created.status, 202, "the window is closed");
    wait_until("the create", || (stack.sent() == ["late"]).then_some(()));
    assert_eq!(stack.ended(&token, &job_id(&created))["status"], "succeeded");
}
