//! URLs that an operator configures: settings, issuers, key sets; and the rule for loopback hosts.
//!
//! Plain http is good enough for a loopback host. Whatever is on one is for development and is refused as soon as the
//! Worker is called by any other host name.

use url::{Host, Url};

use crate::constants::ISSUER_NAME_MAX_BYTES;

/// An absolute URL without credentials, query or fragment, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub(crate) text: String,
    pub(crate) origin: String,
    pub(crate) is_loopback: bool,
}

impl BaseUrl {
    /// Parses an https URL, or an http one on a loopback host.
    ///
    /// # Errors
    /// What is wrong, without the value.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let (url, is_loopback) = parse_url(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment");
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, origin: url.origin().ascii_serialization(), is_loopback })
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// The URL of one resource of somebody else's: its last slash and its query are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceUrl {
    pub(crate) text: String,
    pub(crate) is_loopback: bool,
}

impl ResourceUrl {
    /// Parses an https URL, or an http one on a loopback host.
    ///
    /// # Errors
    /// What is wrong, without the value.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let (url, is_loopback) = parse_url(text)?;
        if url.fragment().is_some() {
            return Err("has a fragment");
        }
        Ok(Self { text: url.into(), is_loopback })
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What holds for every URL of a setting; and whether it is on a loopback host.
fn parse_url(text: &str) -> Result<(Url, bool), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let is_loopback = is_loopback(&url.host().ok_or("has no host")?);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err("is not https (http only for a loopback host)");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has credentials in it");
    }
    Ok((url, is_loopback))
}

/// Whether a URL may have a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Allowed,
    Refused,
}

/// Whether the URL is on a loopback host; `None` where it is not https (http on a loopback host), or has a user, a
/// password, a fragment, or a query that is not allowed (RFC 8414 section 2).
pub(crate) fn parse_web_url(text: &str, query: Query) -> Option<bool> {
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

/// `localhost` and the names below it (RFC 6761 section 6.3), with the root's dot or without; 127.0.0.0/8; `::1`; and
/// 127.0.0.0/8 as IPv6 maps it (RFC 4291 section 2.5.5.2).
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

/// The same for the text of a host as it stands in a URL, an IPv6 address in its brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    Host::parse(host).is_ok_and(|host| is_loopback(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_resource_keeps_its_query_and_its_last_slash() {
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
    fn a_base_has_no_query_and_loses_its_last_slash() {
        assert_eq!(BaseUrl::try_new("https://vendor.example/v1/").unwrap().as_str(), "https://vendor.example/v1");
        assert!(BaseUrl::try_new("https://vendor.example/v1?x").is_err());
    }

    #[test]
    fn this_machine_has_many_names() {
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
            assert!(is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn other_machines_do_not() {
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
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
