//! Identity providers: each publishes its key set on the main port, and signs tokens of its own shape on the control port.
//! **For tests only**: a token is given to whoever asks.

mod keys;
mod shapes;
mod turnstile;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use keys::Keys;
pub use turnstile::Spent;

use crate::app::App;
use crate::clock::now_ms;
use crate::vendor::json_response;
use shapes::Provider;

/// `GET /idp/{provider}/keys`: what a provider publishes at its `jwks_uri`; and Turnstile.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/idp/{provider}/keys", get(published)).merge(turnstile::router())
}

/// `POST /identity/{provider}/token`, `POST /identity/{provider}/rotate`, for the control port.
pub fn control() -> Router<Arc<App>> {
    Router::new().route("/identity/{provider}/token", post(token)).route("/identity/{provider}/rotate", post(rotate))
}

async fn published(State(app): State<Arc<App>>, Path(provider): Path<Provider>) -> Response {
    json_response(&provider.key_set(&app.keys))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    sub: String,
    /// Instead of the shape's own; `null` removes one.
    #[serde(default)]
    claims: Map<String, Value>,
    /// Instead of the shape's own; `null` removes one.
    #[serde(default)]
    header: Map<String, Value>,
}

/// `{"sub":"alice","claims"?:{…},"header"?:{…}}` → `{"token":"…"}`, signed with the provider's newest key. 400 for anything else.
async fn token(State(app): State<Arc<App>>, Path(provider): Path<Provider>, body: Bytes) -> Response {
    let Ok(wanted) = serde_json::from_slice::<Wanted>(&body) else {
        return (StatusCode::BAD_REQUEST, "expected {\"sub\":\"…\"}").into_response();
    };
    let seconds = now_ms() / 1_000;
    let (mut header, mut claims) = (provider.header(), provider.claims(&wanted.sub, seconds));
    for (members, changes) in [(&mut header, wanted.header), (&mut claims, wanted.claims)] {
        for (name, value) in changes {
            if value.is_null() {
                members.remove(&name)
            } else {
                members.insert(name, value)
            };
        }
    }
    match app.keys.sign(provider.as_str(), provider.algorithm(), header, &claims) {
        Some(token) => json_response(&json!({"token": token})),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A new key signs from now on; the last one stays published, the one before goes. → `{}`
async fn rotate(State(app): State<Arc<App>>, Path(provider): Path<Provider>) -> Response {
    app.keys.rotate(provider.as_str());
    json_response(&json!({}))
}
