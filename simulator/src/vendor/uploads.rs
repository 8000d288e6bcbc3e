//! `/v1/files`. The vendor documents neither the upload's format nor the response; a raw body is the simplest reading.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::error::{HandlerResult, VendorError};
use super::guard::CallerAccount;
use crate::app::App;
use crate::clock::now_ms;
use crate::files::MEDIA_TYPES;
use crate::response::{json_response, json_response_with};

/// `POST /v1/files`: stores the metadata of a raw body with an accepted media type → 201
/// `{"id","content_type","bytes","created_at"}`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    headers: HeaderMap,
    body: Bytes,
) -> HandlerResult {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !MEDIA_TYPES.contains(&content_type) {
        return Err(VendorError::invalid_request("This media type is not accepted.", Some("content_type")));
    }
    if body.is_empty() {
        return Err(VendorError::invalid_request("The file is empty.", Some("file")));
    }
    let file = app.world().files.add(&account, content_type, body.len(), now_ms());
    Ok(json_response_with(StatusCode::CREATED, &json!(file)))
}

/// `GET /v1/files`: `{"data":[…]}`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
) -> HandlerResult {
    Ok(json_response(&json!({"data": app.world().files.of(&account), "next_cursor": null})))
}

/// `GET /v1/files/:id`: the metadata of a file.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    let world = app.world();
    world.files.get(&account, &id).map(|file| json_response(&json!(file))).ok_or_else(missing)
}

/// `DELETE /v1/files/:id`: 204, or 404.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    let removed = app.world().files.remove(&account, &id);
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing()) }
}

fn missing() -> VendorError {
    VendorError::not_found("There is no such file.")
}
