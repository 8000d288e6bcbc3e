//! `POST /v1/:owner/:model/predictions` and `POST /v1/models/:owner/:model/predictions`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};

use super::error::{VendorError, json_response};
use super::guard::Payer;
use super::order::parse_order;
use super::{Answer, parse_object};
use crate::app::App;
use crate::catalog;
use crate::clock::now_ms;

/// 1. The model: 404.
/// 2. Media type, JSON, inputs: 400.
/// 3. Idempotency 409, credits 402, concurrency 429.
/// 4. 201 with the prediction.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(Payer(account)): Extension<Payer>,
    Path((owner, model)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    // 1.
    let model = catalog::find(&owner, &model).ok_or_else(|| VendorError::not_found("There is no such model."))?;
    // 2.
    check_json(&headers)?;
    let order = parse_order(model, &parse_object(&body)?)?;
    // 3.
    let created = app.world().create(&account, vec![order], idempotency_key(&headers), now_ms())?;
    created.iter().for_each(|prediction| app.run(prediction));
    // 4.
    let answer = created.first().map(|prediction| app.render(prediction)).unwrap_or_default();
    let mut response = json_response(&answer);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The idempotency key. The vendor does not document the header's name; this is the usual one.
pub fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("idempotency-key").and_then(|key| key.to_str().ok())
}

/// # Errors
/// 400 for another media type than JSON.
pub fn check_json(headers: &HeaderMap) -> Result<(), VendorError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(VendorError::invalid_request("The Content-Type must be application/json.", None))
}
