//! The rotation of the vendor key, with the simulator's keys: what is sent with which, and what clients see of it.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, VENDOR_KEY, token, user};
use crate::http::Request;
use crate::identity::{STAFF, SigningKey, settings, token_of};
use crate::steps::wait_until;

const NEXT_KEY: &str = "sk_live_Next0Next1Next2Next3Next4";

/// Returns options in which the next key is set.
fn rotating() -> Options {
    let mut all = settings(&[&SigningKey::new("k1")]);
    all.push(("DEEPCREATIVE_API_KEY_NEXT", Some(NEXT_KEY.to_owned())));
    Options { settings: all, stores_in_memory: true, ..Options::default() }
}

/// Returns options in which the next key has become the only one.
fn rotated() -> Options {
    let mut options = rotating();
    options.settings.retain(|(name, _)| *name != "DEEPCREATIVE_API_KEY_NEXT");
    options.settings.push(("DEEPCREATIVE_API_KEY", Some(NEXT_KEY.to_owned())));
    options
}

/// Returns a stack with a next key that the vendor knows.
fn stack() -> Stack {
    let stack = Stack::start(&Options { simulator: vec!["--key", NEXT_KEY], ..rotating() });
    stack.control_put("/settings", &json!({"manual": true}));
    stack
}

fn revoke(stack: &Stack, key: &str) {
    stack.control_put("/settings", &json!({"keys": {"revoke": [key]}}));
}

fn rotation(stack: &Stack) -> Value {
    let shown = stack.get(&token_of(STAFF, "boss", &json!({})), "/admin/api/state");
    assert_eq!(shown.status, 200, "{}", shown.text());
    shown.json()["rotation"].clone()
}

fn wait_for(stack: &Stack, state: &str) {
    wait_until(state, || (rotation(stack)["state"] == state).then_some(()));
}

/// Creates a prediction. Returns its id.
fn create(stack: &Stack, token: &str, status: u16) -> String {
    let created = stack.send(&Request::post(MODEL).bearer(token).json(&json!({"input": {"prompt": "p"}})));
    assert_eq!(created.status, status, "{}", created.text());
    created.json()["job_id"].as_str().unwrap().to_owned()
}

/// Lets all predictions at the vendor end.
fn finish_all(stack: &Stack) {
    for prediction in stack.control_get("/state")["predictions"].as_array().unwrap() {
        let id = prediction["id"].as_str().unwrap();
        if prediction["status"] == "processing" {
            stack.control_post(&format!("/predictions/{id}/finish"), &json!({"status": "succeeded"}));
        }
    }
}

/// Returns the keys of the requests to a route of the vendor, in order.
fn keys(stack: &Stack, route: &str) -> Vec<&'static str> {
    let key = |request: &Value| {
        let headers = request["headers"].as_array().unwrap().iter();
        let bearer = headers.clone().find(|pair| pair[0] == "authorization").unwrap()[1].as_str().unwrap();
        if bearer.ends_with(NEXT_KEY) {
            "next"
        } else if bearer.ends_with(VENDOR_KEY) {
            "old"
        } else {
            "unknown"
        }
    };
    stack.vendor_requests().iter().filter(|request| request["route"] == route).map(key).collect()
}

#[test]
fn a_rotation_drains_the_old_key_and_costs_no_client_anything() {
    let mut stack = Stack::start(&Options { settings: settings(&[&SigningKey::new("k1")]), ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true, "keys": {"add": [NEXT_KEY]}}));
    assert_eq!(rotation(&stack), json!({"state": "none", "fingerprint": null, "since": null, "jobs_of_old_key": 0}));
    let token = token(&user("rotated"));
    let old = create(&stack, &token, 201);
    stack.deploy(&rotating());
    wait_for(&stack, "draining");
    assert_eq!((keys(&stack, "account"), &rotation(&stack)["jobs_of_old_key"]), (vec!["next"], &json!(1)));
    let new = create(&stack, &token, 201);
    assert_eq!(keys(&stack, "create"), ["old", "next"]);
    finish_all(&stack);
    for job_id in [&old, &new] {
        assert_eq!(stack.ended(&token, job_id)["status"], "succeeded");
    }
    wait_for(&stack, "safe_to_revoke");
    revoke(&stack, VENDOR_KEY);
    let last = create(&stack, &token, 201);
    stack.deploy(&rotated());
    wait_for(&stack, "none");
    finish_all(&stack);
    assert_eq!(stack.ended(&token, &last)["status"], "succeeded", "its webhook and its key are still known");
    assert_eq!(keys(&stack, "account").len(), 1, "one check");
}

