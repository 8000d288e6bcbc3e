//! A deployment updates the edge and the objects one after the other, and a rollback goes the other way: the build of this
//! tree and the one before work on each other's messages and on each other's storage.
//!
//! tests/fixtures/builds has the build before.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Options, Stack, policy, root, run, token, user};
use crate::http::Request;
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::steps::{assert_refused, job_id};

/// Unpacks the build before into a folder of this test. Returns the folder.
fn build_before(stack: &Stack) -> PathBuf {
    let folder = stack.directory.join("before");
    std::fs::create_dir_all(&folder).unwrap();
    let archive = root().join("tests/fixtures/builds/without-operators.tar.gz");
    run("tar", &["-xzf".as_ref(), archive.as_ref(), "-C".as_ref(), folder.as_ref()]);
    folder
}

/// Starts a stack with an issuer of operators and one slot, whose predictions end when the test says so.
fn start() -> Stack {
    let mut settings = settings(&[&SigningKey::new("k1")]);
    settings.retain(|(name, _)| *name == "ISSUERS");
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    settings.push(("POLICY", Some(policy.to_string())));
    let objects_build = Some(root().join("build"));
    let stack = Stack::start(&Options { settings, objects_build, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

/// A prediction that runs and one that waits, of one pair of builds, for the next pair to end.
struct Left {
    name: &'static str,
    running: String,
    waiting: String,
}

/// Creates a prediction that is sent, and two that wait. Cancels one of these.
fn create(stack: &Stack, token: &str, name: &'static str) -> Left {
    let running = job_id(&stack.prompt(token, &format!("{name}: runs")));
    stack.until(token, &running, |prediction| prediction["status"] == "processing");
    let [waiting, canceled] = ["waits", "is canceled"].map(|how| {
        let created = stack.prompt(token, &format!("{name}: {how}"));
        assert_eq!(created.status, 202, "{name}: {}", created.text());
        job_id(&created)
    });
    let answer = stack.send(&Request::post(&format!("/v1/predictions/{canceled}/cancel")).bearer(token));
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("canceled")), "{name}");
    Left { name, running, waiting }
}

/// Ends what another pair of builds left: both succeed and are paid once.
fn settle(stack: &Stack, token: &str, left: &Left) {
    let Left { name, running, waiting } = left;
    let status = |id: &str| stack.get(token, &format!("/v1/predictions/{id}")).json()["status"].clone();
    assert_eq!((status(running), status(waiting)), (json!("processing"), json!("queued")), "{name}");
    for (id, how) in [(running, "runs"), (waiting, "waits")] {
        stack.finish(&format!("{name}: {how}"), &json!({"status": "succeeded"}));
        let ended = stack.ended(token, id);
        assert_eq!((&ended["status"], &ended["credits_used"]), (&json!("succeeded"), &json!("2.5")), "{name}: {how}");
    }
    assert_eq!(stack.usage(token)["credits_reserved"], json!("0"), "{name}");
}

#[test]
fn edge_and_objects_of_this_build_and_of_the_one_before_work_together_on_one_storage() {
    let mut stack = start();
    let (before, this) = (build_before(&stack), root().join("build"));
    let token = token(&user("skew"));
    let mut left: Option<Left> = None;
    // A deployment: objects first, then the edge. A rollback: the edge first, then the objects. Then the other order.
    for (name, edge, objects) in [
        ("before", &before, &before),
        ("new objects", &before, &this),
        ("new", &this, &this),
        ("old objects", &this, &before),
        ("before again", &before, &before),
        ("new edge", &this, &before),
        ("new again", &this, &this),
    ] {
        stack.update(edge, objects);
        if let Some(left) = left.take() {
            settle(&stack, &token, &left);
        }
        left = Some(create(&stack, &token, name));
    }
    settle(&stack, &token, &left.unwrap());
    let listed = stack.get(&token, "/v1/predictions?limit=50").json();
    let statuses = |status: &str| {
        let data: &Vec<Value> = listed["data"].as_array().unwrap();
        data.iter().filter(|prediction| prediction["status"] == status).count()
    };
    assert_eq!((statuses("succeeded"), statuses("canceled")), (14, 7), "{listed}");
    assert_eq!(stack.usage(&token)["credits_spent"], json!("35"));
    assert_eq!(stack.sent().len(), 14, "each was sent once");
    let log = stack.worker_log();
    assert!(!log.contains("\"alert\""), "{log}");
}

#[test]
fn what_the_objects_of_the_build_before_do_not_know_is_503() {
    let mut stack = start();
    let (before, this) = (build_before(&stack), root().join("build"));
    stack.update(&this, &before);
    let operator = token_of(STAFF, "boss", &json!({}));
    let audit = stack.get(&operator, "/admin/api/audit");
    assert_refused(&audit, 503, "api_error", "limiter_unavailable");
    let revocation = Request::post("/admin/api/revocations").bearer(&operator).json(&json!({"issued_by": 5}));
    assert_refused(&stack.send(&revocation), 503, "api_error", "limiter_unavailable");
    // And everything that they know goes on.
    assert_eq!(stack.get(&token(&user("skew")), "/v1/account").status, 200);
    stack.update(&this, &this);
    assert_eq!(stack.get(&operator, "/admin/api/audit").status, 200);
}
