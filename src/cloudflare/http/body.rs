//! Reads the body of a request within its limits.

use serde_json::{Map, Value};

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::runtime::platform;
use crate::constants::{
    BATCH_BODY_MAX_BYTES, BATCH_MAX_DEPTH, BODY_MAX_DEPTH, CREATE_BODY_MAX_BYTES, OTHER_BODY_MAX_BYTES,
};
use crate::parse::digits::parse_digits;
use crate::policy::BodyBounds;
use crate::types::ids::hex_digest;
use crate::types::time::UnixMillis;
use crate::wire::headers::is_json_media_type;
use crate::wire::rejection::{Code, Rejection};

/// The purpose of a JSON body, which decides its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A create: 256 KiB.
    Create,
    /// A batch: 1 MiB.
    Batch,
    /// An estimate: a create of 16 KiB.
    Estimate,
    /// Anything else: 16 KiB.
    Other,
}

impl BodyKind {
    const fn max_bytes(self) -> usize {
        match self {
            Self::Create => CREATE_BODY_MAX_BYTES,
            Self::Batch => BATCH_BODY_MAX_BYTES,
            Self::Estimate | Self::Other => OTHER_BODY_MAX_BYTES,
        }
    }
}

/// A JSON object, and the hash of path and body.
pub struct JsonBody {
    /// The members of the object.
    pub members: Map<String, Value>,
    /// SHA-256 of path and body, in hexadecimal.
    pub hash: String,
    /// Time at which the body was complete. Deadlines count from here, because a client on a slow connection sends for
    /// minutes.
    pub read_at: UnixMillis,
}

/// Reads a JSON object within the limits of its kind.
///
/// # Errors
/// 415 for another media type or a content encoding; 413 for too many bytes; 400 for anything but one JSON object.
pub async fn read_json(context: &RequestContext<'_>, kind: BodyKind) -> Result<JsonBody, Rejection> {
    let is_json = context.head.content_type.as_deref().is_some_and(is_json_media_type);
    if !is_json || is_encoded(context) {
        return Err(Rejection::new(Code::UnsupportedMediaType, "media_type"));
    }
    let too_large = || Rejection::new(Code::BodyTooLarge, "body");
    let announced = context.head.content_length.as_deref().and_then(parse_digits::<u64>);
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > kind.max_bytes())) {
        return Err(too_large());
    }
    let bytes = platform::read_body(context.request, kind.max_bytes()).await;
    let bytes = bytes.map_err(|_| Rejection::new(Code::InvalidJson, "body_unreadable"))?.ok_or_else(too_large)?;
    let bounds = BodyBounds::new(&context.deployment.config.policy);
    let members = match kind {
        BodyKind::Create | BodyKind::Estimate => bounds.parse_create(&bytes, BODY_MAX_DEPTH),
        BodyKind::Batch => bounds.parse_batch(&bytes, BATCH_MAX_DEPTH),
        BodyKind::Other => bounds.parse_other(&bytes, BODY_MAX_DEPTH),
    };
    Ok(JsonBody {
        members: members.map_err(Rejection::bad_json)?,
        hash: hex_digest(&[context.url.path.as_bytes(), b"\0", &bytes]),
        read_at: platform::now(),
    })
}

/// Checks that a body has no members but these. `reason` is the cause for the log.
///
/// # Errors
/// 400 for any other member.
pub fn check_members(members: &Map<String, Value>, known: &[&str], reason: &'static str) -> Result<(), Rejection> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Rejection::parameter(Code::UnsupportedParameter, reason, name.as_str())),
        None => Ok(()),
    }
}

/// Returns whether the body has a content encoding, which no route accepts.
pub fn is_encoded(context: &RequestContext<'_>) -> bool {
    context.head.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
}
