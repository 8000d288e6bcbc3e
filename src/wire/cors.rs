//! CORS for exact origins (contract 3): no wildcard, no credentials, and no origin is echoed unless it is listed. The
//! one exception is a Worker that runs on the developer's own machine.

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

/// The pages that may call a route, besides the Worker's own.
#[derive(Clone, Copy, Debug)]
pub enum Pages<'a> {
    /// None: the operator's API.
    None,
    /// These origins and, where the Worker runs on a local host, any page of that machine.
    Listed(&'a [String]),
}

/// Compares `origin`, byte for byte, with the origins of `pages` and the Worker's own: that of `PUBLIC_URL` and, on a
/// local host, that of the request.
#[must_use]
pub fn check_origin<'a>(
    origin: Option<&'a str>,
    pages: Pages<'_>,
    public_origin: Option<&str>,
    request_origin: &str,
    request_is_local: bool,
) -> OriginCheck<'a> {
    let Some(origin) = origin else { return OriginCheck::None };
    let is_own = public_origin == Some(origin) || (request_is_local && origin == request_origin);
    let is_allowed = match pages {
        Pages::None => false,
        Pages::Listed(listed) => {
            listed.iter().any(|listed| listed == origin)
                || (request_is_local && is_page_of_this_machine(origin, request_origin))
        }
    };
    if is_own || is_allowed { OriginCheck::Allowed(origin) } else { OriginCheck::Refused }
}

/// Returns whether `origin` is a page of the developer's machine: of `localhost`, `127.0.0.1` or the host of the request,
/// such as a private address with `DEV_LAN`, on any port. The development servers of pages choose their ports themselves,
/// so nobody can list them. A deployed Worker never has a local host: Cloudflare finds it by its host.
fn is_page_of_this_machine(origin: &str, request_origin: &str) -> bool {
    let host = host_of(origin);
    host.is_some() && (matches!(host, Some("localhost" | "127.0.0.1")) || host == host_of(request_origin))
}

/// Returns the host of an http(s) origin, without its port.
fn host_of(origin: &str) -> Option<&str> {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
    match authority.rsplit_once(':') {
        None => Some(authority),
        Some((host, port)) => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some(host)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str) -> OriginCheck<'_> {
        let allowed = ["https://app.example".to_owned(), "capacitor://localhost".to_owned()];
        let pages = Pages::Listed(&allowed);
        check_origin(Some(origin), pages, Some("https://api.example"), "https://api.example", false)
    }

    #[test]
    fn exact_origins_pass() {
        for good in ["https://app.example", "capacitor://localhost", "https://api.example"] {
            assert_eq!(check(good), OriginCheck::Allowed(good));
        }
        assert_eq!(check_origin(None, Pages::None, None, "", false), OriginCheck::None);
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
        assert_eq!(check_origin(Some(origin), Pages::None, None, origin, true), OriginCheck::Allowed(origin));
        assert_eq!(check_origin(Some(origin), Pages::None, None, origin, false), OriginCheck::Refused);
    }

    #[test]
    fn on_loopback_any_page_of_this_machine_passes_except_to_the_operators_api() {
        let check = |origin, pages, is_loopback| {
            matches!(
                check_origin(Some(origin), pages, None, "http://127.0.0.1:8787", is_loopback),
                OriginCheck::Allowed(_)
            )
        };
        let listed = Pages::Listed(&[]);
        for page in ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost:8443", "http://localhost"] {
            assert!(check(page, listed, true), "{page}");
            assert!(!check(page, listed, false), "a deployment: {page}");
            assert!(!check(page, Pages::None, true), "the operator's API: {page}");
        }
        let others = [
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://localhost:",
            "http://localhost:80/",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.2:3000",
            "http://evil.example",
            "ftp://localhost:1",
            "null",
        ];
        for other in others {
            assert!(!check(other, listed, true), "{other}");
        }
    }

    #[test]
    fn a_page_on_the_local_host_of_the_request_passes_for_a_phone_on_the_same_network() {
        let check = |origin, is_local| {
            let worker = "http://192.168.1.20:8787";
            check_origin(Some(origin), Pages::Listed(&[]), None, worker, is_local) == OriginCheck::Allowed(origin)
        };
        assert!(check("http://192.168.1.20:5173", true));
        assert!(!check("http://192.168.1.20:5173", false), "without DEV_LAN");
        for other in ["http://192.168.1.21:5173", "http://192.168.1.20.evil.example:5173", "http://192.168.1.20:5173:1"]
        {
            assert!(!check(other, true), "{other}");
        }
    }
}
