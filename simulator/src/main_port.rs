//! The main port: records every request, injects the fault that is set for it, and otherwise runs its handler.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::future::OptionFuture;

use crate::app::App;
use crate::clock::now_ms;
use crate::connection::Takeover;
use crate::faults::{Fault, RawResponse};
use crate::recorder::RecordedRequest;
use crate::route_name::RouteName;
use crate::{identity, picture, session, vendor};

/// Maximum length of a body, in bytes: slightly above Cloudflare's own limit of 100 MB.
const MAX_BODY_BYTES: usize = 110_000_000;

/// Returns everything that the main port serves.
pub fn router(app: Arc<App>) -> Router {
    vendor::router(&app)
        .merge(session::router())
        .merge(identity::router())
        .merge(picture::router())
        .layer(from_fn_with_state(Arc::clone(&app), intercept))
        .with_state(app)
}

/// Handles one request:
///
/// 1. Reads the body: 413 if it is too large.
/// 2. Records the request and takes the fault that is set for it.
/// 3. Waits for the fault's `delay_ms`.
/// 4. Runs the handler, unless the fault prevents that.
/// 5. Waits for the fault's `delay_after_ms`. The handler's work is done by now.
/// 6. Returns the handler's response, or plays the fault's script on the socket.
async fn intercept(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // 1.
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    // 2.
    let (seq, fault) = record(&app, &parts, &body);
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let takeover = parts.extensions.get::<Takeover>().cloned();
    let request = Request::from_parts(parts, Body::from(body));
    // 3.
    pause(fault.delay_ms).await;
    // 4.
    let response = if fault.needs_handler() { Some(next.run(request).await) } else { None };
    // 5.
    pause(fault.delay_after_ms).await;
    // 6.
    match (response, takeover) {
        (Some(response), _) if !fault.changes_response() => {
            app.world().recorder.set_status(seq, response.status().as_u16());
            response
        }
        (response, Some(takeover)) => {
            let real = OptionFuture::from(response.map(RawResponse::read)).await;
            takeover.play(fault.script(real, &authorization)).await
        }
        // Without `crate::connection` below it, a request has no socket to take over.
        (_, None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Records a request. Returns its sequence number, and the fault that is set for it or the default one, which does
/// nothing.
fn record(app: &App, parts: &Parts, body: &Bytes) -> (u64, Fault) {
    let path = parts.uri.path();
    let route = RouteName::of(&parts.method, path);
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut received = RecordedRequest {
        seq: 0,
        time_ms: now_ms(),
        route,
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::new(),
        body_bytes: 0,
        status: None,
    };
    received = received.with_body(body);
    let mut world = app.world();
    let seq = world.recorder.add(received);
    let fault = world.faults.take(route, path);
    world.recorder.faults_fired += u64::from(fault.is_some());
    (seq, fault.unwrap_or_default())
}
