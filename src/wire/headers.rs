//! A request's head as plain values, and small parsers of its headers.

use crate::constants::{IDEMPOTENCY_KEY_MAX_CHARS, WAIT_PREFERRED_MAX_SECS};

/// The parts of a request's head that the core needs. No other header is ever read, logged or relayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// The method as sent.
    pub method: String,
    /// The whole URL, as the platform normalized it.
    pub url: String,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<String>,
    /// `X-Request-Id`: the client's own request id.
    pub request_id: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `Prefer`.
    pub prefer: Option<String>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// `DPoP`: a proof of possession (RFC 9449).
    pub proof: Option<String>,
    /// `X-Firebase-AppCheck`: an attestation of the app.
    pub attestation: Option<String>,
    /// `Accept`.
    pub accept: Option<String>,
    /// `Cf-Access-Jwt-Assertion`: the token that Cloudflare Access adds to requests behind it.
    pub access_assertion: Option<String>,
    /// `X-Valetkey-Admin`: `1` in the operator's page's own requests.
    pub admin_marker: Option<String>,
}

/// The parts of a URL, as written: nothing is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// Scheme and authority, such as `https://api.example.com`.
    pub origin: &'a str,
    /// The host without the port; an IPv6 address has its brackets.
    pub host: &'a str,
    /// The raw path.
    pub path: &'a str,
    /// The raw query, empty if there is none.
    pub query: &'a str,
}

/// Splits an absolute URL into its parts. Returns `None` if it has no authority.
#[must_use]
pub fn split_url(url: &str) -> Option<UrlParts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let authority_length = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(authority_length)?;
    let origin_length = scheme.len().checked_add("://".len())?.checked_add(authority_length)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let host = match authority.strip_prefix('[') {
        Some(_) => authority.split_inclusive(']').next()?,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    Some(UrlParts { origin: url.get(..origin_length)?, host, path: if path.is_empty() { "/" } else { path }, query })
}

/// Returns whether `value` is `application/json`, with no parameter but `charset=utf-8` (RFC 8259 section 11).
#[must_use]
pub fn is_json_media_type(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    essence
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.split_once('=').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
                })
        })
}

/// Returns the client's own request id if it matches `^[A-Za-z0-9._-]{1,64}$` (contract 3).
#[must_use]
pub fn parse_client_request_id(value: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ((1..=64).contains(&value.len()) && value.bytes().all(allowed)).then_some(value)
}

/// Returns whether `value` is an idempotency key: 1 to 255 printable ASCII characters (contract 2). The platform joins
/// two headers with `, `, so a key must not contain that.
#[must_use]
pub fn is_idempotency_key(value: &str) -> bool {
    let printable = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (1..=IDEMPOTENCY_KEY_MAX_CHARS).contains(&value.len()) && printable && !value.contains(", ")
}

/// Returns the seconds of `Prefer: wait=N` (RFC 7240 section 4.3), capped at 60. The first `wait` counts. Returns
/// `None` if it is malformed.
#[must_use]
pub fn parse_preferred_wait_secs(value: &str) -> Option<u32> {
    let waits = value.split(',').filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    });
    let digits =
        waits.map(|value| value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)).next()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX).min(WAIT_PREFERRED_MAX_SECS))
}

/// The credentials in a request's `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// `Authorization: Bearer …`.
    Bearer(&'a str),
    /// `Authorization: DPoP …` (RFC 9449 section 7.1): a token that is bound to a key.
    Bound(&'a str),
    /// The header holds no usable token; contains the reason for the log.
    Unusable(&'static str),
    /// The request has no such header.
    Missing,
}

/// Parses `Authorization` (RFC 6750 section 2.1, RFC 9449 section 7.1): the scheme in upper or lower case, one space,
/// the token.
#[must_use]
pub fn parse_authorization(value: Option<&str>) -> Credentials<'_> {
    let Some(value) = value else { return Credentials::Missing };
    let Some((scheme, token)) = value.split_once(' ') else { return Credentials::Unusable("authorization_form") };
    let credentials = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Credentials::Bearer(token),
        scheme if scheme.eq_ignore_ascii_case("dpop") => Credentials::Bound(token),
        _ => return Credentials::Unusable("authorization_scheme"),
    };
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b',') {
        return Credentials::Unusable("authorization_form");
    }
    credentials
}

