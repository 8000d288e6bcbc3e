//! Create, read, list and cancel predictions; batches; pictures.

use serde_json::{Value, json};

use crate::client::send;
use crate::harness::{CREATE, OTHER_KEY, Sim};

#[tokio::test]
async fn a_missing_or_unknown_key_is_a_401() {
    let sim = Sim::start(10).await;
    for key in ["", "sk_live_test_unknown_00000000"] {
        let reply = sim.api_as(key, "POST", CREATE, &json!({"input": {"prompt": "x"}})).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.json()["error"]["type"], "authentication_error");
    }
    let reply = send(sim.server.address(), "GET", "/v1/account", &[], b"").await;
    assert_eq!(reply.status, 401);
    assert_eq!(sim.state().await["refused"]["unauthorized"], 3);
}

#[tokio::test]
async fn both_paths_create_and_both_paths_read() {
    let sim = Sim::start(10).await;
    for path in [CREATE, "/v1/models/black-forest-labs/flux-kontext-max/predictions"] {
        let created = sim.api("POST", path, &json!({"input": {"prompt": "x"}})).await;
        assert_eq!(created.status, 201, "{path}");
        let id = created.json()["job_id"].as_str().unwrap().to_owned();
        for path in [format!("/v1/predictions/{id}"), format!("/v1/status/{id}")] {
            assert_eq!(sim.get(&path).await.json()["job_id"], id);
        }
        assert_eq!(sim.state().await["status_polls"][&id], 2);
    }
}

#[tokio::test]
async fn a_prediction_ends_in_a_picture_of_its_own() {
    let sim = Sim::start(10).await;
    let mut pictures = Vec::new();
    for prompt in ["a garden", "a harbor"] {
        let id = sim.create_id(prompt).await;
        sim.wait_for("/in_flight", |running| running == 0).await;
        let output = sim.get(&format!("/v1/predictions/{id}")).await.json()["output"][0].clone();
        let path = output.as_str().unwrap().strip_prefix(&sim.server.url()).unwrap().to_owned();
        assert_eq!(path, format!("/outputs/{id}.png"));
        let picture = send(sim.server.address(), "GET", &path, &[], b"").await;
        assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/png")));
        assert_eq!(picture.header("access-control-allow-origin"), Some("*"));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture.body)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (512, 512));
        pictures.push(pixels);
    }
    assert_ne!(pictures[0], pictures[1]);
}

#[tokio::test]
async fn image_count_makes_and_prices_that_many_outputs() {
    let sim = Sim::start(0).await;
    sim.api("POST", CREATE, &json!({"input": {"prompt": "x"}, "image_count": 3})).await;
    sim.wait_for("/in_flight", |running| running == 0).await;
    let listed = sim.get("/v1/predictions").await.json();
    let outputs = listed["data"][0]["output"].as_array().unwrap().clone();
    assert_eq!(outputs.len(), 3);
    let path = outputs[2].as_str().unwrap().strip_prefix(&sim.server.url()).unwrap().to_owned();
    assert_eq!(send(sim.server.address(), "GET", &path, &[], b"").await.status, 200);
    assert_eq!(sim.get("/v1/account/balance").await.json()["credits_balance"], "992.5");
}

#[tokio::test]
async fn a_failing_prompt_ends_failed_and_its_credits_are_returned() {
    let sim = Sim::start(10).await;
    let id = sim.create_id("[fail] please").await;
    sim.wait_for("/in_flight", |running| running == 0).await;
    let ended = sim.get(&format!("/v1/predictions/{id}")).await.json();
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["error"]["code"], "generation_failed");
    assert_eq!(sim.get("/v1/account/balance").await.json()["credits_balance"], "1000");
}

#[tokio::test]
async fn a_slow_prompt_takes_ten_times_as_long() {
    let sim = Sim::start(30).await;
    sim.create_id("[slow] please").await;
    let row = sim.wait_for("/predictions/0", |row| row["status"] == "succeeded").await;
    let time = |name: &str| row[name].as_u64().unwrap();
    assert!(time("completed_ms") - time("started_ms") >= 300, "{row}");
}

#[tokio::test]
async fn a_cancel_ends_a_prediction_and_does_not_change_an_ended_one() {
    let sim = Sim::start(60_000).await;
    for path in ["/v1/predictions/{id}/cancel", "/v1/cancel/{id}"] {
        let id = sim.create_id("x").await;
        for _ in 0..2 {
            let canceled = sim.api("POST", &path.replace("{id}", &id), &Value::Null).await;
            assert_eq!((canceled.status, &canceled.json()["status"]), (200, &json!("canceled")));
        }
        assert_eq!(sim.state().await["cancels"][&id], 2);
    }
    assert_eq!(sim.state().await["in_flight"], 0);
}

