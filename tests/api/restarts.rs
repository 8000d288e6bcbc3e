//! Kills workerd and restarts it on the same storage: nothing is lost, and nothing is sent twice.

use serde_json::json;

use crate::harness::{MODEL, Options, Stack, token, user};
use crate::http::Request;
use crate::steps::wait_until;

#[test]
fn a_running_prediction_survives_a_kill() {
    let mut stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "3000"], ..Options::default() });
    let token = token(&user("survivor"));
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    stack.restart_workerd();
    let ended = stack.ended(&token, &id);
    assert_eq!(ended["status"], "succeeded");
    assert_eq!(stack.control_get("/state")["predictions"].as_array().unwrap().len(), 1);
    assert_eq!(stack.get(&token, "/v1/account").json()["usage"]["credits_spent"], "2.5");
}

#[test]
fn a_create_interrupted_by_a_kill_has_an_unknown_outcome_and_is_not_resent() {
    let mut stack = Stack::start(&Options::default());
    let token = token(&user("interrupted"));
    stack.fault("create", 1, &json!({"delay_after_ms": 4_000}));
    let body = json!({"input": {"prompt": "p"}});
    Request::post(MODEL).bearer(&token).json(&body).send_and_leave(&stack.worker, || {
        wait_until("the vendor has it", || (stack.control_get("/state")["predictions"] != json!([])).then_some(()));
    });
    stack.restart_workerd();
    let listed = stack.get(&token, "/v1/predictions").json();
    let id = listed["data"][0]["job_id"].as_str().unwrap().to_owned();
    // Reads do not wake the Dispatcher for fifteen seconds; its own alarm does.
    let ended = stack.ended(&token, &id);
    assert_eq!((ended["status"].as_str(), ended["error"]["code"].as_str()), (Some("failed"), Some("outcome_unknown")));
    assert_eq!(stack.control_get("/state")["predictions"].as_array().unwrap().len(), 1);
    assert_eq!(stack.get(&token, "/v1/account").json()["usage"]["credits_spent"], "2.5");
}

#[test]
fn repeated_kills_lose_nothing_and_send_nothing_twice() {
    let mut stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "1500"], ..Options::default() });
    let token = token(&user("unlucky"));
    let mut accepted = Vec::new();
    for _ in 0..5 {
        for _ in 0..3 {
            let answer = stack.create(&token);
            assert_eq!(answer.status, 201, "{}", answer.text());
            accepted.push(answer.json()["job_id"].as_str().unwrap().to_owned());
        }
        stack.restart_workerd();
    }
    for id in &accepted {
        assert_eq!(stack.ended(&token, id)["status"], "succeeded");
    }
    let state = stack.control_get("/state");
    assert_eq!(state["predictions"].as_array().unwrap().len(), accepted.len());
    assert_eq!(state["in_flight"], 0);
    let usage = stack.get(&token, "/v1/account").json()["usage"].clone();
    assert_eq!((&usage["credits_reserved"], &usage["running"]), (&json!("0"), &json!(0)));
}

#[test]
fn polls_are_retried_when_the_vendor_closes_the_connection() {
    let stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "500"], ..Options::default() });
    let token = token(&user("down"));
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    stack.fault("get", 2, &json!({"close_before": true}));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
}
