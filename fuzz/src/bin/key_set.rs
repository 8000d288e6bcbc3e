//! Input: a JWK set.
//!
//! - Every key of an accepted set is found by its `kid`, has an allowed algorithm that fits its type, and has no
//!   private
//!   member.
//! - The lenient parser of published key sets reads the same keys as the strict parser of the configuration.
//! - Neither accepts a key with a private member.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use serde_json::{Value, json};
use valetkey::constants::{KEY_SET_MAX_BYTES, KEY_SET_MAX_DEPTH};
use valetkey::parse::json::parse_strict;
use valetkey::token::{Algorithm, Issuer, Key, KeyFamily, KeySet, KeySetProblem, parse_issuers};
use valetkey::types::time::UnixMillis;
use valetkey_fuzz::json;
use valetkey_fuzz::tokens::public_set;

valetkey_fuzz::target!(check);

const ALGORITHMS: [&[Algorithm]; 4] = [
    &[Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256],
    &[Algorithm::Es256],
    &[Algorithm::EdDsa, Algorithm::Ed25519],
    &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Ps512],
];

/// The public key of RFC 7515 appendix A.2.
fn rsa_key() -> Value {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/rfc.json")).unwrap();
    let mut key = vectors["signed"][1]["key"].clone();
    key["kid"] = json!("rsa1");
    key
}

static BASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let one = |key: &Value| json!({ "keys": [key] });
    let mut bases = vec![public_set()];
    bases.extend(public_set()["keys"].as_array().unwrap().iter().map(one));
    bases.push(one(&rsa_key()));
    bases.push(json!({"keys": [rsa_key(), {"kty": "oct", "kid": "o", "k": "AA"}, {"kty": "OKP", "crv": "X25519"},
        {"kty": "EC", "crv": "P-256", "d": "AA", "use": "enc", "key_ops": ["verify"], "x5c": [], "ext": true}]}));
    bases
});

fn remote_issuer() -> Issuer {
    let text = json!([{"issuer": "https://idp.example", "audience": ["a"],
        "algorithms": ["ES256", "ES384", "EdDSA", "RS256"], "keys": {"jwks_url": "https://idp.example/jwks"}}]);
    parse_issuers(&text.to_string(), &|_| None).unwrap().remove(0)
}

fn check(data: &[u8]) {
    let text = json::text(data, &BASES);
    let set = parse_strict(&text, KEY_SET_MAX_DEPTH);
    let issuer = remote_issuer();
    let is_taken = issuer.remote_keys().unwrap().replace_keys(&text, UnixMillis(0));
    let Ok(set) = set else {
        assert!(!is_taken);
        return;
    };
    let is_published = KeySet::parse_published(&set, ALGORITHMS[0]).is_some();
    assert_eq!(is_taken, is_published && text.len() <= KEY_SET_MAX_BYTES);
    for algorithms in ALGORITHMS {
        check_for(&set, algorithms);
    }
}

fn check_for(set: &Value, algorithms: &[Algorithm]) {
    let values = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let published = KeySet::parse_published(set, algorithms);
    if let Some(published) = &published {
        assert!(values.iter().any(|value| find(published, value).is_some_and(|key| fits(key, value, algorithms))));
    }
    match KeySet::parse_public(set, algorithms) {
        Ok(keys) => {
            assert!(!values.is_empty() && set.as_object().unwrap().len() == 1);
            let published = published.expect("the lenient parser accepts what the strict one accepts");
            for value in values {
                let key = find(&keys, value).expect("every key is found");
                assert!(fits(key, value, algorithms), "{value}");
                let same = find(&published, value).expect("the lenient parser finds every key");
                assert_eq!(format!("{key:?}"), format!("{same:?}"));
            }
            let is_unnamed = values.len() == 1 && values.iter().all(|value| value.get("kid").is_none());
            assert_eq!(keys.find(Some("no such key")).is_ok(), is_unnamed, "a name is ignored by an unnamed only key");
            assert_eq!(keys.find(None).is_ok(), values.len() == 1);
            check_private_is_refused(set, algorithms);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for KeySetProblem { index, problem } in problems {
                assert!(index.is_none_or(|index| index < values.len()));
                let shown = problem.to_string();
                let words = json::string_values(set);
                let is_shown = |word: &&str| word.len() >= 8 && shown.contains(*word);
                assert!(!words.iter().any(is_shown), "{shown}");
            }
        }
    }
}

fn find<'a>(keys: &'a KeySet, value: &Value) -> Option<&'a Key> {
    keys.find(value.get("kid").and_then(Value::as_str)).ok()
}

fn fits(key: &Key, value: &Value, algorithms: &[Algorithm]) -> bool {
    let algorithm = key.verifying().algorithm();
    let kind = match algorithm.family() {
        KeyFamily::Secret => return false,
        KeyFamily::P256 => ("EC", json!("P-256")),
        KeyFamily::P384 => ("EC", json!("P-384")),
        KeyFamily::Ed25519 => ("OKP", json!("Ed25519")),
        KeyFamily::Rsa => ("RSA", Value::Null),
    };
    let has_private =
        ["d", "p", "q", "dp", "dq", "qi", "oth", "priv", "k"].iter().any(|name| value.get(name).is_some());
    algorithms.contains(&algorithm)
        && (value["kty"].as_str(), &value["crv"]) == (Some(kind.0), &kind.1)
        && value.get("alg").is_none_or(|alg| alg == algorithm.as_str())
        && value.get("use").is_none_or(|use_| use_ == "sig")
        && !has_private
}

fn check_private_is_refused(set: &Value, algorithms: &[Algorithm]) {
    for member in ["d", "k", "priv"] {
        let mut private = set.clone();
        private["keys"][0][member] = json!("AA");
        assert!(KeySet::parse_public(&private, algorithms).is_err());
        let first = &set["keys"][0];
        let left = KeySet::parse_published(&private, algorithms);
        assert!(left.is_none_or(|left| find(&left, first).is_none()), "a private key is published");
    }
}
