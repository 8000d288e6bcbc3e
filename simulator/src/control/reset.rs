//! `POST /reset`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::body::parse_optional;
use super::error::ControlError;
use crate::app::App;
use crate::response::json_response;

/// The state to clear in addition to what every reset clears.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Extent {
    predictions: bool,
    settings: bool,
}

/// Clears faults, recorded requests, counts, rate windows, idempotency keys and usage. `"predictions":true` also
/// deletes predictions, batches and files; `"settings":true` also restores the settings and balances of the start.
/// Vendor keys, signing keys and used Turnstile tokens stay.
pub async fn reset(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ControlError> {
    let extent: Extent = parse_optional(&body)?;
    let mut world = app.world();
    world.clear_history();
    if extent.predictions {
        world.clear_predictions();
    }
    if extent.settings {
        world.restore_settings();
    }
    drop(world);
    app.connections.reset_max();
    app.streams.reset_max();
    Ok(json_response(&json!({})))
}
