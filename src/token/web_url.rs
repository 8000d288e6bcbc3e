//! URLs of issuers and of their key sets.

use url::Url;

use crate::constants::ISSUER_NAME_MAX_BYTES;
use crate::loopback::is_loopback;

/// Whether a URL may have a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    Allowed,
    Refused,
}

/// Whether the URL is on a loopback host; `None` where it is not https (http on a loopback host), or has a user, a
/// password, a fragment, or a query that is not allowed (RFC 8414 section 2).
pub(super) fn parse_web_url(text: &str, query: Query) -> Option<bool> {
    // Printable first: the URL parser drops white space and line ends in silence.
    if text.len() > ISSUER_NAME_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_loopback = is_loopback(&url.host()?);
    let scheme = text.starts_with("https://") || (is_loopback && text.starts_with("http://"));
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let query = query == Query::Allowed || url.query().is_none();
    (scheme && is_plain && query).then_some(is_loopback)
}
