//! The routes of the identity providers, on the main port and on the control port.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::provider::Provider;
use super::turnstile;
use crate::app::App;
use crate::clock::now_ms;
use crate::response::json_response;

/// Returns the routes of the main port: `GET /idp/{provider}/keys`, a provider's `jwks_uri`, and Turnstile.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/idp/{provider}/keys", get(key_set)).merge(turnstile::router())
}

/// Returns the routes of the control port: `POST /identity/{provider}/token` and `POST /identity/{provider}/rotate`.
pub fn control_router() -> Router<Arc<App>> {
    Router::new().route("/identity/{provider}/token", post(token)).route("/identity/{provider}/rotate", post(rotate))
}

async fn key_set(State(app): State<Arc<App>>, Path(provider): Path<Provider>) -> Response {
    json_response(&provider.key_set(&app.signing_keys))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    sub: String,
    /// Replaces claims of the provider's shape; `null` removes one.
    #[serde(default)]
    claims: Map<String, Value>,
    /// Replaces header members of the provider's shape; `null` removes one.
    #[serde(default)]
    header: Map<String, Value>,
}

/// Signs a token with the provider's newest key: `{"sub":"alice","claims"?:{…},"header"?:{…}}` → `{"token":"…"}`.
/// Responds with 400 to any other body.
async fn token(State(app): State<Arc<App>>, Path(provider): Path<Provider>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<TokenRequest>(&body) else {
        return (StatusCode::BAD_REQUEST, "expected {\"sub\":\"…\"}").into_response();
    };
    let seconds = now_ms() / 1_000;
    let (mut header, mut claims) = (provider.header(), provider.claims(&request.sub, seconds));
    for (members, changes) in [(&mut header, request.header), (&mut claims, request.claims)] {
        for (name, value) in changes {
            if value.is_null() {
                members.remove(&name)
            } else {
                members.insert(name, value)
            };
        }
    }
    match app.signing_keys.sign(provider.as_str(), provider.algorithm(), header, &claims) {
        Some(token) => json_response(&json!({"token": token})),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Makes the next key sign. The previous key stays published, the one before it does not. → `{}`
async fn rotate(State(app): State<Arc<App>>, Path(provider): Path<Provider>) -> Response {
    app.signing_keys.rotate(provider.as_str());
    json_response(&json!({}))
}
