//! CORS for exact origins (contract 3): no wildcard, no credentials, and no origin is echoed unless it is listed.

/// Request headers that a page may send.
pub const ALLOWED_HEADERS: &str =
    "Authorization, DPoP, Content-Type, Idempotency-Key, Prefer, Last-Event-ID, X-Request-Id, X-Firebase-AppCheck";
/// Methods that a page may use.
pub const ALLOWED_METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";
/// Response headers that a page may read.
pub const EXPOSED_HEADERS: &str = "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
     Retry-After, Location, Idempotency-Replayed, Preference-Applied, WWW-Authenticate";
/// How long a browser may cache a preflight's response: Chromium's own maximum, two hours.
pub const MAX_AGE_SECS: &str = "7200";

/// The verdict on a request's `Origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginCheck<'a> {
    /// The request has no `Origin`: it comes from a mobile app or a server, and passes without CORS headers.
    None,
    /// The origin is listed, or is the Worker's own.
    Allowed(&'a str),
    /// Any other origin, including `null`.
    Refused,
}

/// Compares `origin`, byte for byte, with the allowed origins and the Worker's own: that of `PUBLIC_URL` and, on a
/// loopback host, that of the request.
#[must_use]
pub fn check_origin<'a>(
    origin: Option<&'a str>,
    allowed: &[String],
    public_origin: Option<&str>,
    request_origin: &str,
    request_is_loopback: bool,
) -> OriginCheck<'a> {
    let Some(origin) = origin else { return OriginCheck::None };
    let is_own = public_origin == Some(origin) || (request_is_loopback && origin == request_origin);
    if is_own || allowed.iter().any(|listed| listed == origin) {
        OriginCheck::Allowed(origin)
    } else {
        OriginCheck::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str) -> OriginCheck<'_> {
        let allowed = ["https://app.example".to_owned(), "capacitor://localhost".to_owned()];
        check_origin(Some(origin), &allowed, Some("https://api.example"), "https://api.example", false)
    }

    #[test]
    fn exact_origins_pass() {
        for good in ["https://app.example", "capacitor://localhost", "https://api.example"] {
            assert_eq!(check(good), OriginCheck::Allowed(good));
        }
        assert_eq!(check_origin(None, &[], None, "", false), OriginCheck::None);
    }

    #[test]
    fn look_alikes_are_refused() {
        let bad = [
            "null",
            "",
            "https://APP.EXAMPLE",
            "https://app.example.",
            "https://app.example:443",
            "http://app.example",
            "https://x.app.example",
            "https://app.example.evil.example",
            "https://app.example/",
            "https://app.example_",
            "https://app.example`.evil.example",
            "https://app.example, https://evil.example",
        ];
        for bad in bad {
            assert_eq!(check(bad), OriginCheck::Refused, "{bad}");
        }
    }

    #[test]
    fn on_loopback_the_requests_own_origin_passes() {
        let origin = "http://127.0.0.1:8787";
        assert_eq!(check_origin(Some(origin), &[], None, origin, true), OriginCheck::Allowed(origin));
        assert_eq!(check_origin(Some(origin), &[], None, origin, false), OriginCheck::Refused);
    }
}
