//! The signature vectors of tests/vectors, run through the call that verifies every token's signature, and the RFCs'
//! tokens through the verification of tokens. tests/api/signature_vectors.rs does the same in the compiled module.

use serde_json::{Value, json};
use valetkey::token::{Algorithm, KeySet, Possession, Purpose, Refusal, parse_issuers, verify, verify_signature};
use valetkey::types::ids::UserKey;
use valetkey::types::time::UnixSeconds;

use crate::signature_vectors::{self as vectors, Group, RFC_SECRET, Set, Signed, Unsecured, rfc, rfc_issuers};

/// Verifies a group's signatures with its key as an issuer's only one. Returns `None` if no issuer may have it.
fn verify_group(group: &Group) -> Option<Vec<bool>> {
    let algorithm = Algorithm::parse(group.algorithm).unwrap();
    let set = json!({"keys": [group.jwk]});
    let keys = if algorithm.is_symmetric() {
        KeySet::parse_secret(&set.to_string(), &[algorithm])
    } else {
        KeySet::parse_public(&set, &[algorithm])
    };
    let keys = keys.ok()?;
    let key = keys.find(None).unwrap().verifying();
    let verdicts = group.vectors.iter().map(|vector| verify_signature(key, &vector.message, &vector.signature).is_ok());
    Some(verdicts.collect())
}

fn check(sets: impl IntoIterator<Item = Set>) {
    sets.into_iter().for_each(|set| set.check(verify_group));
}

#[test]
fn the_rfc_example_signatures_verify() {
    check([vectors::rfc_signatures()]);
}

#[test]
fn the_rfc_example_tokens_are_refused() {
    let issuers = parse_issuers(&rfc_issuers("S").to_string(), &|_| Some(RFC_SECRET.to_owned())).unwrap();
    let refusal =
        |token: &str, at| verify(token, &issuers, Purpose::Access, Possession::None, UnixSeconds(at)).unwrap_err();
    for Signed { rfc, token, expires_at, .. } in rfc().signed {
        let expected = if expires_at.is_some() { Refusal::UnknownIssuer } else { Refusal::BadClaims };
        assert_eq!(refusal(&token, expires_at.unwrap_or(0) - 380), expected, "{rfc}");
    }
    let Unsecured { rfc, token } = rfc().unsecured;
    assert_eq!(refusal(&token, 1_300_819_000), Refusal::NotCompact, "{rfc}");
}

#[test]
fn wycheproof_ecdsa() {
    check(vectors::ecdsa());
}

#[test]
fn wycheproof_ecdsa_in_der_is_always_refused() {
    check([vectors::ecdsa_in_der()]);
}

#[test]
fn wycheproof_ed25519() {
    check([vectors::ed25519()]);
}

#[test]
fn wycheproof_hmac() {
    check(vectors::hmac());
}

#[test]
fn wycheproof_rsa_pkcs1() {
    check(vectors::rsa_pkcs1());
}

#[test]
fn wycheproof_rsa_pss() {
    check(vectors::rsa_pss());
}

#[test]
fn wycheproof_rsa_pss_with_another_salt_or_mask_is_refused() {
    check(vectors::rsa_pss_with_another_salt_or_mask());
}

/// `userKey` of `valetkey/server` reads the same file.
#[test]
fn user_keys_are_those_of_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/user_keys.json")).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert!(vectors.len() > 3);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        assert_eq!(UserKey::new(text("issuer"), text("subject")).as_str(), text("key"));
    }
}
