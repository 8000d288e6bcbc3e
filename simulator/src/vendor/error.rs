//! The vendor's errors, in both documented envelopes.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::settings::Envelope;
use crate::world::Refusal;

/// An error on its way out. Its body is written by [`super::guard`], which knows the envelope that is set.
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

    /// 401: the key is missing, unknown or revoked.
    pub fn unauthorized() -> Self {
        let message = "Missing or invalid API key.";
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "INVALID_API_KEY", message)
    }

    /// 400; `param` names the input that is wrong.
    pub fn invalid_request(message: &str, param: Option<&str>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "INVALID_REQUEST", message);
        Self { param: param.map(str::to_owned), ..error }
    }

    /// 404.
    pub fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", "NOT_FOUND", message)
    }

    /// 405. Not documented by the vendor.
    pub fn method_not_allowed() -> Self {
        let message = "This endpoint has no such method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "METHOD_NOT_ALLOWED", message)
    }

    /// 429 for too many requests, with the seconds until one would pass.
    pub fn rate_limited(retry_after_secs: u64) -> Self {
        let message = "Too many requests in a minute.";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "RATE_LIMIT_EXCEEDED", message);
        Self { retry_after_secs: Some(retry_after_secs), ..error }
    }

    /// The error's body.
    pub fn body(&self, envelope: Envelope) -> Value {
        let mut error = match envelope {
            Envelope::Typed | Envelope::Mixed => {
                json!({"type": self.kind, "message": self.message, "code": self.code})
            }
            Envelope::Rest => json!({"code": self.code.to_ascii_lowercase(), "message": self.message}),
        };
        if let (Some(param), Some(members)) = (&self.param, error.as_object_mut()) {
            let details = match envelope {
                Envelope::Typed | Envelope::Mixed => json!({"param": param}),
                Envelope::Rest => json!({"param": param, "type": self.kind}),
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
    /// Status and headers; the error itself travels as an extension until its body is written.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A 200 with a JSON body.
pub fn json_response(body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
