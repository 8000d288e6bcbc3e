//! Issuers, keys and tokens for the unit tests. Every key is made when the test runs.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{HS256Key, MACLike};
use serde_json::{Value, json};

use super::issuer::{Issuer, Purpose};
use super::issuers::parse_issuers;
use super::refusal::Refusal;
use super::verify::{Verified, verify};
use crate::time::UnixSeconds;

/// The time of every unit test.
pub const NOW: i64 = 1_768_473_000;
pub const NAME: &str = "https://issuer.example";

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// An issuer with one HS256 key, and what its tokens are made of.
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

    /// The text of the secret: a JWK set with the key as `k1`.
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

    pub fn verify_at(&self, now: i64) -> Result<Verified, Refusal> {
        verify(&self.token(), &self.issuers(), Purpose::Access, UnixSeconds(now))
    }

    pub fn verify(&self) -> Result<Verified, Refusal> {
        self.verify_at(NOW)
    }
}
