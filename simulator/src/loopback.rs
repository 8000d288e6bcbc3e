//! Which browser origins may talk to the demo's backend: pages on this machine.

use std::net::Ipv4Addr;

use axum::http::Uri;

/// Whether an `Origin` is a page on this machine: `http://localhost:5173`, `http://127.0.0.1:8787`, `http://[::1]:80`.
pub fn is_loopback_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    // An origin has no path: a trailing slash makes it something else.
    uri.scheme_str() == Some("http") && !origin.ends_with('/') && uri.path() == "/" && is_loopback_host(&uri)
}

/// Whether a URL names this machine, without user information.
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
    fn only_pages_of_this_machine_are_loopback() {
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
