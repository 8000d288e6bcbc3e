//! Signing keys of the providers, made when they are first needed.

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

/// How a provider signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Rs256,
    Es256,
}

/// RSA keys take seconds to make: all providers share them, under names of their own.
#[derive(Default)]
pub struct SigningKeys(Mutex<KeyPairs>);

#[derive(Default)]
struct KeyPairs {
    rsa: Vec<RS256KeyPair>,
    ec: Vec<ES256KeyPair>,
    /// How often each provider has rotated.
    rotations: BTreeMap<String, usize>,
}

/// Different RSA keys: one more than a provider publishes at a time.
const KEYS: usize = 3;

impl KeyPairs {
    fn make(&mut self, signing: Signing, number: usize) -> Option<()> {
        let index = number % KEYS;
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

    fn public(&mut self, provider: &str, signing: Signing, number: usize) -> Option<Map<String, Value>> {
        self.make(signing, number)?;
        let jwk = match signing {
            Signing::Rs256 => self.rsa.get(number % KEYS)?.public_key().to_jwk(),
            Signing::Es256 => self.ec.get(number % KEYS)?.public_key().to_jwk(),
        };
        let mut jwk: Map<String, Value> = serde_json::from_str(&jwk).ok()?;
        jwk.insert("kid".to_owned(), json!(name(provider, number)));
        jwk.insert("use".to_owned(), json!("sig"));
        Some(jwk)
    }
}

fn name(provider: &str, number: usize) -> String {
    format!("{provider}-{number}")
}

impl SigningKeys {
    fn pairs(&self) -> MutexGuard<'_, KeyPairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest key of a provider and the one before.
    pub fn published(&self, provider: &str, signing: Signing) -> Vec<Map<String, Value>> {
        let mut pairs = self.pairs();
        let newest = pairs.rotations(provider);
        (newest.saturating_sub(1)..=newest).filter_map(|number| pairs.public(provider, signing, number)).collect()
    }

    /// The next key signs.
    pub fn rotate(&self, provider: &str) {
        *self.pairs().rotations.entry(provider.to_owned()).or_default() += 1;
    }

    /// A token with the newest key; `alg` and, where the header does not say otherwise, `kid` are added to the header.
    pub fn sign(
        &self,
        provider: &str,
        signing: Signing,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Option<String> {
        let mut pairs = self.pairs();
        let number = pairs.rotations(provider);
        pairs.make(signing, number)?;
        let kid = name(provider, number);
        match signing {
            Signing::Es256 => {
                let bytes = pairs.ec.get(number % KEYS)?.to_bytes();
                ES256KeyPair::from_bytes(&bytes).ok()?.with_key_id(&kid).sign(bare(claims)).ok()
            }
            Signing::Rs256 => {
                header.insert("alg".to_owned(), json!("RS256"));
                header.entry("kid").or_insert_with(|| json!(kid));
                let encode = |members: &Map<String, Value>| {
                    Base64UrlSafeNoPadding::encode_to_string(Value::from(members.clone()).to_string()).ok()
                };
                let input = format!("{}.{}", encode(&header)?, encode(claims)?);
                let key = PKey::from_rsa(pairs.rsa.get(number % KEYS)?.key_pair().as_ref().clone()).ok()?;
                let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
                signer.set_rsa_padding(Padding::PKCS1).ok()?;
                signer.update(input.as_bytes()).ok()?;
                let signature = Base64UrlSafeNoPadding::encode_to_string(signer.sign_to_vec().ok()?).ok()?;
                Some(format!("{input}.{signature}"))
            }
        }
    }
}

/// The claims as they are, without any that the library would add.
fn bare(claims: &Map<String, Value>) -> JWTClaims<Map<String, Value>> {
    let mut bare = Claims::with_custom_claims(claims.clone(), Duration::from_secs(0));
    (bare.issued_at, bare.expires_at, bare.invalid_before) = (None, None, None);
    bare
}
