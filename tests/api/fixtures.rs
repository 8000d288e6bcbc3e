//! Objects that earlier builds stored: every later build opens them, and nothing in them is lost.
//!
//! A folder of tests/fixtures/objects has the storage of one build after [`make`] used it. Its times are those of that day,
//! so the Worker runs on a shifted clock. A release that changes what is stored adds a folder:
//! `make fixture NAME=…` (tests/fixtures/objects/README.md).

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, Options, Stack, now, policy, root, run, token_with};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, create_of, job_id};
use crate::stored::run_sql;

const KEY: (&str, &str) = ("Idempotency-Key", "of the fixture");
/// Credits of the vendor's key for a day: the fixture's six predictions without the canceled one, and one more.
const DAILY: &str = "15";

fn folder() -> PathBuf {
    root().join("tests/fixtures/objects")
}

/// Starts a stack with one slot, whose predictions end when the test says so.
fn start(options: Options) -> Stack {
    let mut policy = policy();
    policy["key"]["concurrent_predictions"] = json!(1);
    policy["key"]["daily_credits"] = json!(DAILY);
    let stack = Stack::start(&Options { settings: vec![("POLICY", Some(policy.to_string()))], ..options });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

/// Returns a token that was issued at a time and is valid for five minutes.
fn token_of(subject: &str, issued_at: i64, jti: &str) -> String {
    token_with(subject, json!({"iat": issued_at, "exp": issued_at + 300, "jti": jti}))
}

fn revoke(stack: &Stack, subject: &str, revocation: &Value) {
    let ledger = UserKey::new(ISSUER, subject);
    let reply = stack.send_to_object("LEDGER", ledger.as_str(), &json!({"ask": {"revoke": revocation}}));
    assert_eq!(reply, json!({"reply": "done"}));
}

fn batch(token: &str) -> Request {
    let item = json!({"model": "acme/model-x", "input": {"prompt": "batch"}});
    Request::post("/v1/predictions/batch").bearer(token).json(&json!({"predictions": [item, item]}))
}

fn cancel(stack: &Stack, token: &str, job_id: &str) -> Response {
    stack.send(&Request::post(&format!("/v1/predictions/{job_id}/cancel")).bearer(token))
}

/// Makes a fixture from the build in the folder `BUILD`, with the name `FIXTURE`.
#[test]
#[ignore = "writes tests/fixtures: make fixture NAME=…"]
fn make() {
    let build = std::env::var("BUILD").map_or_else(|_| root().join("build"), PathBuf::from);
    let target = folder().join(std::env::var("FIXTURE").expect("FIXTURE names the folder"));
    let stack = start(Options { build: Some(build), ..Options::default() });
    let started_at = now();
    let alice = token_of("alice", started_at, "good");
    let ended = job_id(&stack.send(&create_of(&alice, "ended").header(KEY.0, KEY.1)));
    stack.finish("ended", &json!({"status": "succeeded"}));
    stack.ended(&alice, &ended);
    let running = job_id(&stack.prompt(&alice, "running"));
    stack.until(&alice, &running, |prediction| prediction["status"] == "processing");
    let [waiting, canceled] = ["waiting", "canceled"].map(|prompt| job_id(&stack.prompt(&alice, prompt)));
    assert_eq!(cancel(&stack, &alice, &canceled).status, 200);
    let batch = stack.send(&batch(&alice)).json();
    let file = Request::post("/v1/files").bearer(&alice).header("Content-Type", "image/png").body(b"\x89PNG");
    let file = stack.send(&file).json();
    revoke(&stack, "alice", &json!({"token": {"jti": "lost", "expires_at": (started_at + 300) * 1_000}}));
    revoke(&stack, "bob", &json!({"subject": {"issued_by": started_at}}));
    stack.send_to_object("DISPATCHER", "main", &json!({"revoke_all": {"issued_by": started_at - 100}}));
    let made_at = now() + 1;
    // Job updates that are on their way arrive.
    std::thread::sleep(std::time::Duration::from_secs(1));
    stack.kill_workerd();
    for class in ["ledger", "dispatcher"] {
        run_sql(&stack, class, "PRAGMA wal_checkpoint(TRUNCATE); VACUUM", "");
    }
    fs::create_dir_all(&target).unwrap();
    let storage = stack.directory.join("storage");
    let archive = target.join("objects.tar.gz");
    run("tar", &["-czf", archive.to_str().unwrap(), "-C", storage.to_str().unwrap(), "."].map(AsRef::as_ref));
    let made = json!({
        "made_at": made_at, "ended": ended, "running": running, "waiting": waiting, "canceled": canceled,
        "batch": batch["batch_id"], "file": file["file_id"],
    });
    fs::write(target.join("made.json"), format!("{made:#}\n")).unwrap();
}

/// A stack on the objects of a fixture, a few seconds after they were made.
struct Opened {
    stack: Stack,
    made: Value,
    /// The Worker's time.
    now: i64,
    alice: String,
}

impl Opened {
    fn open(name: &str) -> Self {
        let made: Value =
            serde_json::from_str(&fs::read_to_string(folder().join(name).join("made.json")).unwrap()).unwrap();
        let at = made["made_at"].as_i64().unwrap() + 5;
        let stack = start(Options {
            objects: Some(folder().join(name).join("objects.tar.gz")),
            clock_offset: Some((at - now()) * 1_000),
            ..Options::default()
        });
        // The vendor's clock is the present one: a reset that it sends is hours ahead of the Worker's.
        stack.control_put("/settings", &json!({"requests_per_minute": null}));
        Self { stack, made, now: at, alice: token_of("alice", at, "good") }
    }

    fn id(&self, name: &str) -> &str {
        self.made[name].as_str().unwrap()
    }

    fn read(&self, name: &str) -> Value {
        let read = self.stack.get(&self.alice, &format!("/v1/predictions/{}", self.id(name)));
        assert_eq!(read.status, 200, "{name}: {}", read.text());
        read.json()
    }

    fn usage(&self) -> (Value, Value) {
        let usage = self.stack.usage(&self.alice);
        (usage["credits_spent"].clone(), usage["credits_reserved"].clone())
    }

    fn assert_reads(&self) {
        for (name, status) in
            [("ended", "succeeded"), ("running", "processing"), ("waiting", "queued"), ("canceled", "canceled")]
        {
            assert_eq!(self.read(name)["status"], status, "{name}");
        }
        assert_eq!(self.read("ended")["credits_used"], "2.5");
        let batch = self.stack.get(&self.alice, &format!("/v1/predictions/batch/{}", self.id("batch"))).json();
        assert_eq!(batch["predictions"].as_array().map(Vec::len), Some(2), "{batch}");
        assert_eq!(self.stack.get(&self.alice, &format!("/v1/files/{}", self.id("file"))).status, 200);
        let listed = self.stack.get(&self.alice, "/v1/predictions").json();
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(6), "{listed}");
        assert_eq!(self.usage(), (json!("2.5"), json!("10")));
        let repeated = self.stack.send(&create_of(&self.alice, "ended").header(KEY.0, KEY.1));
        assert_eq!((repeated.status, job_id(&repeated).as_str()), (201, self.id("ended")));
        assert_eq!(repeated.header("idempotency-replayed"), Some("true"));
    }

    fn assert_revocations(&self) {
        let account = |token: &str| self.stack.get(token, "/v1/account").status;
        assert_eq!(account(&token_of("alice", self.now, "lost")), 401);
        assert_eq!(account(&token_of("bob", self.now - 30, "old")), 401);
        assert_eq!(account(&token_of("bob", self.now, "new")), 200);
        let before_all = self.stack.prompt(&token_of("carol", self.now - 200, "old"), "revoked");
        assert_eq!(before_all.error().2, "invalid_token");
    }

    /// Creates one prediction, cancels one, and lets all others end.
    fn assert_works(&self) {
        let created = self.stack.prompt(&self.alice, "new");
        assert_eq!(created.status, 202, "{}", created.text());
        let spent = self.stack.prompt(&token_of("carol", self.now, "new"), "beyond the day");
        assert_refused(&spent, 503, "api_error", "upstream_unavailable");
        let waiting = self.id("waiting");
        assert_eq!(cancel(&self.stack, &self.alice, waiting).json()["status"], "canceled");
        // The vendor's stand-in does not know the prediction that runs.
        self.stack.control_put("/settings", &json!({"manual": false}));
        let output = format!("http://{}/outputs/a.png", self.stack.vendor);
        let answer = json!({"status": "succeeded", "output": [output], "credits_used": 2}).to_string();
        self.stack.fault("get", 1, &json!({"status": 200, "body": answer}));
        let settled = self.stack.ended(&self.alice, self.id("running"));
        assert_eq!((&settled["status"], &settled["credits_used"]), (&json!("succeeded"), &json!("2")));
        assert_eq!(self.stack.ended(&self.alice, &job_id(&created))["status"], "succeeded");
        let batch = self.stack.get(&self.alice, &format!("/v1/predictions/batch/{}", self.id("batch"))).json();
        assert_eq!(batch["status"], "succeeded");
        assert_eq!(self.usage(), (json!("12"), json!("0")));
        assert_eq!(self.stack.sent(), ["batch", "batch", "new"]);
    }
}

#[test]
fn stored_objects_of_every_build_since_the_first_fixture_are_opened() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        println!("{name}");
        let opened = Opened::open(&name);
        opened.assert_reads();
        opened.assert_revocations();
        opened.assert_works();
        let log = opened.stack.worker_log();
        let is_odd = |line: &&str| line.contains("\"alert\"") && !line.contains("daily_credits_");
        assert_eq!(log.lines().find(is_odd), None, "{name}: {log}");
    }
}