#[tokio::test]
async fn an_invalid_body_is_a_400_that_names_the_member() {
    let sim = Sim::start(10).await;
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input": {}}), "prompt"),
        (json!({"input": {"prompt": 1}}), "prompt"),
        (json!({"input": {"prompt": "x", "aspect_ratio": "2:1"}}), "aspect_ratio"),
        (json!({"input": {"prompt": "x"}, "image_count": 0}), "image_count"),
        (json!({"input": {"prompt": "x"}, "model": "other"}), "model"),
        (json!({"input": {"prompt": "x"}, "webhook": "http://example.com/"}), "webhook"),
    ] {
        let reply = sim.api("POST", CREATE, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["details"]["param"]), (400, &json!(param)), "{body}");
    }
    assert_eq!(sim.state().await["creates"], json!([]));
}

#[tokio::test]
async fn unknown_models_ids_and_paths_are_404() {
    let sim = Sim::start(10).await;
    let body = json!({"input": {"prompt": "x"}});
    assert_eq!(sim.api("POST", "/v1/acme/nothing/predictions", &body).await.status, 404);
    assert_eq!(sim.get("/v1/predictions/pred_nothing").await.status, 404);
    assert_eq!(sim.get("/v1/nothing").await.json()["error"]["type"], "not_found_error");
    assert_eq!(sim.api("DELETE", "/v1/models", &Value::Null).await.status, 405);
}

#[tokio::test]
async fn another_account_cannot_read_or_list_a_prediction() {
    let sim = Sim::start(10).await;
    let id = sim.create_id("x").await;
    let foreign = sim.api_as(OTHER_KEY, "GET", &format!("/v1/predictions/{id}"), &Value::Null).await;
    assert_eq!(foreign.status, 404);
    let listed = sim.api_as(OTHER_KEY, "GET", "/v1/predictions", &Value::Null).await;
    assert_eq!(listed.json()["data"], json!([]));
}

#[tokio::test]
async fn a_list_is_paged_newest_first() {
    let sim = Sim::start(10).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, sim.create_id("x").await);
    }
    let first = sim.get("/v1/predictions?limit=2").await.json();
    let second = sim.get(&format!("/v1/predictions?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    let pages = [first["data"].as_array().unwrap().as_slice(), second.json()["data"].as_array().unwrap()].concat();
    assert_eq!(pages.iter().map(|row| row["job_id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    assert_eq!(second.json()["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_repeated_idempotency_key_is_a_409() {
    let sim = Sim::start(10).await;
    let authorization = format!("Bearer {}", crate::harness::KEY);
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("idempotency-key", "k-1")];
    let body = br#"{"input":{"prompt":"x"}}"#;
    assert_eq!(send(sim.server.address(), "POST", CREATE, &headers, body).await.status, 201);
    let repeated = send(sim.server.address(), "POST", CREATE, &headers, body).await;
    assert_eq!((repeated.status, &repeated.json()["error"]["type"]), (409, &json!("idempotency_error")));
    let creates = sim.state().await["creates"].clone();
    assert_eq!((creates.as_array().unwrap().len(), &creates[0]["idempotency_key"]), (1, &json!("k-1")));
}

#[tokio::test]
async fn a_batch_is_created_whole_or_not_at_all() {
    let sim = Sim::start(10).await;
    let batch = |count: usize, model: &str| json!({"predictions": vec![json!({"model": model, "input": {"prompt": "x"}}); count]});
    assert_eq!(sim.api("POST", "/v1/predictions/batch", &batch(6, "acme/model-x")).await.status, 429);
    assert_eq!(sim.api("POST", "/v1/predictions/batch", &batch(1, "acme/nothing")).await.status, 404);
    assert_eq!(sim.state().await["creates"], json!([]));
    let created = sim.api("POST", "/v1/predictions/batch", &batch(2, "acme/model-x")).await;
    assert_eq!((created.status, &created.json()["status"]), (201, &json!("processing")));
    sim.wait_for("/in_flight", |running| running == 0).await;
    let path = format!("/v1/predictions/batch/{}", created.json()["batch_id"].as_str().unwrap());
    let ended = sim.get(&path).await.json();
    assert_eq!((&ended["status"], ended["predictions"].as_array().unwrap().len()), (&json!("succeeded"), 2));
}
