//! Stored rows of a Ledger: nothing that is stored can stop it, and no version of the Worker loses what another one stored.

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, Options, Stack, now, policy, token, token_with, user};
use crate::http::Request;
use crate::steps::{assert_refused, job_id};
use crate::stored::{dispatcher_state, one_slow_slot, run_sql};

/// Changes the stored rows of all Ledgers. workerd must not run.
fn damage(stack: &Stack, sql: &str) {
    run_sql(stack, "ledger", sql, "");
}

/// Returns the rows of a query of the one Ledger. workerd must not run.
fn stored(stack: &Stack, query: &str) -> Value {
    serde_json::from_str(&run_sql(stack, "ledger", "", query)).unwrap()
}

fn ask(stack: &Stack, name: &str, request: &Value) -> Value {
    stack.send_to_object("LEDGER", UserKey::new(ISSUER, name).as_str(), &json!({"ask": request}))
}

fn revoke(stack: &Stack, name: &str, jti: &str) {
    let token = json!({"jti": jti, "expires_at": (now() + 300) * 1_000});
    assert_eq!(ask(stack, name, &json!({"revoke": {"token": token}})), json!({"reply": "done"}));
}

#[test]
fn a_ledger_that_stored_nothing_has_no_tables() {
    let stack = Stack::start(&Options::default());
    let name = user("nobody");
    let read = json!({"get": {"job_id": "pred_01jh0000000000000000000000"}});
    assert_eq!(ask(&stack, &name, &read), json!({"reply": {"refused": "not_found"}}));
    stack.kill_workerd();
    assert_eq!(run_sql(&stack, "ledger", "", "SELECT 1"), "", "no Ledger has a table");
}

/// A stack with one slot and a user with a running prediction, a waiting one, and a revoked token.
struct Used {
    stack: Stack,
    token: String,
    revoked: String,
    running: String,
    waiting: String,
}

impl Used {
    fn start() -> Self {
        let stack = one_slow_slot();
        let name = user("used");
        let (token, revoked) = (token(&name), token_with(&name, json!({"jti": "lost"})));
        let running = job_id(&stack.prompt(&token, "first"));
        let waiting = job_id(&stack.prompt(&token, "second"));
        revoke(&stack, &name, "lost");
        stack.kill_workerd();
        Self { stack, token, revoked, running, waiting }
    }

    /// Starts workerd again, and checks that nothing was lost: news arrive, and the revoked token stays revoked.
    fn assert_works(mut self) -> Stack {
        self.stack.start_workerd_again();
        assert_eq!(self.stack.get(&self.revoked, "/v1/predictions").status, 401);
        self.stack.finish("first", &json!({"status": "succeeded"}));
        dispatcher_state(&self.stack);
        assert_eq!(self.stack.ended(&self.token, &self.running)["status"], "succeeded");
        self.stack.finish("second", &json!({"status": "succeeded"}));
        assert_eq!(self.stack.ended(&self.token, &self.waiting)["status"], "succeeded");
        assert_eq!(self.stack.usage(&self.token)["credits_spent"], "5");
        assert_eq!(self.stack.get(&self.revoked, "/v1/account").status, 401);
        self.stack
    }
}

/// A build once judged by its newest table whether a Ledger had stored anything. Where that table was missing, it
/// acknowledged job updates and dropped them, and accepted revoked tokens.
#[test]
fn a_build_with_one_migration_more_loses_nothing_that_is_stored() {
    let used = Used::start();
    damage(
        &used.stack,
        "DELETE FROM migrations WHERE number > 1; DROP INDEX predictions_open; DROP INDEX predictions_ended; \
         DROP INDEX jti_expires; DROP INDEX marks_expires; DROP INDEX files_used; \
         ALTER TABLE files DROP COLUMN used_on; ALTER TABLE files DROP COLUMN bytes",
    );
    used.assert_works();
}

#[test]
fn a_ledger_of_a_build_that_recorded_no_migration_loses_nothing() {
    let used = Used::start();
    damage(
        &used.stack,
        "DROP TABLE migrations; DROP INDEX predictions_open; DROP INDEX predictions_ended; \
         DROP INDEX jti_expires; DROP INDEX marks_expires; DROP INDEX files_used; \
         ALTER TABLE files DROP COLUMN used_on; ALTER TABLE files DROP COLUMN bytes",
    );
    let stack = used.assert_works();
    stack.kill_workerd();
    let numbers = stored(&stack, "SELECT number, is_breaking FROM migrations");
    assert_eq!(numbers, json!([{"number": 1, "is_breaking": 0}, {"number": 2, "is_breaking": 0}]));
}

