//! Request bodies of the control API.

use serde::Deserialize;

use super::error::ControlError;

/// Parses a body whose members all have defaults; an empty body means `{}`.
///
/// # Errors
/// 400 with the reason.
pub fn parse_optional<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(ControlError::bad_request)
}
