//! The control API: sets faults and settings, and reads what was received. It has its own port, so that the requests
//! that a test makes about its measurements are never part of them. JSON in and out; a refused request is a 400, 404 or
//! 409 with `{"error":"…"}`.

mod body;
mod error;
mod faults;
mod predictions;
mod requests;
mod reset;
mod settings;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::identity;

/// Returns everything that the control port serves.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/state", get(state::read))
        .route("/requests", get(requests::list).delete(requests::clear))
        .route("/settings", get(settings::read).put(settings::change))
        .route("/predictions/{id}/finish", post(predictions::finish))
        .route("/reset", post(reset::reset))
        .merge(identity::control_router())
        .with_state(app)
}
