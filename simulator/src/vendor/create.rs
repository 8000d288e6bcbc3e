//! `POST /v1/:owner/:model/predictions` and `POST /v1/models/:owner/:model/predictions`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::error::{HandlerResult, VendorError};
use super::guard::CallerAccount;
use super::job_spec::parse_job_spec;
use super::request::{check_json, idempotency_key, parse_object};
use crate::app::App;
use crate::catalog;
use crate::clock::now_ms;
use crate::response::json_response_with;

/// Creates a prediction.
///
/// 1. The model: 404.
/// 2. Media type, JSON, inputs: 400.
/// 3. Idempotency 409, credits 402, concurrency 429.
/// 4. 201 with the prediction.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path((owner, model)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> HandlerResult {
    // 1.
    let model = catalog::find(&owner, &model).ok_or_else(|| VendorError::not_found("There is no such model."))?;
    // 2.
    check_json(&headers)?;
    let spec = parse_job_spec(model, &parse_object(&body)?)?;
    // 3.
    let created = app.world().create(&account, vec![spec], idempotency_key(&headers), now_ms())?;
    created.iter().for_each(|prediction| app.run(prediction));
    // 4.
    let body = created.first().map(|prediction| app.render(prediction)).unwrap_or_default();
    Ok(json_response_with(StatusCode::CREATED, &body))
}
