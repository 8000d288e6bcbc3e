//! Valetkey's own tokens: the keys of `TOKEN_SIGNING_KEYS`, this deployment as an issuer, and signing tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Map, Value, json};

use super::algorithm::Algorithm;
use super::compact::decode_base64url;
use super::grant::{Scope, TokenCaps};
use super::issuer::{AudienceClaim, Issuer, IssuerKeys, ProofRule, Purpose};
use super::key_id::is_key_id;
use super::key_set::{KeySet, KeySetProblem};
use super::thumbprint::JwkThumbprint;
use super::token_types::TokenTypes;
use crate::constants::{ISSUER_LEEWAY_DEFAULT_SECS, KEY_SET_MAX_DEPTH, TOKEN_LIFETIME_SECS};
use crate::parse::json::parse_strict;
use crate::parse::url::{Query, parse_web_url};
use crate::types::model::ModelId;
use crate::types::time::UnixSeconds;

/// The `typ` of Valetkey's own tokens (RFC 9068 section 2.1).
const TOKEN_TYPE: &str = "at+jwt";
/// The members that a signing key may have.
const KEY_MEMBERS: [&str; 9] = ["kty", "crv", "kid", "x", "d", "alg", "use", "key_ops", "ext"];
/// The algorithms of signing keys: two names of the same signature.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Ed25519];

/// The keys of Valetkey's own tokens. The first key signs; all keys verify and are published.
pub struct SigningKeys {
    key: KeyPair,
    kid: String,
    algorithm: Algorithm,
    issuer: String,
    published: Value,
    set: Arc<KeySet>,
}

/// The contents of a new token.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// `vk.iss`: the user's origin issuer.
    pub origin: &'a str,
    /// `sub`: the origin issuer's name for the user.
    pub subject: &'a str,
    /// `client_id` (RFC 9068 section 2.2): the client that the subject token was issued to.
    pub client_id: &'a str,
    /// `plan`.
    pub plan: Option<&'a str>,
    /// `jti`.
    pub jti: &'a str,
    /// `iat`.
    pub issued_at: UnixSeconds,
    /// `exp`.
    pub expires_at: UnixSeconds,
    /// `vk.scope`.
    pub scopes: &'a [Scope],
    /// `vk.models`; `None` for all models of the plan.
    pub models: Option<&'a [ModelId]>,
    /// `vk.max_predictions` and `vk.max_credits`, counted by `jti`.
    pub caps: Option<&'a TokenCaps>,
    /// `cnf.jkt`: the key that the token is bound to.
    pub binding: Option<&'a JwkThumbprint>,
}