#[test]
fn a_table_that_a_newer_build_added_stops_nothing() {
    let used = Used::start();
    damage(
        &used.stack,
        "INSERT INTO migrations VALUES (1000, 0); CREATE TABLE of_a_newer_build (id TEXT PRIMARY KEY) WITHOUT ROWID; \
         INSERT INTO of_a_newer_build VALUES ('kept')",
    );
    let stack = used.assert_works();
    assert!(!stack.worker_log().contains("storage_too_new"));
    stack.kill_workerd();
    assert_eq!(stored(&stack, "SELECT id FROM of_a_newer_build"), json!([{"id": "kept"}]));
}

/// An alarm deletes the storage of a Ledger without rows. The build of before cannot see the rows of a newer one.
#[test]
fn the_storage_of_a_newer_build_is_never_deleted_as_empty() {
    let mut stack = Stack::start(&Options { is_observed: true, ..Options::default() });
    let name = user("newer");
    let ledger = UserKey::new(ISSUER, &name);
    let make_and_empty = |stack: &Stack, extra: &str| {
        stack.kill_workerd();
        damage(stack, &format!("DELETE FROM predictions; DELETE FROM days; DELETE FROM marks; {extra}"));
    };
    assert_eq!(stack.get(&token(&name), "/v1/account").status, 200);
    make_and_empty(&stack, "INSERT INTO migrations VALUES (1000, 0)");
    stack.start_workerd_again();
    stack.run_alarm("LEDGER", ledger.as_str());
    stack.kill_workerd();
    assert_eq!(stored(&stack, "SELECT COUNT(*) AS count FROM migrations"), json!([{"count": 3}]));
    damage(&stack, "DELETE FROM migrations WHERE number = 1000");
    stack.start_workerd_again();
    stack.run_alarm("LEDGER", ledger.as_str());
    stack.kill_workerd();
    assert_eq!(run_sql(&stack, "ledger", "", "SELECT 1"), "", "its own empty storage is");
}

#[test]
fn a_ledger_with_a_breaking_migration_of_a_newer_build_is_left_alone() {
    let mut used = Used::start();
    damage(&used.stack, "INSERT INTO migrations VALUES (1000, 1)");
    let rows = stored(&used.stack, "SELECT * FROM predictions");
    used.stack.start_workerd_again();
    for refused in [used.stack.get(&used.token, "/v1/predictions"), used.stack.prompt(&used.token, "third")] {
        assert_refused(&refused, 503, "api_error", "limiter_unavailable");
    }
    used.stack.assert_logged("storage_too_new");
    // The news of the end is kept until the Ledger takes it.
    used.stack.finish("first", &json!({"status": "succeeded"}));
    dispatcher_state(&used.stack);
    used.stack.kill_workerd();
    assert_eq!(stored(&used.stack, "SELECT * FROM predictions"), rows, "nothing was touched");
    damage(&used.stack, "DELETE FROM migrations WHERE number = 1000");
    used.stack.start_workerd_again();
    assert_eq!(used.stack.ended(&used.token, &used.running)["status"], "succeeded");
    assert_eq!(used.stack.get(&used.revoked, "/v1/predictions").status, 401);
}

#[test]
fn an_unreadable_prediction_holds_up_no_other_and_ends_once_it_can_be_read() {
    let mut stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "60000"], ..Options::default() });
    let token = token(&user("damaged"));
    let [bad, good] = ["bad", "good"].map(|prompt| job_id(&stack.prompt(&token, prompt)));
    for id in [&bad, &good] {
        stack.until(&token, id, |prediction| prediction["status"] == "processing");
    }
    stack.kill_workerd();
    damage(
        &stack,
        &format!(
            "CREATE TABLE kept AS SELECT * FROM predictions; UPDATE predictions SET doc = '{{}}' WHERE job_id = '{bad}'"
        ),
    );
    for prompt in ["bad", "good"] {
        stack.finish(prompt, &json!({"status": "succeeded"}));
    }
    stack.start_workerd_again();
    dispatcher_state(&stack);
    assert_eq!(stack.ended(&token, &good)["status"], "succeeded");
    assert_eq!(stack.get(&token, &format!("/v1/predictions/{bad}")).status, 503);
    stack.kill_workerd();
    damage(
        &stack,
        "UPDATE predictions SET doc = (SELECT doc FROM kept WHERE kept.job_id = predictions.job_id) WHERE doc = '{}'",
    );
    stack.start_workerd_again();
    dispatcher_state(&stack);
    assert_eq!(stack.ended(&token, &bad)["status"], "succeeded", "its update was kept");
    assert_eq!(stack.usage(&token)["credits_spent"], "5");
}

