//! The two response shapes and the two error envelopes.

use serde_json::{Value, json};

use crate::harness::{CREATE, Sim};

#[tokio::test]
async fn shape_one_has_job_id_urls_output_and_metrics() {
    let sim = Sim::start(10).await;
    let created = sim.create("x").await.json();
    let id = created["job_id"].as_str().unwrap();
    assert!(id.starts_with("pred_"));
    assert_eq!((&created["status"], &created["model"]), (&json!("processing"), &json!("flux-kontext-max")));
    assert_eq!(created["urls"]["get"], format!("{}/v1/status/{id}", sim.server.url()));
    assert_eq!((created.get("id"), created.get("output")), (None, None));
    sim.wait_for("/in_flight", |running| running == 0).await;
    let ended = sim.get(&format!("/v1/predictions/{id}")).await.json();
    assert!(ended["metrics"]["predict_time"].is_f64() && ended["completed_at"].is_string());
    assert_eq!(ended.get("credits_used"), None);
}

#[tokio::test]
async fn shape_two_has_an_integer_id_output_data_and_credits() {
    let sim = Sim::start(10).await;
    sim.set(json!({"shape": "flux"})).await;
    let created = sim.create("x").await.json();
    let id = created["id"].as_u64().unwrap();
    assert_eq!(created["model"], "black-forest-labs");
    assert_eq!(created["model_version"], "flux-kontext-max");
    assert_eq!((&created["user_id"], &created["credits_used"]), (&json!("acct_1"), &json!("2.5")));
    assert_eq!((created.get("job_id"), &created["output_data"]), (None, &json!({"urls": []})));
    sim.wait_for("/in_flight", |running| running == 0).await;
    let ended = sim.get(&format!("/v1/predictions/{id}")).await.json();
    assert_eq!(ended["status"], "succeeded");
    assert!(ended["output_data"]["urls"][0].as_str().unwrap().ends_with(".png"));
}

#[tokio::test]
async fn mixed_shapes_alternate_and_either_id_is_found() {
    let sim = Sim::start(10).await;
    sim.set(json!({"shape": "mixed"})).await;
    let created = sim.create("x").await.json();
    let by_text = sim.get(&format!("/v1/predictions/{}", created["job_id"].as_str().unwrap())).await.json();
    let by_number = sim.get(&format!("/v1/predictions/{}", by_text["id"])).await.json();
    assert_eq!(by_number["job_id"], created["job_id"]);
}

#[tokio::test]
async fn either_error_envelope_can_be_set() {
    let sim = Sim::start(10).await;
    let body = json!({"input": {}});
    let typed = sim.api("POST", CREATE, &body).await.json()["error"].clone();
    assert_eq!((&typed["type"], &typed["code"]), (&json!("invalid_request_error"), &json!("INVALID_REQUEST")));
    sim.set(json!({"error_envelope": "rest"})).await;
    let rest = sim.api("POST", CREATE, &body).await.json()["error"].clone();
    assert_eq!((rest.get("type"), &rest["code"]), (None, &json!("invalid_request")));
    assert_eq!(rest["details"], json!({"param": "prompt", "type": "invalid_request_error"}));
    assert_eq!(sim.api_as("", "GET", "/v1/account", &Value::Null).await.json()["error"]["code"], "invalid_api_key");
}

#[tokio::test]
async fn output_urls_start_with_outputs_base_url() {
    let sim = Sim::start(0).await;
    sim.set(json!({"outputs_base_url": "https://cdn.example"})).await;
    let id = sim.create_id("x").await;
    sim.wait_for("/in_flight", |running| running == 0).await;
    let ended = sim.get(&format!("/v1/predictions/{id}")).await.json();
    assert_eq!(ended["output"][0], format!("https://cdn.example/outputs/{id}.png"));
}
