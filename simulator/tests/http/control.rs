//! The control API: recorded requests, state, settings, `finish`, reset.

use serde_json::{Value, json};

use crate::harness::{CREATE, KEY, OTHER_KEY, Sim};

#[tokio::test]
async fn requests_are_recorded_with_headers_and_body() {
    let sim = Sim::start(10).await;
    sim.api("POST", &format!("{CREATE}?a=1"), &json!({"input": {"prompt": "hi"}})).await;
    let first = sim.control("GET", "/requests", Value::Null).await;
    let request = &first["requests"][0];
    assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!(CREATE)));
    assert_eq!(
        (&request["query"], &request["route"], &request["status"]),
        (&json!("a=1"), &json!("create"), &json!(201))
    );
    assert_eq!(request["body"], r#"{"input":{"prompt":"hi"}}"#);
    let authorization = json!(["authorization", format!("Bearer {KEY}")]);
    assert!(request["headers"].as_array().unwrap().contains(&authorization));
    sim.get("/v1/models").await;
    let later = sim.control("GET", &format!("/requests?since={}", first["next"]), Value::Null).await;
    assert_eq!((later["requests"].as_array().unwrap().len(), &later["requests"][0]["path"]), (1, &json!("/v1/models")));
    sim.control("DELETE", "/requests", Value::Null).await;
    assert_eq!(sim.control("GET", "/requests", Value::Null).await["requests"], json!([]));
    assert_eq!(sim.state().await["requests"]["total"], 0);
}

#[tokio::test]
async fn a_long_body_is_recorded_up_to_64_kib() {
    let sim = Sim::start(10).await;
    sim.create(&"a".repeat(100_000)).await;
    let request = sim.control("GET", "/requests", Value::Null).await["requests"][0].clone();
    assert_eq!(request["body"].as_str().unwrap().len(), 65_536);
    assert!(request["body_bytes"].as_u64().unwrap() > 100_000);
}

#[tokio::test]
async fn the_state_counts_routes_and_lists_creates() {
    let sim = Sim::start(10).await;
    let id = sim.create_id("hi").await;
    sim.get("/v1/models").await;
    let state = sim.state().await;
    assert_eq!((&state["requests"]["total"], &state["requests"]["last_minute"]), (&json!(2), &json!(2)));
    assert_eq!(state["requests"]["by_route"], json!({"create": 1, "models": 1}));
    let create = &state["creates"][0];
    assert_eq!((&create["id"], &create["input"]), (&json!(id), &json!({"prompt": "hi"})));
    assert_eq!(create["model"], "black-forest-labs/flux-kontext-max");
    assert_eq!(state["accounts"]["acct_1"], json!({"credits_balance": "997.5", "keys": 1}));
}

#[tokio::test]
async fn finish_ends_a_prediction_once() {
    let sim = Sim::start(0).await;
    sim.set(json!({"manual": true})).await;
    let id = sim.create_id("x").await;
    let path = format!("/predictions/{id}/finish");
    assert_eq!(sim.get(&format!("/v1/predictions/{id}")).await.json()["status"], "processing");
    let ended = sim.control("POST", &path, json!({"status": "succeeded", "credits_used": "1.5"})).await;
    assert_eq!((&ended["status"], &ended["credits_used"]), (&json!("succeeded"), &json!("1.5")));
    assert_eq!(sim.get("/v1/account/balance").await.json()["credits_balance"], "998.5");
    assert_eq!(sim.control_reply("POST", &path, Value::Null).await.status, 409);
    assert_eq!(sim.control_reply("POST", "/predictions/none/finish", Value::Null).await.status, 404);
}

#[tokio::test]
async fn added_and_revoked_keys_take_effect_at_once() {
    let sim = Sim::start(10).await;
    let new = "sk_live_test_2222222222222222";
    sim.set(json!({"keys": {"add": [new], "revoke": [KEY]}})).await;
    assert_eq!(sim.get("/v1/account").await.status, 401);
    assert_eq!(sim.api_as(new, "GET", "/v1/account", &Value::Null).await.json()["id"], "acct_1");
    assert_eq!(sim.api_as(OTHER_KEY, "GET", "/v1/account", &Value::Null).await.json()["id"], "acct_2");
}

#[tokio::test]
async fn settings_change_all_or_none() {
    let sim = Sim::start(10).await;
    let before = sim.control("GET", "/settings", Value::Null).await;
    for wrong in [json!({"shape": "flux", "color": 1}), json!({"queue": true, "keys": {"add": ["nonsense"]}})] {
        assert_eq!(sim.control_reply("PUT", "/settings", wrong).await.status, 400);
    }
    assert_eq!(sim.control("GET", "/settings", Value::Null).await, before);
}

#[tokio::test]
async fn a_reset_clears_history_and_on_request_predictions_and_settings() {
    let sim = Sim::start(10).await;
    sim.set(json!({"requests_per_minute": 1, "balance": "50"})).await;
    let id = sim.create_id("x").await;
    sim.fault("any", json!({"status": 500})).await;
    sim.control("POST", "/reset", Value::Null).await;
    let state = sim.state().await;
    assert_eq!((&state["creates"], &state["requests"]["total"]), (&json!([]), &json!(0)));
    assert_eq!(sim.get(&format!("/v1/predictions/{id}")).await.status, 200, "rate window and faults are cleared");
    sim.control("POST", "/reset", json!({"predictions": true, "settings": true})).await;
    assert_eq!(sim.get(&format!("/v1/predictions/{id}")).await.status, 404);
    assert_eq!(sim.get("/v1/account/balance").await.json()["credits_balance"], "1000");
}
