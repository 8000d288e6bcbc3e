//! `GET /faults`, `POST /faults` and `DELETE /faults`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::error::ControlError;
use crate::app::App;
use crate::faults::FaultRule;
use crate::response::json_response;

/// Lists the faults that are set, with the requests that each has left.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    json_response(&app.world().faults.to_json())
}

/// Sets a fault: `{"route","times"?,"skip"?,"path_contains"?,"fault":{…}}` → all faults that are set.
pub async fn add(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ControlError> {
    let rule = FaultRule::parse(&body).map_err(ControlError::bad_request)?;
    let mut world = app.world();
    world.faults.add(rule);
    Ok(json_response(&world.faults.to_json()))
}

/// Deletes all faults.
pub async fn clear(State(app): State<Arc<App>>) -> Response {
    let mut world = app.world();
    world.faults.clear();
    json_response(&world.faults.to_json())
}
