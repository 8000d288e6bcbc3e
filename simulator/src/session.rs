//! The demo app's backend: signs session tokens. **For development only**: a real backend authenticates its user first;
//! this one signs a token for any name.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jwt_simple::algorithms::{HS256Key, MACLike};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::Duration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::config::SessionConfig;
use crate::ids::new_token_id;
use crate::loopback::is_loopback_origin;
use crate::response::{json_response, json_response_with};

/// Lifetime of a token, in seconds.
const TOKEN_SECS: u64 = 300;
/// Maximum length of the subject, in characters.
const MAX_SUBJECT_CHARS: usize = 255;

/// The body of `POST /session`.
#[derive(Debug, Deserialize)]
struct SessionRequest {
    sub: String,
    plan: Option<String>,
}

/// The claims beyond the registered ones.
#[derive(Debug, Serialize, Deserialize)]
struct PlanClaim {
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

/// Returns the route `POST /session` with its CORS preflight.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/session", post(create).options(preflight))
}

/// Signs a token: `{"sub":"alice","plan"?:"pro"}` → `{"token":"<JWT>"}`. HS256, valid for five minutes, with the claims
/// `iss`, `aud`, `sub`, `iat`, `exp`, `jti` and, if there is a plan, `plan`.
///
/// 1. The origin is not on this machine: 403.
/// 2. `SESSION_SECRET` is not set: 503.
/// 3. The JSON is malformed, or `sub` has 0 or more than 255 characters: 400.
async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    // 1.
    let Ok(origin) = allowed_origin(&headers) else { return foreign_origin() };
    let response = match (&app.session, serde_json::from_slice::<SessionRequest>(&body)) {
        // 2.
        (None, _) => refuse(StatusCode::SERVICE_UNAVAILABLE, "session_unavailable", "SESSION_SECRET is not set"),
        // 3.
        (Some(_), Err(_)) => refuse(StatusCode::BAD_REQUEST, "invalid_json", "expected {\"sub\":\"…\"}"),
        (Some(_), Ok(request)) if !(1..=MAX_SUBJECT_CHARS).contains(&request.sub.chars().count()) => {
            refuse(StatusCode::BAD_REQUEST, "invalid_parameter", "sub must have 1 to 255 characters")
        }
        (Some(config), Ok(request)) => mint(config, request),
    };
    with_cors(response, origin)
}

async fn preflight(headers: HeaderMap) -> Response {
    let Ok(origin) = allowed_origin(&headers) else { return foreign_origin() };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    with_cors(response, origin)
}

fn mint(config: &SessionConfig, request: SessionRequest) -> Response {
    let plan = PlanClaim { plan: request.plan.or_else(|| config.plan.clone()) };
    let mut claims = Claims::with_custom_claims(plan, Duration::from_secs(TOKEN_SECS))
        .with_issuer(&config.issuer)
        .with_audience(&config.audience)
        .with_subject(request.sub)
        .with_jwt_id(new_token_id());
    claims.invalid_before = None;
    let mut key = HS256Key::from_bytes(config.secret.as_bytes());
    if let Some(key_id) = &config.key_id {
        key = key.with_key_id(key_id);
    }
    match key.authenticate(claims) {
        Ok(token) => json_response(&json!({"token": token})),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "signing_failed", "the token could not be signed"),
    }
}

/// Returns the request's origin: a page on this machine, or `None` for a request that no browser sent.
///
/// # Errors
/// The origin is not on this machine.
fn allowed_origin(headers: &HeaderMap) -> Result<Option<HeaderValue>, ()> {
    match headers.get(header::ORIGIN) {
        None => Ok(None),
        Some(origin) if origin.to_str().is_ok_and(is_loopback_origin) => Ok(Some(origin.clone())),
        Some(_) => Err(()),
    }
}

fn with_cors(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn foreign_origin() -> Response {
    refuse(StatusCode::FORBIDDEN, "origin_not_allowed", "only pages on this machine may request a token")
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    json_response_with(status, &json!({"error": {"code": code, "message": message}}))
}
