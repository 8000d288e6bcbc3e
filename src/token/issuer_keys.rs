//! The setting `keys` of an issuer: the keys are in the configuration (`jwks`), in a secret (`secret`), or at a URL
//! (`jwks_url`).

use std::sync::Arc;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::issuer::IssuerKeys;
use super::key_set::{KeySet, KeySetProblem};
use super::remote_keys::RemoteKeys;
use super::setting_reader::SettingReader;
use crate::parse::problem::Place;
use crate::parse::url::{Query, parse_web_url};

/// Returns the text of the secret with this name, or `None` if it is not set.
pub type SecretSource<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parses the member `keys`. Returns the keys, and whether their URL is on a loopback host. Returns `None` if a problem
/// was added, or if the keys cannot be checked because `algorithms` are missing.
pub(super) fn parse_keys(
    settings: &mut SettingReader<'_>,
    algorithms: Option<&[Algorithm]>,
    secret: SecretSource<'_>,
) -> Option<(IssuerKeys, bool)> {
    let value = settings.require("keys")?;
    let only = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    let place = settings.place_of("keys");
    let written = |keys: KeySet| (IssuerKeys::Written(Arc::new(keys)), false);
    match only.map(|(name, value)| (name.as_str(), value)) {
        Some(("jwks", set)) => parse_inline_keys(settings, &place.member("jwks"), set, algorithms?).map(written),
        Some(("secret", name)) => {
            parse_secret_keys(settings, &place.member("secret"), name, algorithms, secret).map(written)
        }
        Some(("jwks_url", url)) => parse_remote_keys(settings, &place.member("jwks_url"), url, algorithms),
        _ => {
            settings.add_problem("keys", "does not have exactly one of jwks_url, jwks and secret");
            None
        }
    }
}

fn parse_inline_keys(
    settings: &mut SettingReader<'_>,
    place: &Place,
    set: &Value,
    algorithms: &[Algorithm],
) -> Option<KeySet> {
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem_at(place, "holds public keys, but the algorithms are HS: these need keys.secret");
        return None;
    }
    KeySet::parse_public(set, algorithms)
        .map_err(|problems| {
            for KeySetProblem { index, problem } in problems {
                let key = index.map(|index| place.member("keys").item(index));
                settings.add_problem_at(key.as_ref().unwrap_or(place), &problem.to_string());
            }
        })
        .ok()
}

fn parse_remote_keys(
    settings: &mut SettingReader<'_>,
    place: &Place,
    url: &Value,
    algorithms: Option<&[Algorithm]>,
) -> Option<(IssuerKeys, bool)> {
    let url = url.as_str().unwrap_or_default();
    let is_loopback = parse_web_url(url, Query::Allowed);
    if is_loopback.is_none() {
        let rule = "is not an https URL (http only on a loopback host) without user, password and fragment";
        settings.add_problem_at(place, rule);
    }
    let algorithms = algorithms?;
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem_at(place, "publishes keys, but the algorithms are HS: these need keys.secret");
        return None;
    }
    Some((IssuerKeys::Remote(Arc::new(RemoteKeys::new(url.to_owned(), algorithms.to_vec()))), is_loopback?))
}

fn parse_secret_keys(
    settings: &mut SettingReader<'_>,
    place: &Place,
    name: &Value,
    algorithms: Option<&[Algorithm]>,
    secret: SecretSource<'_>,
) -> Option<KeySet> {
    let Some(name) = name.as_str().filter(|name| is_secret_name(name)) else {
        let rule = "is not the name of a secret (capital letters, digits, _), or is reserved for another setting";
        settings.add_problem_at(place, rule);
        return None;
    };
    let text = secret(name);
    if text.is_none() {
        settings.add_problem_at(place, &format!("names {name}, which is not set"));
    }
    let algorithms = algorithms?;
    if !algorithms.iter().all(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem_at(place, "names a secret, but the algorithms are not HS: use keys.jwks or keys.jwks_url");
        return None;
    }
    KeySet::parse_secret(&text?, algorithms)
        .map_err(|problems| {
            for KeySetProblem { index, problem } in problems {
                let which = index.map_or_else(|| "which".to_owned(), |index| format!("whose keys[{index}]"));
                settings.add_problem_at(place, &format!("names {name}, {which} {problem}"));
            }
        })
        .ok()
}

/// Names of the deployment's own settings and bindings, which no issuer may use as its secret. Variables are not secret
/// at all, and a person who knows another secret of the deployment must not be able to sign tokens with it.
const RESERVED_NAMES: [&str; 28] = [
    "DEEPCREATIVE_API_KEY",
    "DEEPCREATIVE_API_KEY_NEXT",
    "TOKEN_SIGNING_KEYS",
    "TURNSTILE_SECRET",
    "ALERT_WEBHOOK_SECRET",
    "EVENTS_WEBHOOK_SECRET",
    "UPSTREAM_URL",
    "PUBLIC_URL",
    "ALLOWED_ORIGINS",
    "ISSUERS",
    "POLICY",
    "DEMO",
    "DEMO_SESSION_URL",
    "TURNSTILE_SITE_KEY",
    "DOCS_URL",
    "TOKEN_LIFETIME_SECS",
    "TURNSTILE_URL",
    "ALERT_WEBHOOK_URL",
    "EVENTS_WEBHOOK_URL",
    "JURISDICTION",
    "DISPATCHER_LOCATION",
    "RETENTION_DAYS",
    "LOG_LEVEL",
    "DEV_LAN",
    "LEDGER",
    "DISPATCHER",
    "ASSETS",
    "ADDRESS_RATE_LIMIT",
];

/// Returns whether `name` is or could become the continuation of a long setting: `ISSUERS_2`, `POLICY_40` and so on.
fn is_continuation(name: &str) -> bool {
    let number = name.strip_prefix("ISSUERS_").or_else(|| name.strip_prefix("POLICY_"));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether `text` can be the name of a secret. Otherwise it may be the secret itself, put there by mistake, and
/// must not be shown.
fn is_secret_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && !RESERVED_NAMES.contains(&text)
        && !is_continuation(text)
}
