//! Reads the body of a request within its limits.

use serde_json::{Map, Value};

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::runtime::platform;
use crate::parse::digits::parse_digits;
use crate::parse::json::parse_strict_object;
use crate::types::ids::hex_digest;
use crate::wire::headers::is_json_media_type;
use crate::wire::rejection::{Code, Rejection};

/// A JSON object, and the hash of path and body. An idempotency key is bound to the hash (contract 2).
pub struct JsonBody {
    /// The members of the object.
    pub members: Map<String, Value>,
    /// SHA-256 of path and body, in hexadecimal.
    pub hash: String,
}

/// Reads a JSON object of at most `max_bytes` and `max_depth`.
///
/// # Errors
/// 415 for another media type or a content encoding; 413 beyond `max_bytes`; 400 for anything but one JSON object.
pub async fn read_json(
    context: &RequestContext<'_>,
    max_bytes: usize,
    max_depth: usize,
) -> Result<JsonBody, Rejection> {
    let is_json = context.head.content_type.as_deref().is_some_and(is_json_media_type);
    if !is_json || is_encoded(context) {
        return Err(Rejection::new(Code::UnsupportedMediaType, "media_type"));
    }
    let too_large = || Rejection::new(Code::BodyTooLarge, "body");
    let announced = context.head.content_length.as_deref().and_then(parse_digits::<u64>);
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > max_bytes)) {
        return Err(too_large());
    }
    let bytes = platform::read_body(context.request, max_bytes).await;
    let bytes = bytes.map_err(|_| Rejection::new(Code::InvalidJson, "body_unreadable"))?.ok_or_else(too_large)?;
    let members = parse_strict_object(&bytes, max_depth).map_err(|_| Rejection::new(Code::InvalidJson, "json"))?;
    Ok(JsonBody { members, hash: hex_digest(&[context.url.path.as_bytes(), b"\0", &bytes]) })
}

/// Returns whether the body has a content encoding, which no route accepts.
pub fn is_encoded(context: &RequestContext<'_>) -> bool {
    context.head.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
}
