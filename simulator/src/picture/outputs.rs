//! `GET /outputs/<id>.png`: the vendor's content delivery network.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use super::spec::PictureSpec;
use crate::app::App;
use crate::prediction::{Prediction, Status};

/// Returns the route of `/outputs/…`. It needs no key and allows every origin, as a content delivery network does.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/outputs/{name}", get(output))
}

/// Draws the PNG of a request. Responds with 404 unless a succeeded prediction has this output.
async fn output(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let Some(spec) = find(&app, &name) else { return with_cors(StatusCode::NOT_FOUND.into_response()) };
    // Drawing takes tens of milliseconds of CPU time, too long for a thread that serves sockets.
    let drawn = tokio::task::spawn_blocking(move || spec.to_png()).await;
    let Ok(Ok(bytes)) = drawn else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    with_cors(response)
}

fn with_cors(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Finds the output named `pred_….png` or `pred_…-2.png`.
fn find(app: &App, name: &str) -> Option<PictureSpec> {
    let stem = name.strip_suffix(".png")?;
    let (id, number) = match stem.split_once('-') {
        Some((id, number)) => (id, number.parse().ok()?),
        None => (stem, 1),
    };
    let world = app.world();
    let prediction = world.predictions.find(id).filter(|prediction| prediction.status == Status::Succeeded)?;
    (1..=prediction.spec.image_count).contains(&number).then(|| spec(prediction, number))
}

fn spec(prediction: &Prediction, number: u64) -> PictureSpec {
    let spec = &prediction.spec;
    let aspect_ratio = spec.input.get("aspect_ratio").and_then(Value::as_str).unwrap_or_default();
    PictureSpec {
        prompt: spec.prompt().to_owned(),
        number,
        aspect_ratio: aspect_ratio.to_owned(),
        kind: spec.model.kind,
    }
}
