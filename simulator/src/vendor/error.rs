//! The vendor's errors, in both documented envelopes.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::settings::ErrorEnvelope;
use crate::world::Refusal;

/// The result of a vendor handler.
pub type HandlerResult = Result<Response, VendorError>;

/// An error response without its body. `guard` writes the body, in the envelope that the settings choose.
#[derive(Clone, Debug)]
pub struct VendorError {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after_secs: Option<u64>,
}

impl VendorError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: &str) -> Self {
        Self { status, kind, code, message: message.to_owned(), param: None, retry_after_secs: None }
    }

    /// Returns a 401: the key is missing, unknown or revoked.
    pub fn unauthorized() -> Self {
        let message = "Missing or invalid API key.";
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "INVALID_API_KEY", message)
    }

    /// Returns a 400; `param` names the invalid input.
    pub fn invalid_request(message: &str, param: Option<&str>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "INVALID_REQUEST", message);
        Self { param: param.map(str::to_owned), ..error }
    }

    /// Returns a 404.
    pub fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", "NOT_FOUND", message)
    }

    /// Returns a 405, which the vendor does not document.
    pub fn method_not_allowed() -> Self {
        let message = "This endpoint has no such method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "METHOD_NOT_ALLOWED", message)
    }

    /// Returns a 429 for too many requests; `retry_after_secs` is the time until the next request is admitted.
    pub fn rate_limited(retry_after_secs: u64) -> Self {
        let message = "Too many requests in a minute.";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "RATE_LIMIT_EXCEEDED", message);
        Self { retry_after_secs: Some(retry_after_secs), ..error }
    }

    /// Renders the error's body.
    pub fn body(&self, envelope: ErrorEnvelope) -> Value {
        let mut error = match envelope {
            ErrorEnvelope::Typed | ErrorEnvelope::Mixed => {
                json!({"type": self.kind, "message": self.message, "code": self.code})
            }
            ErrorEnvelope::Rest => json!({"code": self.code.to_ascii_lowercase(), "message": self.message}),
        };
        if let (Some(param), Some(members)) = (&self.param, error.as_object_mut()) {
            let details = match envelope {
                ErrorEnvelope::Typed | ErrorEnvelope::Mixed => json!({"param": param}),
                ErrorEnvelope::Rest => json!({"param": param, "type": self.kind}),
            };
            members.insert("details".to_owned(), details);
        }
        json!({ "error": error })
    }
}

impl From<Refusal> for VendorError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::IdempotencyKeyUsed => {
                let message = "This idempotency key was used before.";
                Self::new(StatusCode::CONFLICT, "idempotency_error", "IDEMPOTENCY_KEY_REUSED", message)
            }
            Refusal::OutOfCredits => {
                let message = "The account has too few credits.";
                Self::new(StatusCode::PAYMENT_REQUIRED, "payment_error", "INSUFFICIENT_CREDITS", message)
            }
            Refusal::DailyLimit => {
                let message = "The daily spending limit is reached.";
                Self::new(StatusCode::PAYMENT_REQUIRED, "payment_error", "DAILY_LIMIT_EXCEEDED", message)
            }
            Refusal::TooManyRunning => {
                let message = "Too many predictions run at once.";
                let kind = "rate_limit_error";
                let error = Self::new(StatusCode::TOO_MANY_REQUESTS, kind, "CONCURRENT_LIMIT_EXCEEDED", message);
                Self { retry_after_secs: Some(1), ..error }
            }
        }
    }
}

impl IntoResponse for VendorError {
    /// Returns status and headers. The error itself travels as an extension until `guard` writes its body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}
