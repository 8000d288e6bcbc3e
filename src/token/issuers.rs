//! From the variable `ISSUERS` to issuers: every rule of contract 4, and every problem at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::header::NEVER_ALLOWED_MEMBERS;
use super::issuer::{AdminRight, AudienceClaim, Issuer, ProofRule, Purpose};
use super::issuer_keys::{SecretSource, parse_keys};
use super::settings::Settings;
use super::token_types::TokenTypes;
use crate::constants::{
    ISSUER_ACCESS_LIFETIME_MAX_SECS, ISSUER_LEEWAY_DEFAULT_SECS, ISSUER_LEEWAY_MAX_SECS, ISSUER_LIFETIME_DEFAULT_SECS,
    ISSUER_OTHER_LIFETIME_MAX_SECS, ISSUERS_MAX_DEPTH, SETTING_TEXT_MAX_BYTES,
};
use crate::parse::json::parse_strict;
use crate::parse::url::{Query, parse_web_url};

const MEMBERS: [&str; 13] = [
    "issuer",
    "audience",
    "keys",
    "algorithms",
    "use",
    "max_lifetime_secs",
    "leeway_secs",
    "token_types",
    "extra_header_members",
    "audience_claim",
    "plan_claim",
    "dpop",
    "admins",
];

/// Parses the JSON text of `ISSUERS`.
///
/// # Errors
/// Every problem, such as `[0].audience is missing`: places and rules, never values.
pub fn parse_issuers(json_text: &str, secret: SecretSource<'_>) -> Result<Vec<Issuer>, Vec<String>> {
    let list = match parse_strict(json_text.as_bytes(), ISSUERS_MAX_DEPTH) {
        Ok(Value::Array(list)) if !list.is_empty() => list,
        Ok(Value::Array(_)) => return Err(vec![String::from("has no issuer")]),
        Ok(_) => return Err(vec![String::from("is not a list")]),
        Err(_) => return Err(vec![String::from("is not JSON, has an equal member twice, or nests too deep")]),
    };
    let (mut issuers, mut problems): (Vec<Issuer>, Vec<String>) = (Vec::new(), Vec::new());
    for (index, value) in list.iter().enumerate() {
        let path = format!("[{index}]");
        let Some(members) = value.as_object() else {
            problems.push(format!("{path} is not an object"));
            continue;
        };
        let before = list.iter().take(index).filter_map(|other| other.get("issuer"));
        let repeated = before.into_iter().any(|other| members.get("issuer") == Some(other));
        let mut settings = Settings::new(path, members, &mut problems);
        if repeated {
            settings.problem("issuer", "is there twice");
        }
        issuers.extend(parse_issuer(&mut settings, members, secret));
    }
    if problems.is_empty() { Ok(issuers) } else { Err(problems) }
}

/// One issuer; `None` where a problem was noted.
fn parse_issuer(settings: &mut Settings<'_>, members: &Map<String, Value>, secret: SecretSource<'_>) -> Option<Issuer> {
    settings.allow_only(&MEMBERS);
    let name = parse_name(settings);
    let audience = parse_audience(settings);
    let algorithms = parse_algorithms(settings);
    let keys = parse_keys(settings, algorithms.as_deref(), secret);
    let purposes = parse_purposes(settings);
    let longest = match &purposes {
        Some(purposes) if !purposes.contains(&Purpose::Access) => ISSUER_OTHER_LIFETIME_MAX_SECS,
        _ => ISSUER_ACCESS_LIFETIME_MAX_SECS,
    };
    let max_lifetime_secs = settings.integer("max_lifetime_secs", ISSUER_LIFETIME_DEFAULT_SECS, 1..=longest);
    let leeway_secs = settings.integer("leeway_secs", ISSUER_LEEWAY_DEFAULT_SECS, 0..=ISSUER_LEEWAY_MAX_SECS);
    let token_types = parse_token_types(settings);
    let extra_header_members = parse_extra_header_members(settings);
    let audience_claim = settings.word("audience_claim", AudienceClaim::Aud);
    let plan_claim = settings.text("plan_claim", "plan", NAME_RULE, is_printable);
    let proof = settings.word("dpop", ProofRule::Allowed);
    let takes_proofs = |purpose: &Purpose| matches!(purpose, Purpose::Access | Purpose::Exchange);
    if proof == Some(ProofRule::Required) && purposes.as_ref().is_some_and(|list| !list.iter().all(takes_proofs)) {
        settings.problem("dpop", "is required of attest or admin, which come without proofs");
    }
    let admins = parse_admins(settings);
    let ((name, is_loopback), keys) = (name?, keys?);
    Some(Issuer {
        name,
        is_loopback: is_loopback || keys.1,
        audience: audience?,
        audience_claim: audience_claim?,
        keys: keys.0,
        algorithms: algorithms?,
        purposes: purposes?,
        max_lifetime_secs: max_lifetime_secs?,
        leeway_secs: leeway_secs?,
        token_types: token_types?,
        extra_header_members: extra_header_members?,
        plan_claim: plan_claim?,
        proof: proof?,
        admins: admins?,
        origins: None,
        settings_hash: settings_hash(members),
    })
}

