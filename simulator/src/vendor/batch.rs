//! `POST /v1/predictions/batch` and `GET /v1/predictions/batch/:id`. The vendor documents no body; the simulator uses
//! the body of Valetkey's own contract.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::error::{HandlerResult, VendorError};
use super::guard::CallerAccount;
use super::job_spec::parse_job_spec;
use super::request::{check_json, idempotency_key, parse_object};
use crate::app::App;
use crate::catalog;
use crate::clock::now_ms;
use crate::prediction::{JobSpec, Prediction, Status};
use crate::response::{json_response, json_response_with};
use crate::world::Batch;

/// Maximum number of predictions in a batch.
const MAX_BATCH: usize = 20;

/// Creates all predictions of `{"predictions":[{"model":"owner/model","input":{…}}]}` or none: 201 with the batch.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    headers: HeaderMap,
    body: Bytes,
) -> HandlerResult {
    check_json(&headers)?;
    let specs = parse_batch(&body)?;
    let (batch, created) = {
        let mut world = app.world();
        let created = world.create(&account, specs, idempotency_key(&headers), now_ms())?;
        (world.add_batch(&account, &created), created)
    };
    created.iter().for_each(|prediction| app.run(prediction));
    Ok(json_response_with(StatusCode::CREATED, &show(&app, &batch, &created)))
}

/// Returns the batch as it is now; 404 for a missing batch and for another account's.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    let (batch, predictions) = {
        let world = app.world();
        let batch = world.batches.get(&id).filter(|batch| batch.account == account);
        let batch = batch.ok_or_else(|| VendorError::not_found("There is no such batch."))?.clone();
        let predictions: Vec<_> = batch.numbers.iter().filter_map(|id| world.predictions.get(*id).cloned()).collect();
        (batch, predictions)
    };
    Ok(json_response(&show(&app, &batch, &predictions)))
}

fn parse_batch(body: &[u8]) -> Result<Vec<JobSpec>, VendorError> {
    let body = parse_object(body)?;
    let invalid =
        || VendorError::invalid_request("predictions must be a list of 1 to 20 creates.", Some("predictions"));
    let items = body.get("predictions").and_then(Value::as_array).ok_or_else(invalid)?;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(invalid());
    }
    items.iter().map(|item| parse_item(item.as_object().ok_or_else(invalid)?)).collect()
}

fn parse_item(item: &serde_json::Map<String, Value>) -> Result<JobSpec, VendorError> {
    let name = item.get("model").and_then(Value::as_str).unwrap_or_default();
    let model = catalog::find_by_id(name).ok_or_else(|| VendorError::not_found("There is no such model."))?;
    parse_job_spec(model, item)
}

fn show(app: &App, batch: &Batch, predictions: &[Prediction]) -> Value {
    let shown: Vec<Value> = predictions.iter().map(|prediction| app.render(prediction)).collect();
    json!({"batch_id": batch.id, "status": status(predictions), "predictions": shown})
}

/// Returns `processing` until all predictions have ended; then `succeeded` if all succeeded, `failed` if none did, or
/// `partial`.
fn status(predictions: &[Prediction]) -> &'static str {
    let succeeded = predictions.iter().filter(|prediction| prediction.status == Status::Succeeded).count();
    match succeeded {
        _ if predictions.iter().any(|prediction| !prediction.status.is_terminal()) => "processing",
        0 => "failed",
        count if count == predictions.len() => "succeeded",
        _ => "partial",
    }
}
