//! `GET /v1/models…` and `POST /v1/estimate`.

use axum::body::Bytes;
use axum::extract::Path;
use serde_json::{Value, json};

use super::error::{HandlerResult, VendorError};
use super::job_spec::parse_job_spec;
use super::request::parse_object;
use crate::catalog::{self, MODELS, Model};
use crate::response::json_response;

/// `GET /v1/models`: `{"data":[…]}`.
pub async fn list() -> HandlerResult {
    let data: Vec<Value> = MODELS.iter().map(Model::to_json).collect();
    Ok(json_response(&json!({"data": data, "next_cursor": null})))
}

/// `GET /v1/models/:id`: a model by its bare name.
pub async fn by_name(Path(id): Path<String>) -> HandlerResult {
    show(catalog::find_by_id(&id))
}

/// `GET /v1/models/:owner/:model`: a model by its full name.
pub async fn by_full_name(Path((owner, model)): Path<(String, String)>) -> HandlerResult {
    show(catalog::find(&owner, &model))
}

/// `POST /v1/estimate`: `{"model":"owner/model","input":{…}}` → `{"credits":"2.5"}`.
pub async fn estimate(body: Bytes) -> HandlerResult {
    let body = parse_object(&body)?;
    let name = body.get("model").and_then(Value::as_str).unwrap_or_default();
    let model = catalog::find_by_id(name).ok_or_else(missing)?;
    Ok(json_response(&json!({"credits": parse_job_spec(model, &body)?.cost()})))
}

fn show(model: Option<&Model>) -> HandlerResult {
    model.map(|model| json_response(&model.to_json())).ok_or_else(missing)
}

fn missing() -> VendorError {
    VendorError::not_found("There is no such model.")
}