const NAME_RULE: &str = "is not 1 to 255 printable ASCII characters";

fn is_printable(text: &str) -> bool {
    (1..=SETTING_TEXT_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The issuer's URL, which `iss` must equal byte for byte, and whether it is on a loopback host.
fn parse_name(settings: &mut Settings<'_>) -> Option<(String, bool)> {
    let text = settings.required("issuer")?.as_str().unwrap_or_default();
    let parsed = parse_web_url(text, Query::Refused);
    if parsed.is_none() {
        settings.problem(
            "issuer",
            "is not an https URL (http only on a loopback host) without user, password, query and fragment",
        );
    }
    parsed.map(|is_loopback| (text.to_owned(), is_loopback))
}

fn parse_audience(settings: &mut Settings<'_>) -> Option<Vec<String>> {
    let value = settings.required("audience")?;
    let audience = settings.list("audience", value, NAME_RULE, |text| is_printable(text).then(|| text.to_owned()))?;
    if audience.is_empty() {
        settings.problem("audience", "is empty");
    }
    Some(audience)
}

fn parse_algorithms(settings: &mut Settings<'_>) -> Option<Vec<Algorithm>> {
    let value = settings.required("algorithms")?;
    let algorithms = settings.list("algorithms", value, "is not a supported algorithm", Algorithm::parse)?;
    if algorithms.is_empty() {
        settings.problem("algorithms", "is empty");
        return None;
    }
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    if symmetric != 0 && symmetric != algorithms.len() {
        settings
            .problem("algorithms", "mixes HS algorithms, which need a secret, with others, which need a public key");
        return None;
    }
    Some(algorithms)
}

fn parse_purposes(settings: &mut Settings<'_>) -> Option<Vec<Purpose>> {
    let Some(value) = settings.get("use") else { return Some(vec![Purpose::Access]) };
    let rule = "is not one of access, exchange, admin, attest";
    let purposes = settings.list("use", value, rule, |text| text.parse().ok())?;
    if purposes.is_empty() {
        settings.problem("use", "is empty");
    }
    // An attestation is the same on every phone and readable by whoever sees the app's traffic: it must never be enough to
    // call the API, to get a token for it, or to operate.
    if purposes.contains(&Purpose::Attest) && purposes.len() > 1 {
        settings.problem("use", "has attest together with something else");
    }
    Some(purposes)
}

fn parse_token_types(settings: &mut Settings<'_>) -> Option<TokenTypes> {
    let Some(value) = settings.get("token_types") else {
        return Some(TokenTypes::new(&[String::from("JWT"), String::from("at+jwt")]));
    };
    let types = settings.list("token_types", value, NAME_RULE, |text| is_printable(text).then(|| text.to_owned()))?;
    if types.is_empty() {
        settings.problem("token_types", "is empty");
    }
    Some(TokenTypes::new(&types))
}

fn parse_extra_header_members(settings: &mut Settings<'_>) -> Option<Vec<String>> {
    let Some(value) = settings.get("extra_header_members") else { return Some(Vec::new()) };
    let rule = "is not a header member that may be ignored (crit, b64, zip and enc never may)";
    let allowed = |text: &str| is_printable(text) && !NEVER_ALLOWED_MEMBERS.contains(&text);
    settings.list("extra_header_members", value, rule, |text| allowed(text).then(|| text.to_owned()))
}

fn parse_admins(settings: &mut Settings<'_>) -> Option<BTreeMap<String, Vec<AdminRight>>> {
    let Some(value) = settings.get("admins") else { return Some(BTreeMap::new()) };
    let Some(members) = value.as_object() else {
        settings.problem("admins", "is not an object");
        return None;
    };
    let mut admins = BTreeMap::new();
    for (index, (name, rights)) in members.iter().enumerate() {
        // The place instead of the name: an operator's address is nobody else's business.
        let place = format!("admins(entry {index})");
        let rights = settings.list(&place, rights, "is not read or write", |text| text.parse().ok())?;
        admins.insert(name.clone(), rights);
    }
    Some(admins)
}

/// Over everything but the keys, which have thumbprints of their own. Equal settings have equal hashes, because a
/// map writes its members in their order.
fn settings_hash(members: &Map<String, Value>) -> [u8; 32] {
    let mut hash = hmac_sha256::Hash::new();
    hash.update(b"valetkey issuer settings\0");
    for (name, value) in members.iter().filter(|(name, _)| *name != "keys") {
        // JSON texts end where they end: name and value cannot be confused.
        hash.update(format!("{}{value}", Value::from(name.as_str())));
    }
    hash.finalize()
}

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
