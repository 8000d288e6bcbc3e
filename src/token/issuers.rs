//! Parses the variable `ISSUERS` by the rules of contract 4, and reports all problems at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::header::NEVER_ALLOWED_MEMBERS;
use super::issuer::{AdminRight, AudienceClaim, GUEST_ISSUER, Issuer, ProofRule, Purpose};
use super::issuer_keys::{SecretSource, parse_keys};
use super::setting_reader::SettingReader;
use super::token_types::TokenTypes;
use crate::constants::{
    ISSUER_ACCESS_LIFETIME_MAX_SECS, ISSUER_LEEWAY_DEFAULT_SECS, ISSUER_LEEWAY_MAX_SECS, ISSUER_LIFETIME_DEFAULT_SECS,
    ISSUER_NAME_MAX_BYTES, ISSUER_OTHER_LIFETIME_MAX_SECS, ISSUERS_MAX_DEPTH, SETTING_TEXT_MAX_BYTES,
};
use crate::parse::json::parse_strict;
use crate::parse::problem::{Place, SettingProblem};
use crate::parse::url::{Query, parse_web_url};

/// The members of an issuer.
pub const ISSUER_MEMBERS: [&str; 14] = [
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
    "email_trusted",
];

/// Parses the JSON text of `ISSUERS`.
///
/// # Errors
/// All problems, such as `[0].audience is missing`. They name places and rules, never values.
pub fn parse_issuers(json_text: &str, secret: SecretSource<'_>) -> Result<Vec<Issuer>, Vec<SettingProblem>> {
    let list = match parse_strict(json_text.as_bytes(), ISSUERS_MAX_DEPTH) {
        Ok(Value::Array(list)) if !list.is_empty() => list,
        Ok(Value::Array(_)) => return Err(vec!["has no issuers".into()]),
        Ok(_) => return Err(vec!["is not a list".into()]),
        Err(problem) => return Err(vec![problem.into()]),
    };
    let (mut issuers, mut problems): (Vec<Issuer>, Vec<SettingProblem>) = (Vec::new(), Vec::new());
    for (index, value) in list.iter().enumerate() {
        let place = Place::default().item(index);
        let Some(members) = value.as_object() else {
            problems.push(SettingProblem::new(&place, "is not an object"));
            continue;
        };
        let before = list.iter().take(index).filter_map(|other| other.get("issuer"));
        let repeated = before.into_iter().any(|other| members.get("issuer") == Some(other));
        let mut settings = SettingReader::new(place, members, &mut problems);
        if repeated {
            settings.add_problem("issuer", "is listed twice");
        }
        issuers.extend(parse_issuer(&mut settings, members, secret));
    }
    if problems.is_empty() { Ok(issuers) } else { Err(problems) }
}

/// Parses one issuer. Returns `None` if a problem was added.
fn parse_issuer(
    settings: &mut SettingReader<'_>,
    members: &Map<String, Value>,
    secret: SecretSource<'_>,
) -> Option<Issuer> {
    settings.refuse_unknown(&ISSUER_MEMBERS);
    let name = parse_name(settings);
    let audience = parse_audience(settings);
    let algorithms = parse_algorithms(settings);
    let keys = parse_keys(settings, algorithms.as_deref(), secret);
    let purposes = parse_purposes(settings);
    let max_lifetime_secs = parse_max_lifetime(settings, purposes.as_deref());
    let leeway_secs = settings.read_integer("leeway_secs", ISSUER_LEEWAY_DEFAULT_SECS, 0..=ISSUER_LEEWAY_MAX_SECS);
    let token_types = parse_token_types(settings);
    let extra_header_members = parse_extra_header_members(settings);
    let audience_claim = settings.read_choice("audience_claim", AudienceClaim::Aud);
    let plan_claim = settings.read_text("plan_claim", "plan", NAME_RULE, is_printable);
    let proof = parse_proof_rule(settings, purposes.as_deref());
    let admins = parse_admins(settings);
    let email_trusted = settings.read_switch("email_trusted");
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
        email_trusted: email_trusted?,
        origins: None,
        settings_hash: settings_hash(members),
    })
}

const NAME_RULE: &str = "is not 1 to 255 printable ASCII characters";

