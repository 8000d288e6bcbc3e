//! The settings of the demo page: where it gets its tokens.

use std::ops::RangeInclusive;

use crate::config::reader::Reader;
use crate::parse::url::{BaseUrl, LocalHosts};

/// The length of a Turnstile site key. Cloudflare's have 24 characters.
const SITE_KEY_BYTES: RangeInclusive<usize> = 16..=64;

/// How the demo page gets its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demo {
    /// From the app's own backend: `DEMO_SESSION_URL`.
    Session(BaseUrl),
    /// From this deployment, as a guest whom Turnstile takes for a person. Holds `TURNSTILE_SITE_KEY`.
    Guest(String),
    /// From a field of the page: the visitor pastes a token.
    Pasted,
}

/// Reads the settings of the demo page. Returns `None` if it is off; its other settings are checked all the same.
pub(super) fn read_demo(reader: &mut Reader<'_>, local: LocalHosts, has_guests: bool) -> Option<Demo> {
    let is_on = reader.read_switch("DEMO");
    let session = reader.read("DEMO_SESSION_URL", |text| BaseUrl::try_new(text, local));
    let site_key = reader.read("TURNSTILE_SITE_KEY", parse_site_key);
    if site_key.is_some() && !has_guests {
        reader.add_problem("TURNSTILE_SITE_KEY", "needs TURNSTILE_SECRET: without it there are no guests");
    }
    if !is_on {
        return None;
    }
    Some(match (session, site_key) {
        (Some(url), _) => Demo::Session(url),
        (None, Some(site_key)) => Demo::Guest(site_key),
        (None, None) => Demo::Pasted,
    })
}

fn parse_site_key(text: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if SITE_KEY_BYTES.contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("is not a site key of Turnstile: 16 to 64 of A-Z, a-z, 0-9, _ and -")
    }
}
