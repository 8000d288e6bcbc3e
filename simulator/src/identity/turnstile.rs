//! Cloudflare's Turnstile as its documentation describes it: `POST /turnstile/v0/siteverify`. **For tests only**: a
//! visitor's token says itself on which page it was made, and for what.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::Response;
use axum::{Form, Router, routing::post};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::vendor::json_response;

/// The only secret that it knows.
const SECRET: &str = "turnstile-secret-of-the-simulator";

/// Tokens that were validated: each counts once.
#[derive(Debug, Default)]
pub struct Spent(Mutex<BTreeSet<String>>);

pub fn router() -> Router<Arc<App>> {
    Router::new().route("/turnstile/v0/siteverify", post(verify))
}

#[derive(Debug, Deserialize)]
struct Question {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    response: String,
}

/// `response` is `guest:{hostname}:{action}:{anything}`.
async fn verify(State(app): State<Arc<App>>, Form(question): Form<Question>) -> Response {
    let refused = |code: &str| json_response(&json!({"success": false, "error-codes": [code]}));
    if question.secret != SECRET {
        return refused("invalid-input-secret");
    }
    let parts: Vec<&str> = question.response.splitn(4, ':').collect();
    let ["guest", hostname, action, _] = parts[..] else { return refused("invalid-input-response") };
    let mut spent = app.spent_guests.0.lock().unwrap_or_else(PoisonError::into_inner);
    if !spent.insert(question.response.clone()) {
        return refused("timeout-or-duplicate");
    }
    json_response(&json!({
        "success": true, "challenge_ts": "2026-01-15T10:30:00.000Z", "hostname": hostname, "error-codes": [],
        "action": action, "cdata": "", "metadata": {"interactive": false},
    }))
}