fn is_printable(text: &str) -> bool {
    (1..=SETTING_TEXT_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Parses the issuer's name, which `iss` must equal byte for byte. Returns the name, and whether it is a URL on a
/// loopback host.
///
/// A name is only compared, never fetched, so it need not be a URL (RFC 7519 section 4.1.1). Google's is a bare host,
/// Stytch's a host and a path. A name with `://` is meant as a URL and must be a valid one.
fn parse_name(settings: &mut SettingReader<'_>) -> Option<(String, bool)> {
    let text = settings.require("issuer")?.as_str().unwrap_or_default();
    let parsed = if text.contains("://") {
        let rule =
            "is a URL, and not an https one (http only on a loopback host) without user, password, query and fragment";
        parse_web_url(text, Query::Refused).ok_or(rule)
    } else if text == GUEST_ISSUER {
        Err("is guest, the issuer of guests' tokens")
    } else if (1..=ISSUER_NAME_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(false)
    } else {
        Err("is not 1 to 512 printable ASCII characters without blanks")
    };
    parsed.map(|is_loopback| (text.to_owned(), is_loopback)).map_err(|rule| settings.add_problem("issuer", rule)).ok()
}

fn parse_audience(settings: &mut SettingReader<'_>) -> Option<Vec<String>> {
    let value = settings.require("audience")?;
    let place = settings.place_of("audience");
    let audience = settings.read_list(&place, value, NAME_RULE, |text| is_printable(text).then(|| text.to_owned()))?;
    if audience.is_empty() {
        settings.add_problem("audience", "is empty");
    }
    Some(audience)
}

fn parse_algorithms(settings: &mut SettingReader<'_>) -> Option<Vec<Algorithm>> {
    let value = settings.require("algorithms")?;
    let place = settings.place_of("algorithms");
    let rule =
        format!("is not one of {}", Algorithm::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", "));
    let algorithms = settings.read_list(&place, value, &rule, Algorithm::parse)?;
    if algorithms.is_empty() {
        settings.add_problem("algorithms", "is empty");
        return None;
    }
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    if symmetric != 0 && symmetric != algorithms.len() {
        settings.add_problem(
            "algorithms",
            "mixes HS algorithms, which need a secret, with others, which need a public key",
        );
        return None;
    }
    Some(algorithms)
}

fn parse_purposes(settings: &mut SettingReader<'_>) -> Option<Vec<Purpose>> {
    let Some(value) = settings.get("use") else { return Some(vec![Purpose::Access]) };
    let rule = "is not one of access, exchange, admin, attest";
    let purposes = settings.read_list(&settings.place_of("use"), value, rule, |text| text.parse().ok())?;
    if purposes.is_empty() {
        settings.add_problem("use", "is empty");
    }
    // An attestation identifies the app, not the user, and anyone who can read the app's traffic can copy it. Alone it
    // must never allow calling the API, getting a token for it, or operating the deployment.
    if purposes.contains(&Purpose::Attest) && purposes.len() > 1 {
        settings.add_problem("use", "has attest together with another use");
    }
    Some(purposes)
}

/// Parses the longest lifetime of the issuer's tokens. Tokens that call the API have a lower limit than others.
fn parse_max_lifetime(settings: &mut SettingReader<'_>, purposes: Option<&[Purpose]>) -> Option<i64> {
    let longest = match purposes {
        Some(purposes) if !purposes.contains(&Purpose::Access) => ISSUER_OTHER_LIFETIME_MAX_SECS,
        _ => ISSUER_ACCESS_LIFETIME_MAX_SECS,
    };
    settings.read_integer("max_lifetime_secs", ISSUER_LIFETIME_DEFAULT_SECS, 1..=longest)
}

fn parse_proof_rule(settings: &mut SettingReader<'_>, purposes: Option<&[Purpose]>) -> Option<ProofRule> {
    let proof = settings.read_choice("dpop", ProofRule::Allowed);
    let takes_proofs = |purpose: &Purpose| matches!(purpose, Purpose::Access | Purpose::Exchange);
    if proof == Some(ProofRule::Required) && purposes.is_some_and(|list| !list.iter().all(takes_proofs)) {
        settings.add_problem("dpop", "is required, but tokens for attest and admin come without proofs");
    }
    proof
}

fn parse_token_types(settings: &mut SettingReader<'_>) -> Option<TokenTypes> {
    let Some(value) = settings.get("token_types") else {
        return Some(TokenTypes::new(&[String::from("JWT"), String::from("at+jwt")]));
    };
    let place = settings.place_of("token_types");
    let types = settings.read_list(&place, value, NAME_RULE, |text| is_printable(text).then(|| text.to_owned()))?;
    if types.is_empty() {
        settings.add_problem("token_types", "is empty");
    }
    Some(TokenTypes::new(&types))
}

fn parse_extra_header_members(settings: &mut SettingReader<'_>) -> Option<Vec<String>> {
    let Some(value) = settings.get("extra_header_members") else { return Some(Vec::new()) };
    let rule = "is not a header member that may be ignored (crit, b64, zip and enc never may)";
    let allowed = |text: &str| is_printable(text) && !NEVER_ALLOWED_MEMBERS.contains(&text);
    settings.read_list(&settings.place_of("extra_header_members"), value, rule, |text| {
        allowed(text).then(|| text.to_owned())
    })
}

fn parse_admins(settings: &mut SettingReader<'_>) -> Option<BTreeMap<String, Vec<AdminRight>>> {
    let Some(value) = settings.get("admins") else { return Some(BTreeMap::new()) };
    let Some(members) = value.as_object() else {
        settings.add_problem("admins", "is not an object");
        return None;
    };
    let mut admins = BTreeMap::new();
    for (index, (name, rights)) in members.iter().enumerate() {
        // The name may be an operator's email address.
        let place = settings.place_of("admins").hidden_member(name, index);
        let rights = settings.read_list(&place, rights, "is not read or write", |text| text.parse().ok());
        admins.extend(rights.map(|rights| (name.clone(), rights)));
    }
    (admins.len() == members.len()).then_some(admins)
}

/// Hashes all settings but the keys, which have their own thumbprints. Equal settings have equal hashes, because
/// `serde_json`'s map serializes its members in sorted order.
fn settings_hash(members: &Map<String, Value>) -> [u8; 32] {
    let mut hash = hmac_sha256::Hash::new();
    hash.update(b"valetkey issuer settings\0");
    for (name, value) in members.iter().filter(|(name, _)| *name != "keys") {
        // A JSON text is self-delimiting, so that no two different pairs of name and value have the same bytes.
        hash.update(format!("{}{value}", Value::from(name.as_str())));
    }
    hash.finalize()
}

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
