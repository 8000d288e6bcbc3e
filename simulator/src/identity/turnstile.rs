//! Cloudflare Turnstile as its documentation describes it: `POST /turnstile/v0/siteverify`
//! (<https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>). **For tests only**: a visitor's
//! token itself names the page that it was made on, and the action.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Form, Router, routing::post};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::response::json_response;

/// The only accepted secret.
const SECRET: &str = "turnstile-secret-of-the-simulator";

/// Returns the route of `siteverify`, for the main port.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/turnstile/v0/siteverify", post(verify))
}

#[derive(Debug, Deserialize)]
struct SiteverifyRequest {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    response: String,
}

/// Validates a visitor's token once. `response` is `guest:{hostname}:{action}:{anything}`, or the same with slashes: the
/// client for browsers accepts no colon in a token, which Turnstile's own do not have.
async fn verify(State(app): State<Arc<App>>, Form(request): Form<SiteverifyRequest>) -> Response {
    let refused = |code: &str| json_response(&json!({"success": false, "error-codes": [code]}));
    if request.secret != SECRET {
        return refused("invalid-input-secret");
    }
    let parts: Vec<&str> = request.response.splitn(4, [':', '/']).collect();
    let ["guest", hostname, action, _] = parts[..] else { return refused("invalid-input-response") };
    if !app.used_turnstile_tokens.insert(request.response.clone()) {
        return refused("timeout-or-duplicate");
    }
    json_response(&json!({
        "success": true, "challenge_ts": "2026-01-15T10:30:00.000Z", "hostname": hostname, "error-codes": [],
        "action": action, "cdata": "", "metadata": {"interactive": false},
    }))
}
