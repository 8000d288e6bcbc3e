//! The vendor's API, `/v1/…`, as its public documentation describes it. Where its pages contradict each other, the
//! simulator serves both readings.

mod account;
mod batch;
mod create;
mod error;
mod guard;
mod job_spec;
mod models;
mod predictions;
mod request;
mod stream;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use serde_json::json;

use error::{HandlerResult, VendorError};

use crate::app::App;
use crate::response::json_response;

/// Returns all routes under `/v1`. Every request needs a key and counts against the rate limit, even one to an unknown
/// route.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let api = Router::new()
        .route("/{owner}/{model}/predictions", post(create::create))
        .route("/models/{owner}/{model}/predictions", post(create::create))
        .route("/predictions", get(predictions::list))
        .route("/predictions/batch", post(batch::create))
        .route("/predictions/batch/{id}", get(batch::read))
        .route("/predictions/{id}", get(predictions::read))
        .route("/status/{id}", get(predictions::read))
        .route("/predictions/{id}/cancel", post(predictions::cancel))
        .route("/cancel/{id}", post(predictions::cancel))
        .route("/predictions/{id}/stream", get(stream::stream))
        .route("/models", get(models::list))
        .route("/models/{id}", get(models::by_name))
        .route("/models/{owner}/{model}", get(models::by_full_name))
        .route("/estimate", post(models::estimate))
        .route("/files", post(uploads::create).get(uploads::list))
        .route("/files/{id}", get(uploads::read).delete(uploads::delete))
        .route("/account", get(account::account))
        .route("/account/balance", get(account::balance))
        .route("/account/usage", get(account::usage))
        .route("/account/rate-limits", get(account::rate_limits))
        .route("/health", get(health))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // The main port has read and bounded the body already (`crate::main_port`).
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(app), guard::guard));
    Router::new().nest("/v1", api)
}

async fn health() -> HandlerResult {
    Ok(json_response(&json!({"status": "ok"})))
}

async fn unknown() -> VendorError {
    VendorError::not_found("There is no such endpoint.")
}

async fn wrong_method() -> VendorError {
    VendorError::method_not_allowed()
}
