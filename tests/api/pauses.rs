//! Pauses by operators: what waits, what is refused, and how a pause ends. And what operators see of the Dispatcher.

use serde_json::{Value, json};
use valetkey::types::ids::{JobId, PauseId};
use valetkey::types::time::UnixMillis;

use crate::harness::{ISSUER, MODEL, Options, Stack, shared, token, user};
use crate::http::{Request, Response};
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::sse::Sse;
use crate::steps::{assert_refused, wait_until};

const STATE: &str = "/admin/api/state";
const PAUSE: &str = "/admin/api/pause";
const RESUME: &str = "/admin/api/resume";
const OTHER_MODEL: &str = "/v1/acme/model-y/predictions";

/// Returns options with operators, and this policy for the queue.
fn options(queue: Value) -> Options {
    let mut all = settings(&[&SigningKey::new("k1")]);
    let mut policy: Value =
        serde_json::from_str(&all.iter().find(|(name, _)| *name == "POLICY").unwrap().1.clone().unwrap()).unwrap();
    policy["key"]["queue"] = queue;
    all.retain(|(name, _)| *name != "POLICY");
    all.push(("POLICY", Some(policy.to_string())));
    Options { settings: all, version: Some("version-1"), stores_in_memory: true, ..Options::default() }
}

fn stack() -> Stack {
    Stack::start(&options(json!({})))
}

fn boss() -> String {
    token_of(STAFF, "boss", &json!({}))
}

fn post(stack: &Stack, target: &str, body: &Value) -> Response {
    stack.send(&Request::post(target).bearer(&boss()).json(body))
}

/// Takes a lease. Returns its id.
fn pause(stack: &Stack, body: &Value) -> String {
    let paused = post(stack, PAUSE, body);
    assert_eq!(paused.status, 200, "{}", paused.text());
    let paused = paused.json();
    assert!(paused["ends_at"].is_string() && paused.as_object().unwrap().len() == 2, "{paused}");
    paused["id"].as_str().unwrap().to_owned()
}

fn resume(stack: &Stack, id: &str) {
    assert_eq!(post(stack, RESUME, &json!({"id": id})).status, 204);
}

fn state(stack: &Stack) -> Value {
    let shown = stack.get(&boss(), STATE);
    assert_eq!(shown.status, 200, "{}", shown.text());
    shown.json()
}

fn create_of(stack: &Stack, token: &str, target: &str) -> Response {
    stack.send(&Request::post(target).bearer(token).json(&json!({"input": {"prompt": "p"}})))
}

/// Returns how many creates reached the vendor.
fn creates(stack: &Stack) -> usize {
    stack.vendor_requests().iter().filter(|request| request["route"] == "create").count()
}

#[test]
fn a_create_in_a_pause_waits_and_starts_when_the_last_lease_is_given_back() {
    let stack = stack();
    let token = token(&user("waits"));
    let running = create_of(&stack, &token, MODEL).json()["job_id"].as_str().unwrap().to_owned();
    let leases = [(); 2].map(|()| pause(&stack, &json!({"for_secs": 600})));
    let created = create_of(&stack, &token, MODEL);
    assert_eq!((created.status, created.json()["status"].as_str()), (202, Some("queued")));
    let eta = created.json()["queue"]["eta_seconds"].as_u64().unwrap();
    assert!((500..=600).contains(&eta), "{eta}");
    let waiting = created.json()["job_id"].as_str().unwrap().to_owned();
    let mut events = Sse::open(&stack.worker, &format!("/v1/predictions/{waiting}/events"), &token, &[]);
    assert_eq!(events.next_event().unwrap().json()["status"], "queued");
    assert_eq!(stack.ended(&token, &running)["status"], "succeeded", "polls and reads go on");
    resume(&stack, &leases[0]);
    resume(&stack, &leases[0]);
    let shown = state(&stack);
    assert_eq!((&shown["queue"]["waiting"], &shown["pauses"][0]["id"]), (&json!(1), &json!(leases[1])));
    assert_eq!(creates(&stack), 1);
    resume(&stack, &leases[1]);
    let last = std::iter::from_fn(|| events.next_event()).last().unwrap();
    assert_eq!(last.json()["status"], "succeeded", "an event stream outlasts the pause");
    assert_eq!(stack.ended(&token, &waiting)["status"], "succeeded");
    assert_eq!(state(&stack)["pauses"], json!([]));
}