/// The credentials of an operator's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorCredentials<'a> {
    /// `Authorization: Bearer …`. An assertion beside it is ignored: Access adds one to every request behind it.
    Bearer(&'a str),
    /// `Cf-Access-Jwt-Assertion`, without `Authorization`.
    Assertion(&'a str),
    /// `Authorization` holds no usable token; contains the reason for the log.
    Unusable(&'static str),
    /// The request has neither.
    Missing,
}

/// Reads the credentials of an operator's request. A token that is bound to a key is not accepted.
#[must_use]
pub fn parse_operator_credentials(head: &RequestHead) -> OperatorCredentials<'_> {
    match (parse_authorization(head.authorization.as_deref()), head.access_assertion.as_deref()) {
        (Credentials::Bearer(text), _) => OperatorCredentials::Bearer(text),
        (Credentials::Bound(_), _) => OperatorCredentials::Unusable("authorization_scheme"),
        (Credentials::Unusable(reason), _) => OperatorCredentials::Unusable(reason),
        (Credentials::Missing, Some(text)) => OperatorCredentials::Assertion(text),
        (Credentials::Missing, None) => OperatorCredentials::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_bearer_wins_over_the_assertion_of_access() {
        let head = |authorization: Option<&str>, assertion: Option<&str>| RequestHead {
            authorization: authorization.map(str::to_owned),
            access_assertion: assertion.map(str::to_owned),
            ..RequestHead::default()
        };
        for (authorization, assertion, credentials) in [
            (Some("Bearer a"), Some("b"), OperatorCredentials::Bearer("a")),
            (None, Some("b"), OperatorCredentials::Assertion("b")),
            (Some("DPoP a"), Some("b"), OperatorCredentials::Unusable("authorization_scheme")),
            (Some("Basic a"), Some("b"), OperatorCredentials::Unusable("authorization_scheme")),
            (None, None, OperatorCredentials::Missing),
        ] {
            assert_eq!(parse_operator_credentials(&head(authorization, assertion)), credentials);
        }
    }

    #[test]
    fn a_url_is_split_and_not_normalized() {
        let parts = split_url("https://a.example:8443/v1/../x%2F?q=1?#f").unwrap();
        assert_eq!(parts.origin, "https://a.example:8443");
        assert_eq!((parts.host, parts.path, parts.query), ("a.example", "/v1/../x%2F", "q=1?"));
        assert_eq!(split_url("http://[::1]:8787").unwrap().host, "[::1]");
        assert_eq!(split_url("http://a?x").unwrap().path, "/");
        assert_eq!(split_url("/v1"), None);
    }

    #[test]
    fn an_idempotency_key_is_printable_and_single() {
        let all: String = (0x20_u8..0x7f).map(char::from).collect();
        for good in ["k", "550e8400-e29b-41d4-a716-446655440000", "a,b", &all, &"k".repeat(255)] {
            assert!(is_idempotency_key(good), "{good}");
        }
        for bad in ["", "a, b", "a\tb", "a\0b", "é", &"k".repeat(256)] {
            assert!(!is_idempotency_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_preferred_wait_is_parsed_and_capped() {
        for (text, secs) in [
            ("wait=5", Some(5)),
            ("respond-async, wait=10", Some(10)),
            ("Wait = \"7\"; x=y", Some(7)),
            ("wait=61", Some(60)),
            ("wait=99999999999999999999", Some(60)),
            ("wait=1, wait=2", Some(1)),
            ("wait=x", None),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("wait=", None),
            ("wait", None),
            ("", None),
        ] {
            assert_eq!(parse_preferred_wait_secs(text), secs, "{text}");
        }
    }

    #[test]
    fn json_is_the_only_media_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\";"] {
            assert!(is_json_media_type(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json, text/plain",
            "application/json; x=1",
        ] {
            assert!(!is_json_media_type(bad), "{bad}");
        }
    }

    #[test]
    fn a_client_request_id_is_plain_and_short() {
        assert_eq!(parse_client_request_id("a.B_9-"), Some("a.B_9-"));
        for bad in ["", "a b", "a\n", "é", &"a".repeat(65)] {
            assert_eq!(parse_client_request_id(bad), None);
        }
    }

    #[test]
    fn a_token_has_one_of_two_schemes() {
        assert_eq!(parse_authorization(Some("DPoP a.b.c")), Credentials::Bound("a.b.c"));
        assert_eq!(parse_authorization(Some("dpop a.b.c")), Credentials::Bound("a.b.c"));
        assert_eq!(parse_authorization(None), Credentials::Missing);
        assert_eq!(parse_authorization(Some("Bearer a.b.c")), Credentials::Bearer("a.b.c"));
        assert_eq!(parse_authorization(Some("bearer a.b.c")), Credentials::Bearer("a.b.c"));
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer\ta.b.c",
            "Bearer  a.b.c",
            "Token a",
            "DPoP",
            "DPoP ",
            "DPoP a, Bearer b",
            "Bearer a, Bearer b",
            "Bearer é",
        ] {
            assert!(matches!(parse_authorization(Some(bad)), Credentials::Unusable(_)), "{bad}");
        }
    }
}
