//! Reads what the creates and the estimate have in common: a JSON body, its media type, the idempotency key.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::error::VendorError;

/// Parses a body as a JSON object.
///
/// # Errors
/// 400.
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>, VendorError> {
    serde_json::from_slice(body).map_err(|_| VendorError::invalid_request("The body is not a JSON object.", None))
}

/// Checks that the `Content-Type` is JSON.
///
/// # Errors
/// 400.
pub fn check_json(headers: &HeaderMap) -> Result<(), VendorError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(VendorError::invalid_request("The Content-Type must be application/json.", None))
}

/// Returns the idempotency key. The vendor does not document the header's name; `Idempotency-Key` is the usual one.
pub fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("idempotency-key").and_then(|key| key.to_str().ok())
}
