//! The settings of the demo page, and the origins that its browser may load from.

use serde_json::{Value, json};

use crate::config::demo::Demo;
use crate::config::settings::Config;

/// The origin of Turnstile's script and of the frame that the script opens (Cloudflare's documentation of Turnstile,
/// "Content Security Policy").
const TURNSTILE_ORIGIN: &str = "https://challenges.cloudflare.com";

impl Config {
    /// Returns the document that tells the demo page how to get tokens, and whether a stand-in plays the vendor.
    ///
    /// A vendor on a local host is a stand-in. [`Config::check_host`] refuses it on a public host: no deployment has one,
    /// and the real vendor is never called one.
    #[must_use]
    pub fn demo_document(&self) -> Value {
        let (session_url, site_key) = match &self.demo {
            Some(Demo::Session(url)) => (Some(url.as_str()), None),
            Some(Demo::Guest(site_key)) => (None, Some(site_key.as_str())),
            Some(Demo::Pasted) | None => (None, None),
        };
        json!({
            "session_url": session_url, "turnstile_site_key": site_key, "is_stand_in": self.upstream_url.is_local,
        })
    }

    /// Returns the `Content-Security-Policy` of the demo page. The page may load pictures over https, show a picture
    /// that the user picked (`blob:`), and call this API and its source of tokens. It may load nothing else.
    #[must_use]
    pub fn demo_security_policy(&self) -> String {
        let (backend, script, frames) = match &self.demo {
            Some(Demo::Session(url)) => (url.origin(), "", "'none'"),
            Some(Demo::Guest(_)) => ("", TURNSTILE_ORIGIN, TURNSTILE_ORIGIN),
            Some(Demo::Pasted) | None => ("", "", "'none'"),
        };
        // In development the simulator serves its pictures over http on loopback.
        let upstream = self.upstream_url.origin();
        let pictures = if upstream.starts_with("http:") { upstream } else { "" };
        format!(
            "default-src 'none'; script-src 'self' {script}; style-src 'self'; img-src 'self' blob: https: {pictures}; \
             connect-src 'self' {backend}; frame-src {frames}; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    }
}