#[test]
fn a_refused_next_key_is_an_alert_and_creates_go_on_with_the_old_one() {
    let stack = Stack::start(&rotating());
    wait_for(&stack, "refused");
    stack.assert_logged("next_key_refused");
    let token = token(&user("refused"));
    let job_id = create(&stack, &token, 201);
    assert_eq!(stack.ended(&token, &job_id)["status"], "succeeded");
    assert_eq!(keys(&stack, "create"), ["old"]);
}

#[test]
fn a_streak_of_401_on_the_new_key_falls_back_to_the_old_one() {
    let stack = stack();
    wait_for(&stack, "safe_to_revoke");
    revoke(&stack, NEXT_KEY);
    let token = token(&user("falls back"));
    let job_id = create(&stack, &token, 202);
    stack.until(&token, &job_id, |prediction| prediction["status"] == "processing");
    wait_until("the create with the old key", || {
        (keys(&stack, "create") == ["next", "next", "next", "old"]).then_some(())
    });
    stack.assert_logged("next_key_refused");
    assert_eq!(rotation(&stack)["state"], "refused");
    create(&stack, &token, 201);
    finish_all(&stack);
    assert_eq!(stack.ended(&token, &job_id)["status"], "succeeded");
}

#[test]
fn an_old_key_that_is_revoked_in_the_middle_costs_no_client_an_error() {
    let mut stack = Stack::start(&Options { settings: settings(&[&SigningKey::new("k1")]), ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true, "keys": {"add": [NEXT_KEY]}}));
    let token = token(&user("revoked"));
    let running = [(); 2].map(|()| create(&stack, &token, 201));
    stack.deploy(&rotating());
    wait_for(&stack, "draining");
    revoke(&stack, VENDOR_KEY);
    let new = create(&stack, &token, 201);
    let canceled = stack.send(&Request::post(&format!("/v1/predictions/{}/cancel", running[0])).bearer(&token));
    assert_eq!(canceled.status, 200);
    assert_eq!(stack.ended(&token, &running[0])["status"], "canceled");
    finish_all(&stack);
    for job_id in [&running[1], &new] {
        assert_eq!(stack.ended(&token, job_id)["status"], "succeeded");
    }
}

#[test]
fn a_current_key_that_is_revoked_before_the_next_one_was_checked_is_replaced() {
    let stack = Stack::start(&Options { simulator: vec!["--key", NEXT_KEY], ..rotating() });
    // The check gets no answer.
    stack.fault("account", 100, &json!({"close_before": true}));
    revoke(&stack, VENDOR_KEY);
    let token = token(&user("replaced"));
    let created = stack.create(&token);
    assert!([201, 202].contains(&created.status), "{}", created.text());
    let ended = stack.ended(&token, created.json()["job_id"].as_str().unwrap());
    assert_eq!(ended["status"], "succeeded");
}

#[test]
fn a_stream_a_deletion_and_a_repeated_upload_use_the_key_that_works() {
    let stack = stack();
    wait_for(&stack, "safe_to_revoke");
    let token = token(&user("files"));
    let upload =
        || stack.send(&Request::post("/v1/files").bearer(&token).header("Content-Type", "image/png").body("png"));
    let file = upload();
    assert_eq!(file.status, 201, "{}", file.text());
    assert_eq!(keys(&stack, "files"), ["next"]);
    let job_id = create(&stack, &token, 201);
    revoke(&stack, NEXT_KEY);
    let stream = Request::get(&format!("/v1/predictions/{job_id}/stream")).bearer(&token);
    stream.send_and_leave(&stack.worker, || {
        wait_until("the stream with the old key", || (keys(&stack, "stream") == ["next", "old"]).then_some(()));
    });
    let delete =
        Request::new("DELETE", &format!("/v1/files/{}", file.json()["file_id"].as_str().unwrap())).bearer(&token);
    assert_eq!(stack.send(&delete).status, 204);
}

#[test]
fn equal_and_malformed_keys_are_named_by_readyz() {
    for (next, problem) in [(VENDOR_KEY, "is the same key"), ("sk_live_short", "is not sk_live_")] {
        let mut options = rotating();
        options.settings.retain(|(name, _)| *name != "DEEPCREATIVE_API_KEY_NEXT");
        options.settings.push(("DEEPCREATIVE_API_KEY_NEXT", Some(next.to_owned())));
        let stack = Stack::start(&options);
        let ready = stack.send(&Request::get("/readyz"));
        assert_eq!(ready.status, 503);
        let error = &ready.json()["errors"][0];
        assert_eq!(error["name"], "DEEPCREATIVE_API_KEY_NEXT", "{error}");
        assert!(error["problem"].as_str().unwrap().contains(problem), "{error}");
        assert!(!ready.text().contains("sk_live_Test"), "no key is shown");
    }
}
