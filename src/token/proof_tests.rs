use serde_json::json;

use super::*;
use crate::token::testing::{NOW, PROOF_TARGET as TARGET, Prover, encode};

impl Prover {
    /// Returns the proof with one member changed, or without it if the value is null.
    fn with(&self, part: &str, name: &str, value: Value) -> Result<Proof, BadProof> {
        let (mut header, mut claims) = (self.header.clone(), self.claims.clone());
        let members = if part == "header" { &mut header } else { &mut claims };
        if value.is_null() {
            members.as_object_mut().unwrap().remove(name);
        } else {
            members[name] = value;
        }
        Proof::verify(Some(&self.sign(&header, &claims)), TARGET, UnixSeconds(NOW))
    }
}

#[test]
fn a_proof_of_each_algorithm_is_good_for_its_request() {
    for algorithm in PROOF_ALGORITHMS {
        let prover = Prover::new(algorithm.as_str());
        let proof = Proof::verify(Some(&prover.proof()), TARGET, UnixSeconds(NOW)).unwrap();
        assert_eq!(proof.key().as_str(), JwkThumbprint::of(&prover.header["jwk"]).unwrap().as_str());
        assert_eq!(proof.expires_at(), UnixSeconds(NOW + PROOF_AGE_MAX_SECS + 1));
    }
}

#[test]
fn a_header_that_is_anything_else_is_refused() {
    let prover = Prover::new("ES256");
    let d =
        json!({"kty": "EC", "crv": "P-256", "x": prover.header["jwk"]["x"], "y": prover.header["jwk"]["y"], "d": "AA"});
    for (name, value, expected) in [
        ("typ", json!(null), BadProof::Header),
        ("typ", json!("JWT"), BadProof::Header),
        ("typ", json!("application/dpop+jwt"), BadProof::Header),
        ("jwk", json!(null), BadProof::Header),
        ("kid", json!("k1"), BadProof::Header),
        ("crit", json!(["exp"]), BadProof::Header),
        ("alg", json!("HS256"), BadProof::Algorithm),
        ("alg", json!("RS256"), BadProof::Algorithm),
        ("alg", json!("none"), BadProof::Algorithm),
        ("alg", json!("ES384"), BadProof::Algorithm),
        ("alg", json!("EdDSA"), BadProof::Key),
        ("jwk", d, BadProof::Key),
        ("jwk", json!({"kty": "oct", "k": "AAAA"}), BadProof::Key),
        ("jwk", json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), BadProof::Key),
        ("jwk", json!("a"), BadProof::Key),
    ] {
        assert_eq!(prover.with("header", name, value.clone()).unwrap_err(), expected, "{name} {value}");
    }
}

