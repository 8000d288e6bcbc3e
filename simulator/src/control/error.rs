//! A refused control request: `{"error":"…"}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::response::json_response_with;

/// The status and the reason, for the tester to read.
#[derive(Debug)]
pub struct ControlError {
    status: StatusCode,
    message: String,
}

impl ControlError {
    /// Returns a 400.
    pub fn bad_request(message: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }

    /// Returns a 404.
    pub fn not_found(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.to_owned() }
    }

    /// Returns a 409.
    pub fn conflict(message: &str) -> Self {
        Self { status: StatusCode::CONFLICT, message: message.to_owned() }
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        json_response_with(self.status, &json!({"error": self.message}))
    }
}
