//! The setting `keys` of an issuer: the keys are in the configuration (`jwks`), in a secret (`secret`), or at a URL
//! (`jwks_url`).

use std::sync::Arc;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::issuer::IssuerKeys;
use super::key_set::{KeySet, KeySetProblem};
use super::remote_keys::RemoteKeys;
use super::setting_reader::SettingReader;
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
    let written = |keys: KeySet| (IssuerKeys::Written(Arc::new(keys)), false);
    match only.map(|(name, value)| (name.as_str(), value)) {
        Some(("jwks", set)) => parse_inline_keys(settings, set, algorithms?).map(written),
        Some(("secret", name)) => parse_secret_keys(settings, name, algorithms?, secret).map(written),
        Some(("jwks_url", url)) => parse_remote_keys(settings, url, algorithms?),
        _ => {
            settings.add_problem("keys", "does not have exactly one of jwks_url, jwks and secret");
            None
        }
    }
}

fn parse_inline_keys(settings: &mut SettingReader<'_>, set: &Value, algorithms: &[Algorithm]) -> Option<KeySet> {
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem("keys.jwks", "holds public keys, but the algorithms are HS: these need keys.secret");
        return None;
    }
    report_problems(settings, KeySet::parse_public(set, algorithms), "keys.jwks", "keys.jwks.keys")
}

fn parse_remote_keys(
    settings: &mut SettingReader<'_>,
    url: &Value,
    algorithms: &[Algorithm],
) -> Option<(IssuerKeys, bool)> {
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem("keys.jwks_url", "publishes keys, but the algorithms are HS: these need keys.secret");
        return None;
    }
    let url = url.as_str().unwrap_or_default();
    let Some(is_loopback) = parse_web_url(url, Query::Allowed) else {
        settings.add_problem(
            "keys.jwks_url",
            "is not an https URL (http only on a loopback host) without user, password and fragment",
        );
        return None;
    };
    Some((IssuerKeys::Remote(Arc::new(RemoteKeys::new(url.to_owned(), algorithms.to_vec()))), is_loopback))
}

fn parse_secret_keys(
    settings: &mut SettingReader<'_>,
    name: &Value,
    algorithms: &[Algorithm],
    secret: SecretSource<'_>,
) -> Option<KeySet> {
    let Some(name) = name.as_str().filter(|name| is_secret_name(name)) else {
        settings.add_problem(
            "keys.secret",
            "is not the name of a secret (capital letters, digits, _), or is reserved for another setting",
        );
        return None;
    };
    if !algorithms.iter().all(|algorithm| algorithm.is_symmetric()) {
        settings.add_problem(
            "keys.secret",
            "names a secret, but the algorithms are not HS: use keys.jwks or keys.jwks_url",
        );
        return None;
    }
    let Some(text) = secret(name) else {
        settings.add_problem("keys.secret", &format!("names {name}, which is not set"));
        return None;
    };
    let place = format!("keys.secret names {name}, which");
    report_problems(
        settings,
        KeySet::parse_secret(&text, algorithms),
        &place,
        &format!("keys.secret names {name}, whose keys"),
    )
}

/// Names of the deployment's own settings and bindings, which no issuer may use as its secret. Variables are not secret
/// at all, and a person who knows another secret of the deployment must not be able to sign tokens with it.
const RESERVED_NAMES: [&str; 20] = [
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
    "TOKEN_LIFETIME_SECS",
    "TURNSTILE_URL",
    "ALERT_WEBHOOK_URL",
    "EVENTS_WEBHOOK_URL",
    "LOG_LEVEL",
    "LEDGER",
    "DISPATCHER",
    "ASSETS",
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

/// Returns the keys, or adds a problem for the set (`whole`) or for each wrong key (`each`, with its index)
/// and returns `None`.
fn report_problems(
    settings: &mut SettingReader<'_>,
    keys: Result<KeySet, Vec<KeySetProblem>>,
    whole: &str,
    each: &str,
) -> Option<KeySet> {
    let problems = match keys {
        Ok(keys) => return Some(keys),
        Err(problems) => problems,
    };
    for KeySetProblem { index, problem } in problems {
        let place = index.map_or_else(|| whole.to_owned(), |index| format!("{each}[{index}]"));
        settings.add_problem(&place, &problem.to_string());
    }
    None
}
