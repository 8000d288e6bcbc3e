//! Signing keys of the providers, generated when they are first needed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair, RS256KeyPair, RSAKeyPairLike};
use jwt_simple::claims::{Claims, JWTClaims};
use jwt_simple::prelude::Duration;
use serde_json::{Map, Value, json};
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Signer;

/// The signature algorithm of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Rs256,
    Es256,
}

/// The signing keys of all providers. Providers share the key pairs, because an RSA key takes seconds to generate; each
/// provider publishes them under its own `kid`.
#[derive(Default)]
pub struct SigningKeys(Mutex<KeyPairs>);

#[derive(Default)]
struct KeyPairs {
    rsa: Vec<RS256KeyPair>,
    ec: Vec<ES256KeyPair>,
    /// Number of rotations of each provider.
    rotations: BTreeMap<String, usize>,
}

/// Number of key pairs of each kind: one more than a provider publishes at a time.
const KEY_PAIRS: usize = 3;

impl KeyPairs {
    fn generate(&mut self, signing: Signing, number: usize) -> Option<()> {
        let index = number % KEY_PAIRS;
        match signing {
            Signing::Rs256 => {
                while self.rsa.len() <= index {
                    self.rsa.push(RS256KeyPair::generate(2048).ok()?);
                }
            }
            Signing::Es256 => {
                while self.ec.len() <= index {
                    self.ec.push(ES256KeyPair::generate());
                }
            }
        }
        Some(())
    }

    fn rotations(&self, provider: &str) -> usize {
        self.rotations.get(provider).copied().unwrap_or_default()
    }

    fn jwk(&mut self, provider: &str, signing: Signing, number: usize) -> Option<Map<String, Value>> {
        self.generate(signing, number)?;
        let jwk = match signing {
            Signing::Rs256 => self.rsa.get(number % KEY_PAIRS)?.public_key().to_jwk(),
            Signing::Es256 => self.ec.get(number % KEY_PAIRS)?.public_key().to_jwk(),
        };
        let mut jwk: Map<String, Value> = serde_json::from_str(&jwk).ok()?;
        jwk.insert("kid".to_owned(), json!(key_id(provider, number)));
        jwk.insert("use".to_owned(), json!("sig"));
        Some(jwk)
    }
}

fn key_id(provider: &str, number: usize) -> String {
    format!("{provider}-{number}")
}

impl SigningKeys {
    fn pairs(&self) -> MutexGuard<'_, KeyPairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the public JWKs of a provider: its newest key and the previous one.
    pub fn published(&self, provider: &str, signing: Signing) -> Vec<Map<String, Value>> {
        let mut pairs = self.pairs();
        let newest = pairs.rotations(provider);
        (newest.saturating_sub(1)..=newest).filter_map(|number| pairs.jwk(provider, signing, number)).collect()
    }

    /// Makes the next key of a provider its newest one.
    pub fn rotate(&self, provider: &str) {
        *self.pairs().rotations.entry(provider.to_owned()).or_default() += 1;
    }

    /// Signs a token with the newest key of a provider. RS256 adds `alg` to `header`, and `kid` unless it is there.
    /// ES256 ignores `header`: its library writes `alg`, `typ` and `kid` itself.
    pub fn sign(
        &self,
        provider: &str,
        signing: Signing,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Option<String> {
        let mut pairs = self.pairs();
        let number = pairs.rotations(provider);
        pairs.generate(signing, number)?;
        let kid = key_id(provider, number);
        match signing {
            Signing::Es256 => {
                let bytes = pairs.ec.get(number % KEY_PAIRS)?.to_bytes();
                ES256KeyPair::from_bytes(&bytes).ok()?.with_key_id(&kid).sign(bare(claims)).ok()
            }
            Signing::Rs256 => {
                header.insert("alg".to_owned(), json!("RS256"));
                header.entry("kid").or_insert_with(|| json!(kid));
                let encode = |members: &Map<String, Value>| {
                    Base64UrlSafeNoPadding::encode_to_string(Value::from(members.clone()).to_string()).ok()
                };
                let input = format!("{}.{}", encode(&header)?, encode(claims)?);
                let key = PKey::from_rsa(pairs.rsa.get(number % KEY_PAIRS)?.key_pair().as_ref().clone()).ok()?;
                let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
                signer.set_rsa_padding(Padding::PKCS1).ok()?;
                signer.update(input.as_bytes()).ok()?;
                let signature = Base64UrlSafeNoPadding::encode_to_string(signer.sign_to_vec().ok()?).ok()?;
                Some(format!("{input}.{signature}"))
            }
        }
    }
}

/// Returns exactly these claims, without the time claims that the library adds by default.
fn bare(claims: &Map<String, Value>) -> JWTClaims<Map<String, Value>> {
    let mut bare = Claims::with_custom_claims(claims.clone(), Duration::from_secs(0));
    (bare.issued_at, bare.expires_at, bare.invalid_before) = (None, None, None);
    bare
}
