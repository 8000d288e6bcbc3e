//! Limits: requests per minute, concurrent predictions, credits.

use serde_json::{Value, json};

use crate::harness::{OTHER_KEY, Sim};

#[tokio::test]
async fn every_response_counts_down_and_the_sixty_first_request_is_refused() {
    let sim = Sim::start(10).await;
    for used in 1..=60 {
        let reply = sim.get("/v1/account").await;
        assert_eq!((reply.status, reply.number("x-ratelimit-limit")), (200, 60));
        assert_eq!(reply.number("x-ratelimit-remaining"), 60 - used);
    }
    let refused = sim.get("/v1/account").await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!((50..=60).contains(&refused.number("retry-after")));
    let now_secs = sim.state().await["now_ms"].as_u64().unwrap() / 1000;
    assert!((now_secs..=now_secs + 61).contains(&refused.number("x-ratelimit-reset")));
    assert_eq!(sim.state().await["refused"]["rate_limited"], 1);
    assert_eq!(sim.state().await["requests"]["max_in_a_minute"], 61);
    assert_eq!(sim.api_as(OTHER_KEY, "GET", "/v1/account", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn the_request_limit_can_be_changed_and_switched_off() {
    let sim = Sim::start(10).await;
    sim.set(json!({"requests_per_minute": 1})).await;
    assert_eq!(sim.get("/v1/account").await.status, 200);
    assert_eq!(sim.get("/v1/account").await.status, 429);
    sim.set(json!({"requests_per_minute": null})).await;
    let reply = sim.get("/v1/account").await;
    assert_eq!((reply.status, reply.header("x-ratelimit-limit")), (200, None));
}

#[tokio::test]
async fn the_sixth_concurrent_prediction_is_refused() {
    let sim = Sim::start(60_000).await;
    for _ in 0..5 {
        sim.create_id("x").await;
    }
    let refused = sim.create("x").await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert_eq!(refused.number("retry-after"), 1);
    let state = sim.state().await;
    assert_eq!((&state["in_flight"], &state["max_in_flight"]), (&json!(5), &json!(5)));
    assert_eq!((&state["refused"]["concurrency"], state["creates"].as_array().unwrap().len()), (&json!(1), 5));
    sim.set(json!({"concurrent_limit": null})).await;
    sim.create_id("x").await;
}

#[tokio::test]
async fn with_a_queue_a_prediction_over_the_limit_waits_for_a_slot() {
    let sim = Sim::start(60_000).await;
    sim.set(json!({"queue": true, "concurrent_limit": 1})).await;
    let first = sim.create_id("x").await;
    let second = sim.create("x").await.json();
    assert_eq!(second["status"], "queued");
    sim.control("POST", &format!("/predictions/{first}/finish"), Value::Null).await;
    let path = format!("/v1/predictions/{}", second["job_id"].as_str().unwrap());
    assert_eq!(sim.get(&path).await.json()["status"], "processing");
    assert_eq!(sim.state().await["max_in_flight"], 1);
}

#[tokio::test]
async fn without_credits_a_create_is_a_402() {
    let sim = Sim::start(60_000).await;
    sim.set(json!({"balance": "3"})).await;
    sim.create_id("x").await;
    assert_eq!(sim.get("/v1/account/balance").await.json()["credits_balance"], "0.5");
    let refused = sim.create("x").await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (402, &json!("INSUFFICIENT_CREDITS")));
    assert_eq!(sim.state().await["refused"]["payment"], 1);
}

#[tokio::test]
async fn over_the_daily_limit_a_create_is_a_402() {
    let sim = Sim::start(60_000).await;
    sim.set(json!({"daily_limit": "4"})).await;
    sim.create_id("x").await;
    assert_eq!(sim.create("x").await.json()["error"]["code"], "DAILY_LIMIT_EXCEEDED");
}
