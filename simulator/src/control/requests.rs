//! `GET /requests` and `DELETE /requests`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::response::json_response;

#[derive(Debug, Deserialize)]
pub struct Since {
    #[serde(default)]
    since: u64,
}

/// Lists the recorded requests after `?since=seq` → `{"requests":[…],"next":seq}`.
pub async fn list(State(app): State<Arc<App>>, Query(Since { since }): Query<Since>) -> Response {
    json_response(&app.world().recorder.requests_after(since))
}

/// Deletes recorded requests and all counts.
pub async fn clear(State(app): State<Arc<App>>) -> Response {
    app.world().recorder.clear();
    json_response(&json!({}))
}
