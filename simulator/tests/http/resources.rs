//! The routes of models, estimate, files, account and health.

use serde_json::{Value, json};

use crate::client::send;
use crate::harness::{KEY, OTHER_KEY, Sim};

#[tokio::test]
async fn models_are_listed_and_found_by_either_name() {
    let sim = Sim::start(10).await;
    let models = sim.get("/v1/models").await.json()["data"].clone();
    let names: Vec<&str> = models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"black-forest-labs/flux-kontext-max") && names.contains(&"acme/model-x"));
    for path in ["/v1/models/model-x", "/v1/models/acme/model-x", "/v1/models/acme%2Fmodel-x"] {
        assert_eq!(sim.get(path).await.json()["id"], "acme/model-x", "{path}");
    }
    assert_eq!(sim.get("/v1/models/nothing").await.status, 404);
}

#[tokio::test]
async fn an_estimate_is_price_times_outputs() {
    let sim = Sim::start(10).await;
    let body = json!({"model": "black-forest-labs/flux-kontext-max", "input": {"prompt": "x"}, "image_count": 2});
    assert_eq!(sim.api("POST", "/v1/estimate", &body).await.json(), json!({"credits": "5"}));
}

#[tokio::test]
async fn a_file_has_a_type_and_a_length_until_it_is_deleted() {
    let sim = Sim::start(10).await;
    let authorization = format!("Bearer {KEY}");
    let upload = async |content_type: &str| {
        let headers = [("authorization", authorization.as_str()), ("content-type", content_type)];
        send(sim.server.address(), "POST", "/v1/files", &headers, &[7; 3_000_000]).await
    };
    assert_eq!(upload("text/html").await.status, 400);
    let created = upload("image/png").await;
    assert_eq!((created.status, &created.json()["bytes"]), (201, &json!(3_000_000)));
    let path = format!("/v1/files/{}", created.json()["id"].as_str().unwrap());
    assert_eq!(sim.get(&path).await.json(), created.json());
    assert_eq!(sim.get("/v1/files").await.json()["data"], json!([created.json()]));
    assert_eq!(sim.api_as(OTHER_KEY, "DELETE", &path, &Value::Null).await.status, 404);
    assert_eq!(sim.api("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(sim.get(&path).await.status, 404);
}

#[tokio::test]
async fn the_account_shows_its_limits_and_usage() {
    let sim = Sim::start(60_000).await;
    sim.create_id("x").await;
    let account = sim.get("/v1/account").await.json();
    assert_eq!((&account["credits_balance"], &account["concurrent_limit"]), (&json!("997.5"), &json!(5)));
    let day = sim.get("/v1/account/usage").await.json()["data"][0].clone();
    assert_eq!((&day["credits_spent"], &day["predictions"]), (&json!("2.5"), &json!(1)));
    let limits = sim.get("/v1/account/rate-limits").await.json();
    assert_eq!((&limits["remaining"], &limits["running"]), (&json!(56), &json!(1)));
    assert_eq!(sim.get("/v1/health").await.json(), json!({"status": "ok"}));
}