#[test]
fn the_pause_of_a_model_stops_no_other_model() {
    let mut options = options(json!({}));
    let policy = options.settings.iter_mut().find(|(name, _)| *name == "POLICY").unwrap();
    policy.1 = policy.1.as_ref().map(|text| text.replace(r#""models":["acme/model-y"]"#, r#""models":["*"]"#));
    let stack = Stack::start(&options);
    let token = token(&user("models"));
    pause(&stack, &json!({"for_secs": 60, "model": "acme/model-y"}));
    let waiting = create_of(&stack, &token, OTHER_MODEL);
    assert_eq!(waiting.status, 202);
    assert_eq!(create_of(&stack, &token, MODEL).status, 201);
    assert_eq!(creates(&stack), 1);
}

#[test]
fn a_pause_that_outlasts_the_longest_wait_refuses_creates() {
    let stack = Stack::start(&options(json!({"max_wait_secs": 30})));
    let token = token(&user("refused"));
    let id = pause(&stack, &json!({"for_secs": 3_600}));
    let refused = create_of(&stack, &token, MODEL);
    assert_refused(&refused, 503, "api_error", "upstream_unavailable");
    let retry: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&retry), "{retry}");
    assert_eq!(stack.vendor_requests(), Vec::<Value>::new());
    let account = stack.get(&token, "/v1/account").json();
    assert_eq!(account["usage"]["credits_reserved"], "0");
    resume(&stack, &id);
    assert_eq!(create_of(&stack, &token, MODEL).status, 201);
}

#[test]
fn a_pause_whose_operator_vanishes_ends_by_itself() {
    let stack = stack();
    let token = token(&user("vanished"));
    pause(&stack, &json!({"for_secs": 8}));
    let created = create_of(&stack, &token, MODEL);
    assert_eq!(created.status, 202);
    assert_eq!(stack.ended(&token, created.json()["job_id"].as_str().unwrap())["status"], "succeeded");
}

#[test]
fn a_pause_survives_a_restart_and_an_eviction_and_the_wait_in_it_does_not_count() {
    let mut stack = Stack::start(&options(json!({"max_wait_secs": 10})));
    let token = token(&user("restarted"));
    let id = pause(&stack, &json!({"for_secs": 10}));
    let created = create_of(&stack, &token, MODEL);
    assert_eq!(created.status, 202);
    let since = std::time::Instant::now();
    let renew = |stack: &Stack| {
        let renewed = post(stack, PAUSE, &json!({"for_secs": 600, "id": id}));
        assert_eq!((renewed.status, renewed.json()["id"].as_str()), (200, Some(id.as_str())), "{}", renewed.text());
        assert_eq!(creates(stack), 0);
    };
    renew(&stack);
    stack.restart_workerd();
    renew(&stack);
    stack.evict_dispatcher();
    renew(&stack);
    wait_until("more than the longest wait", || (since.elapsed().as_secs() > 12).then_some(()));
    stack.restart_workerd();
    renew(&stack);
    resume(&stack, &id);
    let ended = stack.ended(&token, created.json()["job_id"].as_str().unwrap());
    assert_eq!(ended["status"], "succeeded", "{ended}");
}

#[test]
fn a_wrong_pause_is_refused_and_stops_nothing() {
    let stack = stack();
    let ended = PauseId::new(UnixMillis(0), [0; 10]);
    for (target, body, param) in [
        (PAUSE, json!({}), "for_secs"),
        (PAUSE, json!({"for_secs": 0}), "for_secs"),
        (PAUSE, json!({"for_secs": 3_601}), "for_secs"),
        (PAUSE, json!({"for_secs": 1.5}), "for_secs"),
        (PAUSE, json!({"for_secs": "9"}), "for_secs"),
        (PAUSE, json!({"for_secs": 9, "model": "acme/unknown"}), "model"),
        (PAUSE, json!({"for_secs": 9, "model": 1}), "model"),
        (PAUSE, json!({"for_secs": 9, "id": "pause_1"}), "id"),
        (RESUME, json!({}), "id"),
        (RESUME, json!({"id": "x"}), "id"),
    ] {
        let refused = post(&stack, target, &body);
        assert_refused(&refused, 400, "invalid_request_error", "invalid_parameter");
        assert_eq!(refused.json()["error"]["details"]["param"], param, "{body}");
    }
    for (target, body) in [(PAUSE, json!({"for_secs": 9, "forever": true})), (RESUME, json!({"id": ended, "all": 1}))] {
        assert_refused(&post(&stack, target, &body), 400, "invalid_request_error", "unsupported_parameter");
    }
    let form = Request::post(PAUSE).bearer(&boss()).header("Content-Type", "text/plain").body("{}");
    assert_refused(&stack.send(&form), 415, "invalid_request_error", "unsupported_media_type");
    let renewal = json!({"for_secs": 9, "id": ended});
    assert_refused(&post(&stack, PAUSE, &renewal), 404, "not_found_error", "not_found");
    assert_eq!(post(&stack, RESUME, &json!({"id": ended})).status, 204, "it has ended");
    let viewer = token_of(STAFF, "viewer", &json!({}));
    let forbidden = stack.send(&Request::post(PAUSE).bearer(&viewer).json(&json!({"for_secs": 9})));
    assert_refused(&forbidden, 403, "permission_error", "insufficient_permissions");
    assert_eq!(state(&stack)["pauses"], json!([]));
    assert_eq!(stack.vendor_requests(), Vec::<Value>::new());
    assert_eq!(create_of(&stack, &token(&user("goes on")), MODEL).status, 201);
}

#[test]
fn at_most_a_hundred_leases_are_held() {
    let stack = stack();
    for _ in 0..100 {
        pause(&stack, &json!({"for_secs": 600}));
    }
    let refused = post(&stack, PAUSE, &json!({"for_secs": 600}));
    assert_refused(&refused, 429, "rate_limit_error", "rate_limited");
    let retry: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&retry), "{retry}");
}