impl SigningKeys {
    /// Parses the JWK set (RFC 8037: `OKP` keys on Ed25519 with `d`) for the issuer `public_url`.
    ///
    /// # Errors
    /// The problems of all keys. They name places and rules, never values.
    pub fn parse(text: &str, public_url: &str) -> Result<Self, Vec<String>> {
        let set = parse_strict(text.as_bytes(), KEY_SET_MAX_DEPTH).ok();
        let members = set.as_ref().and_then(Value::as_object).filter(|members| members.len() == 1);
        let keys = members.and_then(|members| members.get("keys")).and_then(Value::as_array);
        let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
            return Err(vec![String::from("is not a JWK set with a key: {\"keys\":[…]}")]);
        };
        let (mut pairs, mut problems) = (Vec::new(), Vec::new());
        for (index, key) in keys.iter().enumerate() {
            match read_key(key) {
                Ok(pair) => pairs.push(pair),
                Err(problem) => problems.push(format!("keys[{index}] {problem}")),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let published = json!({"keys": pairs.iter().map(SigningKey::public_jwk).collect::<Vec<_>>()});
        // The published set has to pass the rules for any other issuer's keys, which also refuse a repeated `kid`.
        match (KeySet::parse_public(&published, &ALGORITHMS), pairs.into_iter().next()) {
            (Ok(set), Some(SigningKey { key, kid, algorithm })) => {
                let issuer = public_url.to_owned();
                return Ok(Self { key, kid, algorithm, issuer, published, set: Arc::new(set) });
            }
            (Ok(_), None) => {}
            (Err(wrong), _) => problems.extend(wrong.iter().map(|KeySetProblem { index, problem }| {
                let place = index.map_or_else(String::new, |index| format!("keys[{index}] "));
                format!("{place}{problem}")
            })),
        }
        Err(problems)
    }

    /// Returns this deployment as an issuer of tokens for users of `origins`.
    #[must_use]
    pub fn to_issuer(&self, origins: Vec<String>) -> Issuer {
        let (_, _, longest) = TOKEN_LIFETIME_SECS;
        let mut settings = hmac_sha256::Hash::new();
        settings.update(format!("valetkey own issuer\0{}\0{}", self.issuer, origins.join("\n")));
        Issuer {
            name: self.issuer.clone(),
            is_loopback: parse_web_url(&self.issuer, Query::Refused).unwrap_or_default(),
            audience: vec![self.issuer.clone()],
            audience_claim: AudienceClaim::Aud,
            keys: IssuerKeys::Written(Arc::clone(&self.set)),
            algorithms: ALGORITHMS.to_vec(),
            purposes: vec![Purpose::Access],
            max_lifetime_secs: i64::from(longest),
            leeway_secs: ISSUER_LEEWAY_DEFAULT_SECS,
            token_types: TokenTypes::new(&[TOKEN_TYPE.to_owned()]),
            extra_header_members: Vec::new(),
            plan_claim: "plan".to_owned(),
            proof: ProofRule::Allowed,
            admins: BTreeMap::new(),
            email_trusted: false,
            origins: Some(origins),
            settings_hash: settings.finalize(),
        }
    }

    /// Returns the public keys as the JWK set of `/.well-known/jwks.json`.
    #[must_use]
    pub const fn public_key_set(&self) -> &Value {
        &self.published
    }

    /// Signs a token, with every claim that RFC 9068 section 2.2 requires of an `at+jwt`.
    #[must_use]
    pub fn sign(&self, token: &NewToken<'_>) -> String {
        let header = json!({"alg": self.algorithm.as_str(), "typ": TOKEN_TYPE, "kid": self.kid});
        let mut claims = json!({
            "iss": self.issuer, "aud": self.issuer, "sub": token.subject, "client_id": token.client_id,
            "iat": token.issued_at.0, "exp": token.expires_at.0, "jti": token.jti, "vk": restrictions(token),
        });
        if let Some(members) = claims.as_object_mut() {
            members.extend(token.plan.map(|plan| ("plan".to_owned(), Value::from(plan))));
            members.extend(token.binding.map(|key| ("cnf".to_owned(), json!({"jkt": key.as_str()}))));
        }
        let input = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.key.sk.sign(input.as_bytes(), None);
        format!("{input}.{}", encode(signature.as_ref()))
    }
}

fn restrictions(token: &NewToken<'_>) -> Value {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut vk = Map::new();
    vk.insert("iss".to_owned(), Value::from(token.origin));
    vk.insert("scope".to_owned(), Value::from(scopes));
    if let Some(models) = token.models {
        vk.insert("models".to_owned(), models.iter().map(ModelId::as_str).collect());
    }
    if let Some(caps) = token.caps {
        vk.extend(caps.max_predictions.map(|most| ("max_predictions".to_owned(), Value::from(most))));
        vk.extend(caps.max_credits.map(|most| ("max_credits".to_owned(), Value::from(most.to_string()))));
    }
    Value::Object(vk)
}

fn encode(bytes: &[u8]) -> String {
    // Fails only if the length overflows.
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

struct SigningKey {
    key: KeyPair,
    kid: String,
    algorithm: Algorithm,
}

impl SigningKey {
    /// Returns the public JWK (RFC 8037 section 2). It never has `d`, nor members that the operator added.
    fn public_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": self.algorithm.as_str(), "kid": self.kid,
            "x": encode(self.key.pk.as_ref())})
    }
}

fn read_key(jwk: &Value) -> Result<SigningKey, &'static str> {
    let jwk = jwk.as_object().ok_or("is not an object")?;
    if jwk.keys().any(|name| !KEY_MEMBERS.contains(&name.as_str())) {
        return Err("has an unknown member");
    }
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("kty") != "OKP" || text("crv") != "Ed25519" {
        return Err("is not an Ed25519 key (kty OKP, crv Ed25519)");
    }
    let algorithm = match jwk.get("alg") {
        None => Algorithm::EdDsa,
        Some(name) => {
            let named = ALGORITHMS.into_iter().find(|algorithm| name == algorithm.as_str());
            named.ok_or("has an alg other than EdDSA and Ed25519")?
        }
    };
    if jwk.get("use").is_some_and(|value| value != "sig") {
        return Err("has a use other than sig");
    }
    let kid = Some(text("kid")).filter(|kid| is_key_id(kid)).ok_or("has no kid of the allowed form")?;
    let bytes = |name: &str| decode_base64url(text(name)).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let seed = bytes("d").ok_or("has no private part d of 32 bytes")?;
    let key = KeyPair::try_from_seed(Seed::new(seed)).map_err(|_| "has a private part that is no key")?;
    // With the `x` of another key, the published key would not verify any token.
    if bytes("x").as_ref() != Some(&*key.pk) {
        return Err("has a public part x that does not belong to d");
    }
    Ok(SigningKey { key, kid: kid.to_owned(), algorithm })
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKeys(…)")
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
