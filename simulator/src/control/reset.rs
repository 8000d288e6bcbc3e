//! `POST /reset`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{Problem, parse_optional};
use crate::app::App;
use crate::vendor::json_response;

/// What to forget beside what is always forgotten.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Extent {
    predictions: bool,
    settings: bool,
}

/// Forgets faults, recorded requests, counts, and what accounts did (rate windows, idempotency keys, usage). With
/// `"predictions":true` also predictions, batches and files; with `"settings":true` the settings and balances are as
/// at the start. Keys stay.
pub async fn reset(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Problem> {
    let extent: Extent = parse_optional(&body)?;
    let mut world = app.world();
    world.forget_history();
    if extent.predictions {
        world.forget_predictions();
    }
    if extent.settings {
        world.restore_settings();
    }
    drop(world);
    app.connections.reset_max();
    app.streams.reset_max();
    Ok(json_response(&json!({})))
}