#[test]
fn the_slot_of_an_unknown_outcome_can_be_freed() {
    let mut options = options(json!({}));
    let policy = options.settings.iter_mut().find(|(name, _)| *name == "POLICY").unwrap();
    policy.1 =
        policy.1.as_ref().map(|text| text.replace(r#""concurrent_predictions":100"#, r#""concurrent_predictions":1"#));
    let stack = Stack::start(&options);
    let name = user("unknown");
    let token = token(&name);
    stack.fault("create", 1, &json!({"close_after": true}));
    let created = create_of(&stack, &token, MODEL);
    assert_refused(&created, 504, "api_error", "upstream_timeout");
    let job_id = created.json()["error"]["details"]["job_id"].as_str().unwrap().to_owned();
    let shown = state(&stack);
    assert_eq!(shown["slots"], json!({"total": 1, "in_use": 1, "unknown": 1}));
    let outcome = &shown["unknown_outcomes"][0];
    let owner = valetkey::types::ids::UserKey::new(ISSUER, &name);
    assert_eq!((&outcome["job_id"], &outcome["user"]), (&json!(job_id), &json!(owner)));
    let waiting = create_of(&stack, &token, MODEL);
    assert_eq!(waiting.status, 202);
    let waiting = waiting.json()["job_id"].as_str().unwrap().to_owned();
    let release =
        |job_id: &str| stack.send(&Request::post(&format!("/admin/api/jobs/{job_id}/release")).bearer(&boss()));
    assert_refused(&release(&waiting), 409, "invalid_request_error", "not_ended");
    let unknown = JobId::new(UnixMillis(0), [0; 10]);
    assert_refused(&release(unknown.as_str()), 404, "not_found_error", "not_found");
    assert_refused(&release("pred_1"), 404, "not_found_error", "not_found");
    assert_eq!(release(&job_id).status, 204);
    assert_eq!(stack.ended(&token, &waiting)["status"], "succeeded");
    assert_eq!(stack.ended(&token, &job_id)["error"]["code"], "outcome_unknown");
    assert_refused(&release(&job_id), 404, "not_found_error", "not_found");
}

#[test]
fn the_state_shows_what_is_being_sent_and_nothing_that_is_secret() {
    let stack = stack();
    let token = token(&user("sending"));
    stack.fault("create", 1, &json!({"delay_ms": 8_000}));
    std::thread::scope(|scope| {
        let created = scope.spawn(|| stack.create(&token).status);
        wait_until("the create to be sent", || (state(&stack)["submitting"] == 1).then_some(()));
        assert_eq!(created.join().unwrap(), 201);
    });
    let shown = stack.get(&boss(), STATE);
    let text = shown.text();
    assert!(!text.contains("a test") && !text.contains("sk_live") && !text.contains("https://"), "{text}");
    let shown = shown.json();
    assert_eq!(shown["submitting"], 0);
    assert_eq!(shown["version"]["edge"], json!({"id": "version-1", "tag": null}));
    assert_eq!(shown["version"]["dispatcher"], shown["version"]["edge"]);
    assert_eq!((&shown["migrations"]["breaking"], &shown["migrations"]["breaking_ledger"]), (&json!(0), &json!(0)));
    assert!(shown["migrations"]["dispatcher"].as_u64() > Some(2) && shown["migrations"]["ledger"].as_u64() > Some(1));
    let key = shown["vendor_key"].clone();
    assert_eq!((&key["health"], &key["since"]), (&json!("ok"), &json!(null)));
    let seen = &shown["keys_by_version"][0];
    assert_eq!((&seen["version_id"], &seen["fingerprint"]), (&json!("version-1"), &key["fingerprint"]));
    for object in ["dispatcher", "ledger"] {
        assert_eq!(seen["migrations"][object], shown["migrations"][object], "this version has made the storage");
    }
    let viewer = token_of(STAFF, "viewer", &json!({}));
    assert_eq!(stack.get(&viewer, STATE).status, 200);
    assert_refused(&stack.get(&token, STATE), 401, "authentication_error", "invalid_token");
    assert_refused(&shared().get(&token, STATE), 404, "not_found_error", "not_found");
}

#[test]
fn each_version_is_noted_once_with_its_key() {
    let mut stack = stack();
    let first = state(&stack)["keys_by_version"].clone();
    let mut other = options(json!({}));
    other.settings.push(("DEEPCREATIVE_API_KEY", Some("sk_live_Test9Test9Test9Test9".to_owned())));
    other.version = Some("version-2");
    stack.deploy(&other);
    let second = state(&stack)["keys_by_version"].clone();
    assert_eq!((second.as_array().unwrap().len(), &second[0]), (2, &first[0]));
    assert_eq!(second[1]["version_id"], "version-2");
    assert_ne!(second[1]["fingerprint"], first[0]["fingerprint"]);
    stack.deploy(&options(json!({})));
    assert_eq!(state(&stack)["keys_by_version"], second, "a rollback");
}