#[test]
fn a_proof_is_for_one_method_one_url_and_a_few_minutes() {
    let prover = Prover::new("EdDSA");
    for (name, value, expected) in [
        ("htm", json!("GET"), BadProof::Method),
        ("htm", json!("post"), BadProof::Method),
        ("htm", json!(null), BadProof::Method),
        ("htu", json!(null), BadProof::Url),
        ("htu", json!("https://api.example/v1/acme/model-y/predictions"), BadProof::Url),
        ("htu", json!("https://api.example/v1/acme/model-x/predictions/"), BadProof::Url),
        ("htu", json!("https://api.example/v1/x/../acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("http://api.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://evil.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://api.example.evil.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://api.example@evil.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://:evil@api.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://api.exam\tple/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://api.example\\v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://evil@api.example/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("https://api.example:444/v1/acme/model-x/predictions"), BadProof::Url),
        ("htu", json!("/v1/acme/model-x/predictions"), BadProof::Url),
        ("iat", json!(null), BadProof::Time),
        ("iat", json!(NOW - PROOF_AGE_MAX_SECS - 1), BadProof::Time),
        ("iat", json!(NOW + PROOF_AHEAD_MAX_SECS + 1), BadProof::Time),
        ("iat", json!(NOW.to_string()), BadProof::Time),
        ("iat", json!(1.5), BadProof::Time),
        ("jti", json!(null), BadProof::Id),
        ("jti", json!(""), BadProof::Id),
        ("jti", json!(1), BadProof::Id),
        ("jti", json!("a\u{0}b"), BadProof::Id),
        ("jti", json!("a".repeat(256)), BadProof::Id),
        ("ath", json!("AAAA"), BadProof::TokenHash),
        ("ath", json!(1), BadProof::TokenHash),
    ] {
        assert_eq!(prover.with("claims", name, value.clone()).unwrap_err(), expected, "{name} {value}");
    }
    for (name, value) in [
        ("htu", json!("https://api.example/v1/acme/model-x/predictions?a=1#b")),
        ("htu", json!("HTTPS://API.example:443/v1/acme/model-x/predictions")),
        ("iat", json!(NOW - PROOF_AGE_MAX_SECS)),
        ("iat", json!(NOW + PROOF_AHEAD_MAX_SECS)),
        ("nonce", json!("unused")),
        ("ath", json!(encode([0; 32]))),
    ] {
        assert!(prover.with("claims", name, value.clone()).is_ok(), "{name} {value}");
    }
}

#[test]
fn a_proof_that_was_changed_is_refused() {
    let prover = Prover::new("ES256");
    let proof = prover.proof();
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let other = Prover::new("ES256");
    let verify = |text: &str| Proof::verify(Some(text), TARGET, UnixSeconds(NOW)).unwrap_err();
    assert_eq!(verify(&format!("{input}.{}", other.proof().rsplit_once('.').unwrap().1)), BadProof::Signature);
    assert_eq!(verify(&format!("{input}.{}", encode([0; 64]))), BadProof::Signature);
    assert_eq!(verify(&format!("{input}x.{signature}")), BadProof::Form);
    // The platform joins two headers of the same name with a comma.
    assert_eq!(verify(&format!("{proof}, {proof}")), BadProof::Form);
    assert_eq!(verify(""), BadProof::Form);
    assert_eq!(verify(&"a".repeat(PROOF_MAX_BYTES + 1)), BadProof::Form);
    assert_eq!(Proof::verify(None, TARGET, UnixSeconds(NOW)).unwrap_err(), BadProof::Missing);
}

#[test]
fn the_longest_proof_is_read_and_a_longer_one_is_not() {
    let prover = Prover::new("EdDSA");
    // Base64url turns three bytes of a claim into four characters.
    let length = |padding: usize| {
        let mut claims = prover.claims.clone();
        claims["x"] = json!("x".repeat(padding));
        prover.sign(&prover.header, &claims)
    };
    let fitting = (0..PROOF_MAX_BYTES).find(|padding| length(*padding).len() == PROOF_MAX_BYTES).unwrap();
    assert!(Proof::verify(Some(&length(fitting)), TARGET, UnixSeconds(NOW)).is_ok());
    let longer = (fitting..).map(length).find(|text| text.len() > PROOF_MAX_BYTES).unwrap();
    assert_eq!(Proof::verify(Some(&longer), TARGET, UnixSeconds(NOW)).unwrap_err(), BadProof::Form);
}

#[test]
fn proofs_are_told_apart_by_key_and_id() {
    let (first, second) = (Prover::new("ES256"), Prover::new("ES256"));
    let id = |prover: &Prover, jti: &str| prover.with("claims", "jti", json!(jti)).unwrap().id().to_owned();
    assert_eq!(id(&first, "a"), id(&first, "a"));
    assert_ne!(id(&first, "a"), id(&first, "b"));
    assert_ne!(id(&first, "a"), id(&second, "a"));
}

#[test]
fn each_reason_has_a_word_of_its_own() {
    let all = [
        BadProof::Missing,
        BadProof::Form,
        BadProof::Header,
        BadProof::Algorithm,
        BadProof::Key,
        BadProof::Signature,
        BadProof::Id,
        BadProof::Method,
        BadProof::Url,
        BadProof::Time,
        BadProof::TokenHash,
    ];
    let words = "missing form header algorithm key signature id method url time token_hash";
    assert_eq!(all.map(|bad| &bad.as_str()["proof_".len()..]).join(" "), words);
    for (index, bad) in all.into_iter().enumerate() {
        assert!(bad.as_str().starts_with("proof_"));
        assert_eq!(all.iter().position(|other| other.as_str() == bad.as_str()), Some(index));
    }
}
