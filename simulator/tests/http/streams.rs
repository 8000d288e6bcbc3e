//! Server-sent events and webhooks.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::open;
use crate::harness::{CREATE, KEY, Sim};

#[tokio::test]
async fn a_stream_sends_each_status_and_ends_after_the_terminal_one() {
    let sim = Sim::start(100).await;
    let id = sim.create_id("x").await;
    let reply = sim.get(&format!("/v1/predictions/{id}/stream")).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let events: Vec<&str> = reply.text().split_terminator("\n\n").collect();
    let statuses: Vec<Value> = events
        .iter()
        .map(|event| event.strip_prefix("event: status\ndata: ").unwrap())
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses, [json!("processing"), json!("succeeded")]);
    assert_eq!(sim.state().await["streams"], json!({"open": 0, "max": 1}));
}

#[tokio::test]
async fn a_stream_closes_when_its_reader_disconnects() {
    let sim = Sim::start(60_000).await;
    sim.set(json!({"stream_interval_ms": 10})).await;
    let id = sim.create_id("x").await;
    let authorization = format!("Bearer {KEY}");
    let path = format!("/v1/predictions/{id}/stream");
    let mut reader = open(sim.server.address(), "GET", &path, &[("authorization", &authorization)], b"").await;
    assert!(reader.read(&mut [0; 64]).await.unwrap() > 0);
    sim.wait_for("/streams/open", |open| open == 1).await;
    drop(reader);
    sim.wait_for("/streams/open", |open| open == 0).await;
}

#[tokio::test]
async fn a_webhook_receives_the_ended_prediction() {
    let sim = Sim::start(10).await;
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/abc", receiver.local_addr().unwrap());
    sim.api("POST", CREATE, &json!({"input": {"prompt": "x"}, "webhook": url})).await;
    let (mut socket, _) = receiver.accept().await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"}") {
        assert!(socket.read_buf(&mut received).await.unwrap() > 0);
    }
    socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let received = String::from_utf8(received).unwrap();
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hooks/abc HTTP/1.1\r\n"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["status"], "succeeded");
    let delivery = sim.wait_for("/webhooks/0", Value::is_object).await;
    assert_eq!((&delivery["url"], &delivery["status"]), (&json!(url), &json!(204)));
}
