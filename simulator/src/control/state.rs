//! `GET /state`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::now_ms;
use crate::prediction::Prediction;
use crate::response::json_response;

/// Returns the counts of requests, running predictions, connections and streams, the accounts, and the status of every
/// prediction.
pub async fn read(State(app): State<Arc<App>>) -> Response {
    let now_ms = now_ms();
    let ((connections, max_connections), (streams, max_streams)) = (app.connections.read(), app.streams.read());
    let mut world = app.world();
    let mut state = world.recorder.report(now_ms);
    let rest = json!({
        "now_ms": now_ms,
        "in_flight": world.predictions.in_flight(),
        "max_in_flight": world.predictions.max_in_flight(),
        "predictions": world.predictions.iter().map(row).collect::<Vec<_>>(),
        "accounts": world.accounts.to_json(),
        "connections": {"open": connections, "max": max_connections},
        "streams": {"open": streams, "max": max_streams},
    });
    if let (Some(state), Value::Object(rest)) = (state.as_object_mut(), rest) {
        state.extend(rest);
    }
    json_response(&state)
}

fn row(prediction: &Prediction) -> Value {
    json!({
        "id": prediction.id,
        "number": prediction.number,
        "account": prediction.account,
        "status": prediction.status,
        "created_ms": prediction.created_ms,
        "started_ms": prediction.started_ms,
        "completed_ms": prediction.completed_ms,
        "credits": prediction.credits(),
    })
}
