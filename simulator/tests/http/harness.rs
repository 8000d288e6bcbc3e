//! Starts a simulator in this process and sends the requests that most tests need.

use std::time::Duration;

use serde_json::{Value, json};
use valetkey_simulator::{Config, SessionConfig, Simulator, start};

use crate::client::{Reply, send};

/// The key of account `acct_1`.
pub const KEY: &str = "sk_live_test_0000000000000000";
/// The key of account `acct_2`.
pub const OTHER_KEY: &str = "sk_live_test_1111111111111111";
/// The secret that signs session tokens.
pub const SECRET: &str = "test-secret-test-secret-test-sec";
/// The path of a create.
pub const CREATE: &str = "/v1/black-forest-labs/flux-kontext-max/predictions";

/// A simulator under test.
pub struct Sim {
    pub server: Simulator,
}

impl Sim {
    /// Starts a simulator on free ports whose predictions run for `prediction_ms`.
    pub async fn start(prediction_ms: u64) -> Self {
        let session = SessionConfig {
            issuer: "https://issuer.example".to_owned(),
            audience: "bff-test".to_owned(),
            secret: SECRET.to_owned(),
            key_id: Some("k1".to_owned()),
            plan: None,
        };
        Self::with(Config { prediction_ms, session: Some(session), ..Config::default() }).await
    }

    /// Starts a simulator with this configuration, on free ports.
    pub async fn with(config: Config) -> Self {
        let keys = vec![KEY.to_owned(), format!("{OTHER_KEY}@acct_2")];
        let server = start(Config { port: 0, control_port: 0, keys, ..config }).await.unwrap();
        Self { server }
    }

    /// Sends a vendor request with [`KEY`].
    pub async fn api(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.api_as(KEY, method, path, body).await
    }

    /// Sends a vendor request with any key.
    pub async fn api_as(&self, key: &str, method: &str, path: &str, body: &Value) -> Reply {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(self.server.address(), method, path, &headers, body.as_bytes()).await
    }

    /// Sends a GET with [`KEY`].
    pub async fn get(&self, path: &str) -> Reply {
        self.api("GET", path, &Value::Null).await
    }

    /// Creates a prediction and returns the response.
    pub async fn create(&self, prompt: &str) -> Reply {
        self.api("POST", CREATE, &json!({"input": {"prompt": prompt}})).await
    }

    /// Creates a prediction in shape 1 and returns its id.
    pub async fn create_id(&self, prompt: &str) -> String {
        let reply = self.create(prompt).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["job_id"].as_str().unwrap().to_owned()
    }

    /// Sends a control request that must succeed and returns its JSON.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.control_reply(method, path, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Sends a control request.
    pub async fn control_reply(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(self.server.control_address(), method, path, &[], body.as_bytes()).await
    }

    /// Returns `GET /state`.
    pub async fn state(&self) -> Value {
        self.control("GET", "/state", Value::Null).await
    }

    /// Changes settings.
    pub async fn set(&self, settings: Value) -> Value {
        self.control("PUT", "/settings", settings).await
    }

    /// Sets a fault for one request of a route.
    pub async fn fault(&self, route: &str, fault: Value) {
        self.control("POST", "/faults", json!({"route": route, "times": 1, "fault": fault})).await;
    }

    /// Polls `GET /state`, for at most two seconds, until the value at `pointer` satisfies `wanted`.
    pub async fn wait_for(&self, pointer: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..200 {
            let state = self.state().await;
            if let Some(found) = state.pointer(pointer).filter(|value| wanted(value)) {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{pointer} did not become the wanted value: {:#}", self.state().await);
    }
}
