//! Issuers, keys and tokens for the unit tests. Tests generate their keys when they run.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use ed25519_compact::{KeyPair, Seed};
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair, HS256Key, MACLike};
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

use super::issuer::{Issuer, Purpose};
use super::issuers::parse_issuers;
use super::proof::{Proof, ProofTarget};
use super::refusal::Refusal;
use super::verify::{Possession, VerifiedToken, verify};
use crate::types::time::UnixSeconds;

/// The present time of the unit tests.
pub const NOW: i64 = 1_768_473_000;
pub const NAME: &str = "https://issuer.example";

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// An issuer with one HS256 key, and the header and claims of its tokens.
pub struct Fixture {
    pub key: HS256Key,
    pub settings: Value,
    pub header: Value,
    pub claims: Value,
}

impl Fixture {
    pub fn new() -> Self {
        let key = HS256Key::generate();
        Self {
            settings: json!({
                "issuer": NAME, "audience": ["test"], "keys": {"secret": "TEST_SECRET"}, "algorithms": ["HS256"],
            }),
            header: json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}),
            claims: json!({"iss": NAME, "aud": "test", "sub": "u1", "iat": NOW, "exp": NOW + 300}),
            key,
        }
    }

    /// Returns the text of the secret: a JWK set with the key under the `kid` `k1`.
    pub fn secret(&self) -> String {
        json!({"keys": [{"kty": "oct", "kid": "k1", "k": encode(self.key.to_bytes())}]}).to_string()
    }

    pub fn issuers(&self) -> Vec<Issuer> {
        let secret = self.secret();
        let text = Value::from(vec![self.settings.clone()]).to_string();
        parse_issuers(&text, &|name| (name == "TEST_SECRET").then(|| secret.clone())).unwrap()
    }

    pub fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        format!("{input}.{}", encode(self.key.authentication_tag(input.as_bytes())))
    }

    pub fn token(&self) -> String {
        self.sign(&self.header.to_string(), &self.claims.to_string())
    }

    pub fn verify_at(&self, now: i64) -> Result<VerifiedToken, Refusal> {
        verify(&self.token(), &self.issuers(), Purpose::Access, Possession::None, UnixSeconds(now))
    }

    pub fn verify(&self) -> Result<VerifiedToken, Refusal> {
        self.verify_at(NOW)
    }
}

/// The request that proofs are made for.
pub const PROOF_TARGET: ProofTarget<'_> =
    ProofTarget { method: "POST", origin: "https://api.example", path: "/v1/acme/model-x/predictions" };

/// A key of each algorithm, and the header and claims of its proofs.
pub struct Prover {
    es256: ES256KeyPair,
    ed25519: KeyPair,
    pub header: Value,
    pub claims: Value,
}

impl Prover {
    pub fn new(algorithm: &str) -> Self {
        let (es256, ed25519) = (ES256KeyPair::generate(), KeyPair::from_seed(Seed::new([7; 32])));
        let point = es256.key_pair().public_key().to_bytes_uncompressed();
        let jwk = if algorithm == "ES256" {
            json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
        } else {
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode(ed25519.pk.as_ref())})
        };
        Self {
            es256,
            ed25519,
            header: json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk}),
            claims: json!({"jti": "p1", "htm": "POST", "iat": NOW,
                "htu": "https://api.example/v1/acme/model-x/predictions"}),
        }
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = if self.header["jwk"]["kty"] == "EC" {
            let signature: p256::ecdsa::Signature = self.es256.key_pair().as_ref().sign(input.as_bytes());
            signature.to_bytes().to_vec()
        } else {
            self.ed25519.sk.sign(input.as_bytes(), None).as_ref().to_vec()
        };
        format!("{input}.{}", encode(signature))
    }

    pub fn proof(&self) -> String {
        self.sign(&self.header, &self.claims)
    }

    /// Returns a valid proof for a request with `token`.
    pub fn proof_for(&self, token: &str) -> Proof {
        let mut claims = self.claims.clone();
        claims["ath"] = Value::from(encode(hmac_sha256::Hash::hash(token.as_bytes())));
        Proof::verify(Some(&self.sign(&self.header, &claims)), PROOF_TARGET, UnixSeconds(NOW)).unwrap()
    }

    /// Returns the claim `cnf` of a token that is bound to the key.
    pub fn cnf(&self) -> Value {
        json!({"jkt": self.proof_for("").key().as_str()})
    }
}
