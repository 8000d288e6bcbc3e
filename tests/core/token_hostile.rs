//! Runs every line of `hostile/jwt.jsonl`: each hostile token is refused for its own reason, each valid one accepted.

use std::collections::BTreeSet;

use serde_json::json;

use crate::hostile::keys::Keys;
use crate::hostile::public_keys::{BAD_KID, Pair, hostile_keys};
use crate::hostile::{build_jwt, issuers, lines, secret};
use valetkey::token::{Algorithm, Issuer, KeySet, Possession, Purpose, Refusal, TokenCache, parse_issuers, verify};
use valetkey::types::time::UnixSeconds;

const NOW: i64 = 1_768_473_000;

fn parsed(keys: &Keys) -> Vec<Issuer> {
    parse_issuers(&issuers(keys).to_string(), &|name| secret(keys, name)).unwrap()
}

#[test]
fn each_token_gets_the_verdict_its_line_expects() {
    let keys = Keys::generate();
    let issuers = parsed(&keys);
    let mut wrong = Vec::new();
    for line in lines() {
        let token = build_jwt(&line, &keys, NOW);
        let answer = match verify(&token, &issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)) {
            Ok(_) => "accepted",
            Err(refusal) => refusal.as_str(),
        };
        if answer != line.expect {
            wrong.push(format!("{}: {answer}, not {} ({})", line.id, line.expect, line.why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_refused_token_is_never_in_the_cache() {
    let keys = Keys::generate();
    let issuers = parsed(&keys);
    let mut cache = TokenCache::new();
    for line in lines() {
        let token = build_jwt(&line, &keys, NOW);
        if let Ok(verified) = verify(&token, &issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)) {
            cache.insert(&token, &verified);
        }
        let hit = cache.get(&token, &issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)).is_some();
        assert_eq!(hit, line.expect == "accepted", "{}", line.id);
    }
}

#[test]
fn the_file_has_unique_ids_and_known_reasons() {
    let lines = lines();
    assert!(lines.len() >= 120, "{} lines", lines.len());
    let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "an id is there twice");
    for line in &lines {
        assert!(line.expect == "accepted" || Refusal::parse(&line.expect).is_some(), "{}: {}", line.id, line.expect);
    }
}

#[test]
fn every_reason_these_issuers_can_give_occurs() {
    let given: BTreeSet<String> = lines().into_iter().map(|line| line.expect).collect();
    // Reasons that need other issuers or a DPoP proof: src/token/verify_tests.rs, src/token/signing_tests.rs.
    let elsewhere = [
        Refusal::WrongUse,
        Refusal::ProofRequired,
        Refusal::KeysUnavailable,
        Refusal::UnknownOrigin,
        Refusal::ProofForUnboundToken,
        Refusal::ProofOfAnotherKey,
        Refusal::ProofOfAnotherToken,
    ];
    let missing: Vec<_> = Refusal::ALL
        .iter()
        .filter(|refusal| !elsewhere.contains(refusal))
        .filter(|refusal| !given.contains(refusal.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_hostile_key_is_refused_in_the_settings_and_skipped_in_a_published_set() {
    let pair = Pair::generate();
    let algorithms = ["ES256", "ES384", "EdDSA", "RS256"].map(|name| Algorithm::parse(name).unwrap());
    let mut wrong = Vec::new();
    for key in hostile_keys(&pair) {
        let set = json!({"keys": [key.jwk, pair.jwk("good")]});
        let published = KeySet::parse_published(&set, &algorithms).unwrap();
        let is_skipped = published.find(Some("good")).is_ok() && published.find(Some(BAD_KID)).is_err();
        if KeySet::parse_public(&set, &algorithms).is_ok() || !is_skipped {
            wrong.push(key.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
