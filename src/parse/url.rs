//! URLs in settings, tokens and inputs, and the rule for loopback hosts.
//!
//! Plain http is allowed on a loopback host only. A setting with such a host is for development: the Worker refuses it
//! when it is itself called by another host name.

use url::{Host, Url};

use crate::constants::ISSUER_NAME_MAX_BYTES;

/// The hosts on which plain http is allowed, and where settings for development work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalHosts {
    /// Loopback hosts.
    #[default]
    Loopback,
    /// Also the private IPv4 addresses (RFC 1918): the Worker runs on a developer's machine, and a phone calls it.
    LoopbackAndPrivate,
}

impl LocalHosts {
    /// Returns whether `host` is one of these.
    #[must_use]
    pub fn include<S: AsRef<str>>(self, host: &Host<S>) -> bool {
        let is_private = matches!(host, Host::Ipv4(address) if address.is_private());
        is_loopback(host) || (self == Self::LoopbackAndPrivate && is_private)
    }

    /// Returns whether a host as written in a URL is one of these. An IPv6 address has its brackets.
    #[must_use]
    pub fn include_name(self, host: &str) -> bool {
        Host::parse(host).is_ok_and(|host| self.include(&host))
    }
}

/// An absolute URL without credentials, query, fragment or trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub(crate) text: String,
    pub(crate) origin: String,
    pub(crate) is_local: bool,
}

impl BaseUrl {
    /// Parses an https URL, or an http one on a local host.
    ///
    /// # Errors
    /// The problem, without the value.
    pub fn try_new(text: &str, local: LocalHosts) -> Result<Self, &'static str> {
        let (url, is_local) = parse_url(text, local)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment");
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, origin: url.origin().ascii_serialization(), is_local })
    }

    /// Returns the URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// The URL of one resource on another server. A trailing slash and a query are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceUrl {
    pub(crate) text: String,
    pub(crate) is_loopback: bool,
}

impl ResourceUrl {
    /// Parses an https URL, or an http one on a loopback host.
    ///
    /// # Errors
    /// The problem, without the value.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let (url, is_loopback) = parse_url(text, LocalHosts::Loopback)?;
        if url.fragment().is_some() {
            return Err("has a fragment");
        }
        Ok(Self { text: url.into(), is_loopback })
    }

    /// Returns the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Checks the rules for every URL in a setting. Returns the URL, and whether it is on a local host.
fn parse_url(text: &str, local: LocalHosts) -> Result<(Url, bool), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let is_local = local.include(&url.host().ok_or("has no host")?);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err("is not https (http only for a loopback host)");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has credentials in it");
    }
    Ok((url, is_local))
}

/// Whether a URL may have a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Allowed,
    Refused,
}

/// Checks the URL of an issuer or a key set: https (http on a loopback host), without user, password or fragment, and
/// without a query if that is refused (RFC 8414 section 2). Returns whether it is on a loopback host, or `None` if a
/// rule is broken.
pub(crate) fn parse_web_url(text: &str, query: Query) -> Option<bool> {
    // Checked first, because the URL parser silently drops white space and line ends.
    if text.len() > ISSUER_NAME_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_loopback = is_loopback(&url.host()?);
    let has_scheme = text.starts_with("https://") || (is_loopback && text.starts_with("http://"));
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_query_allowed = query == Query::Allowed || url.query().is_none();
    (has_scheme && is_plain && is_query_allowed).then_some(is_loopback)
}

/// Returns whether `host` is a loopback host:
///
/// - `localhost` and its subdomains (RFC 6761 section 6.3), with or without a trailing dot
/// - 127.0.0.0/8, also as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2)
/// - `::1`
#[must_use]
pub fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref();
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// Returns whether `text` is an https URL on a public host. The Worker never fetches it, but the vendor does, so names
/// and addresses of private networks are refused (server-side request forgery).
#[must_use]
pub fn is_public_https_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    // The parser repairs backslashes, line ends and blanks. A text that needs repair is not the URL that a client
    // meant.
    let is_as_written = text.starts_with("https://") && !text.contains(['\\', '\n', '\r', '\t', ' ']);
    let is_public = match url.host() {
        Some(Host::Domain(name)) => {
            name.contains('.')
                && ![".localhost", ".local", ".internal", ".arpa"]
                    .iter()
                    .any(|end| name.trim_end_matches('.').ends_with(end))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    };
    is_plain && is_as_written && is_public
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_url_keeps_its_query_and_its_trailing_slash() {
        for url in ["https://hooks.example/a/", "https://hooks.example/a?token=x&y=", "http://[::1]:1/?a"] {
            assert_eq!(ResourceUrl::try_new(url).unwrap().as_str(), url);
        }
        let bad =
            ["", "hooks.example", "http://hooks.example/", "https://u@hooks.example/", "https://hooks.example/#f"];
        for url in bad {
            assert!(ResourceUrl::try_new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_base_url_has_no_query_and_loses_its_trailing_slash() {
        let parse = |text| BaseUrl::try_new(text, LocalHosts::Loopback);
        assert_eq!(parse("https://vendor.example/v1/").unwrap().as_str(), "https://vendor.example/v1");
        assert!(parse("https://vendor.example/v1?x").is_err());
    }

    #[test]
    fn loopback_hosts_are_recognized_in_every_form() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "app.localhost",
            "app.localhost.",
            "127.0.0.1",
            "127.1",
            "127.255.255.254",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ] {
            assert!(LocalHosts::Loopback.include_name(host), "{host}");
        }
    }

    #[test]
    fn private_addresses_are_local_only_where_they_are_asked_for() {
        for host in ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.20"] {
            assert!(LocalHosts::LoopbackAndPrivate.include_name(host), "{host}");
            assert!(!LocalHosts::Loopback.include_name(host), "{host}");
        }
        for host in ["172.32.0.1", "192.169.0.1", "169.254.0.1", "100.64.0.1", "8.8.8.8", "[fd00::1]", "app.example"] {
            assert!(!LocalHosts::LoopbackAndPrivate.include_name(host), "{host}");
        }
        assert!(LocalHosts::LoopbackAndPrivate.include_name("localhost"));
        let url = "http://192.168.1.20:8788/v1";
        assert!(BaseUrl::try_new(url, LocalHosts::LoopbackAndPrivate).unwrap().is_local);
        assert!(BaseUrl::try_new(url, LocalHosts::Loopback).is_err());
    }

    #[test]
    fn other_hosts_are_not_loopback_hosts() {
        for host in [
            "",
            "localhost.example",
            "localhost..",
            "xlocalhost",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "::1",
            "127.0.0.1.example",
        ] {
            assert!(!LocalHosts::Loopback.include_name(host), "{host}");
        }
    }
}
