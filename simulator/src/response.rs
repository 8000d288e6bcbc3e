//! JSON responses, the same for the vendor, the control API, the identity providers and the demo's backend.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

/// Returns a 200 with `body` as `application/json`.
pub fn json_response(body: &Value) -> Response {
    json_response_with(StatusCode::OK, body)
}

/// Returns a response with this status and `body` as `application/json`.
pub fn json_response_with(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
