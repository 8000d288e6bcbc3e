//! `POST /v1/predictions/batch` and `GET /v1/predictions/batch/:id`. The vendor documents no body; this is the one
//! that Valetkey's own contract has.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::create::{check_json, idempotency_key};
use super::error::{VendorError, json_response};
use super::guard::Payer;
use super::order::parse_order;
use super::{Answer, parse_object};
use crate::app::App;
use crate::catalog;
use crate::clock::now_ms;
use crate::prediction::{Order, Prediction, Status};
use crate::world::Batch;

/// The most predictions of a batch.
const MAX_BATCH: usize = 20;

/// Creates all of `{"predictions":[{"model":"owner/model","input":{…}}]}` or none: 201 with the batch.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(Payer(account)): Extension<Payer>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    check_json(&headers)?;
    let orders = parse_orders(&body)?;
    let (batch, created) = {
        let mut world = app.world();
        let created = world.create(&account, orders, idempotency_key(&headers), now_ms())?;
        (world.add_batch(&account, &created), created)
    };
    created.iter().for_each(|prediction| app.run(prediction));
    let mut response = show(&app, &batch, &created);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The batch as it is now; 404 for another account's as for a missing one.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(Payer(account)): Extension<Payer>,
    Path(id): Path<String>,
) -> Answer {
    let (batch, predictions) = {
        let world = app.world();
        let batch = world.batches.get(&id).filter(|batch| batch.account == account);
        let batch = batch.ok_or_else(|| VendorError::not_found("There is no such batch."))?.clone();
        let predictions: Vec<_> = batch.numbers.iter().filter_map(|id| world.predictions.get(*id).cloned()).collect();
        (batch, predictions)
    };
    Ok(show(&app, &batch, &predictions))
}

fn parse_orders(body: &[u8]) -> Result<Vec<Order>, VendorError> {
    let body = parse_object(body)?;
    let wrong = || VendorError::invalid_request("predictions must be a list of 1 to 20 creates.", Some("predictions"));
    let items = body.get("predictions").and_then(Value::as_array).ok_or_else(wrong)?;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(wrong());
    }
    items.iter().map(|item| parse_item(item.as_object().ok_or_else(wrong)?)).collect()
}

fn parse_item(item: &serde_json::Map<String, Value>) -> Result<Order, VendorError> {
    let name = item.get("model").and_then(Value::as_str).unwrap_or_default();
    let model = catalog::find_by_id(name).ok_or_else(|| VendorError::not_found("There is no such model."))?;
    parse_order(model, item)
}

fn show(app: &App, batch: &Batch, predictions: &[Prediction]) -> Response {
    let shown: Vec<Value> = predictions.iter().map(|prediction| app.render(prediction)).collect();
    json_response(&json!({"batch_id": batch.id, "status": status(predictions), "predictions": shown}))
}

/// `processing` until all ended; then `succeeded` if all did, `failed` if none did, else `partial`.
fn status(predictions: &[Prediction]) -> &'static str {
    let succeeded = predictions.iter().filter(|prediction| prediction.status == Status::Succeeded).count();
    match succeeded {
        _ if predictions.iter().any(|prediction| !prediction.status.is_terminal()) => "processing",
        0 => "failed",
        count if count == predictions.len() => "succeeded",
        _ => "partial",
    }
}