/// Reads all pages of a list, and returns the ids on it in order.
fn all_pages(stack: &Stack, token: &str, list: &str, id: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stack.get(token, &format!("{list}?limit=2{cursor}")).json();
        let rows = page["data"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| row[id].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[test]
fn a_list_goes_on_past_rows_that_cannot_be_read_and_tries_them_again() {
    let mut stack = Stack::start(&Options::default());
    let token = token(&user("lister"));
    let mut ids: Vec<String> = (0..9).map(|_| job_id(&stack.create(&token))).collect();
    ids.reverse();
    for id in &ids {
        stack.ended(&token, id);
    }
    let mut files: Vec<String> = (0..5)
        .map(|_| {
            let upload = Request::post("/v1/files").bearer(&token).header("Content-Type", "image/png").body(b"\x89PNG");
            stack.send(&upload).json()["file_id"].as_str().unwrap().to_owned()
        })
        .collect();
    files.reverse();
    assert_eq!(all_pages(&stack, &token, "/v1/predictions", "job_id"), ids);
    stack.kill_workerd();
    // One in the middle of a page, and two whole pages.
    let unreadable = [1, 4, 5, 6, 7].map(|index: usize| format!("'{}'", ids[index])).join(",");
    damage(
        &stack,
        &format!(
            "CREATE TABLE kept AS SELECT * FROM predictions; UPDATE predictions SET doc = '{{' WHERE job_id IN ({unreadable}); \
             UPDATE files SET doc = 'no JSON' WHERE file_id IN ('{}', '{}')",
            files[1], files[2]
        ),
    );
    stack.start_workerd_again();
    let readable = [0, 2, 3, 8].map(|index: usize| ids[index].clone());
    assert_eq!(all_pages(&stack, &token, "/v1/predictions", "job_id"), readable);
    assert_eq!(all_pages(&stack, &token, "/v1/files", "file_id"), [0, 3, 4].map(|index: usize| files[index].clone()));
    let more = Request::post("/v1/files").bearer(&token).header("Content-Type", "image/png").body(b"\x89PNG");
    assert_eq!(stack.send(&more).status, 201, "they do not stop an upload");
    stack.assert_logged("row_unreadable");
    stack.kill_workerd();
    damage(&stack, "UPDATE predictions SET doc = (SELECT doc FROM kept WHERE kept.job_id = predictions.job_id)");
    stack.start_workerd_again();
    assert_eq!(all_pages(&stack, &token, "/v1/predictions", "job_id"), ids, "all again");
}

#[test]
fn a_list_by_status_has_what_has_the_status() {
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    let stack = Stack::start(&Options {
        settings: vec![("POLICY", Some(policy.to_string()))],
        simulator: vec!["--prediction-ms", "60000"],
        ..Options::default()
    });
    let token = token(&user("lister"));
    let ended = job_id(&stack.prompt(&token, "ended"));
    stack.finish("ended", &json!({"status": "succeeded"}));
    stack.ended(&token, &ended);
    let running = job_id(&stack.prompt(&token, "running"));
    let waiting: Vec<String> = (0..4).map(|_| job_id(&stack.prompt(&token, "waiting"))).collect();
    let canceled = waiting[1].clone();
    assert_eq!(stack.send(&Request::post(&format!("/v1/predictions/{canceled}/cancel")).bearer(&token)).status, 200);
    let list = |status: &str, limit: u32, before: &str| {
        let page = stack.get(&token, &format!("/v1/predictions?status={status}&limit={limit}{before}")).json();
        let ids = page["data"].as_array().unwrap().iter().map(|row| row["job_id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next_cursor"].as_str().map(|next| format!("&cursor={next}")))
    };
    assert_eq!(list("succeeded", 5, "").0, [ended]);
    assert_eq!(list("processing", 5, "").0, [running]);
    assert_eq!(list("canceled", 5, "").0, [canceled]);
    assert_eq!(list("failed", 5, "").0, Vec::<String>::new());
    let (first, cursor) = list("queued", 2, "");
    assert_eq!(first, [waiting[3].clone(), waiting[2].clone()]);
    assert_eq!(list("queued", 2, &cursor.unwrap()).0, [waiting[0].clone()]);
    let usage = stack.usage(&token);
    assert_eq!((&usage["running"], &usage["waiting"]), (&json!(1), &json!(3)));
}
