//! The control API: sets faults and settings, and reads what was received. On its own port, so that what a test asks
//! never mixes with what it measures. JSON in and out; a refused request is a 400 `{"error":"…"}`.

mod reset;
mod settings;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::credits::Credits;
use crate::faults::FaultRule;
use crate::identity;
use crate::prediction::Status;
use crate::vendor::json_response;

/// Everything that the control port serves.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/state", get(state::read))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/settings", get(settings::read).put(settings::change))
        .route("/predictions/{id}/finish", post(finish))
        .route("/reset", post(reset::reset))
        .merge(identity::control())
        .with_state(app)
}

/// A refused control request.
#[derive(Debug)]
struct Problem(StatusCode, String);

impl Problem {
    fn bad_request(problem: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, problem.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json_response(&json!({"error": self.1}));
        *response.status_mut() = self.0;
        response
    }
}

/// Reads a body whose members all have defaults; an empty body is `{}`.
fn parse_optional<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(Problem::bad_request)
}

async fn faults(State(app): State<Arc<App>>) -> Response {
    json_response(&app.world().faults.to_json())
}

/// `{"route","times"?,"skip"?,"path_contains"?,"fault":{…}}` → all faults that are set.
async fn add_fault(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Problem> {
    let rule = FaultRule::parse(&body).map_err(Problem::bad_request)?;
    let mut world = app.world();
    world.faults.add(rule);
    Ok(json_response(&world.faults.to_json()))
}

async fn clear_faults(State(app): State<Arc<App>>) -> Response {
    let mut world = app.world();
    world.faults.clear();
    json_response(&world.faults.to_json())
}

#[derive(Debug, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// `?since=seq` → `{"requests":[…],"next":seq}`.
async fn requests(State(app): State<Arc<App>>, Query(Since { since }): Query<Since>) -> Response {
    json_response(&app.world().record.requests_after(since))
}

/// Forgets recorded requests and all counts.
async fn clear_requests(State(app): State<Arc<App>>) -> Response {
    app.world().record.clear();
    json_response(&json!({}))
}

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

/// `{"status"?:"succeeded","credits_used"?:"1.5"}` → the prediction. 404 for an unknown one, 409 for an ended one.
async fn finish(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> Result<Response, Problem> {
    let Finish { status, credits_used } = parse_optional(&body)?;
    if !status.is_terminal() {
        return Err(Problem::bad_request("status must be succeeded, failed or canceled"));
    }
    let number = app.world().predictions.find(&id).map(|prediction| prediction.number);
    let number = number.ok_or_else(|| Problem(StatusCode::NOT_FOUND, "no such prediction".to_owned()))?;
    let ended = app.end(number, status, credits_used);
    let ended = ended.ok_or_else(|| Problem(StatusCode::CONFLICT, "the prediction ended before".to_owned()))?;
    Ok(json_response(&app.render(&ended)))
}
