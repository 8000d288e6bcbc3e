//! Recognizes origins and URLs on this machine. Only those pages may use the demo's backend, and only those URLs may be
//! webhooks.

use std::net::Ipv4Addr;

use axum::http::Uri;

/// Returns whether an `Origin` is a page on this machine: `http://localhost:5173`, `http://127.0.0.1:8787`,
/// `http://[::1]:80`.
pub fn is_loopback_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    // An origin has no path (RFC 6454 section 6.2), so a trailing slash is not part of one.
    uri.scheme_str() == Some("http") && !origin.ends_with('/') && uri.path() == "/" && is_loopback_host(&uri)
}

/// Returns whether a URL's host is this machine. A URL with user information is refused:
/// `http://localhost@evil.example` leads elsewhere.
pub fn is_loopback_host(uri: &Uri) -> bool {
    let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else { return false };
    match authority.host() {
        "localhost" | "[::1]" => true,
        host => host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_on_this_machine_are_loopback() {
        for origin in ["http://localhost:5173", "http://127.0.0.1:8787", "http://[::1]:80", "http://localhost"] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.example",
            "https://localhost",
            "http://localhost/",
            "http://localhost/path",
            "http://127.0.0.1@evil.example",
            "http://localhost@127.0.0.1",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback_origin(origin), "{origin}");
        }
    }
}
