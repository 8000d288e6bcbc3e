//! URLs of settings (contract 4): https, or http on a loopback host, and never with credentials.

use url::Url;

use crate::loopback::is_loopback;

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
}
