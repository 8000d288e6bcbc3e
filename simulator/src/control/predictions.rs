//! `POST /predictions/{id}/finish`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::body::parse_optional;
use super::error::ControlError;
use crate::app::App;
use crate::credits::Credits;
use crate::prediction::Status;
use crate::response::json_response;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    #[serde(default = "succeeded")]
    status: Status,
    credits_used: Option<Credits>,
}

const fn succeeded() -> Status {
    Status::Succeeded
}

/// Ends a prediction now: `{"status"?:"succeeded","credits_used"?:"1.5"}` → the prediction. Responds with 404 for an
/// unknown prediction and 409 for an ended one.
pub async fn finish(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, ControlError> {
    let Finish { status, credits_used } = parse_optional(&body)?;
    if !status.is_terminal() {
        return Err(ControlError::bad_request("status must be succeeded, failed or canceled"));
    }
    let number = app.world().predictions.find(&id).map(|prediction| prediction.number);
    let number = number.ok_or_else(|| ControlError::not_found("no such prediction"))?;
    let ended = app.end(number, status, credits_used);
    let ended = ended.ok_or_else(|| ControlError::conflict("the prediction has already ended"))?;
    Ok(json_response(&app.render(&ended)))
}
