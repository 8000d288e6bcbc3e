//! The set of keys of one issuer.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::jwk::{Key, KeyProblem, KeySource};
use super::refusal::Refusal;
use crate::constants::KEY_SET_MAX_DEPTH;
use crate::parse::json::parse_strict;

/// The keys of one issuer. The set has at least one key. Each key has one algorithm, and a unique `kid` if the set has
/// several keys.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<Key>);

/// A problem of a key set or of one of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetProblem {
    /// The index of the key in `keys`; `None` if the problem concerns the whole set.
    pub index: Option<usize>,
    /// The broken rule.
    pub problem: KeyProblem,
}

impl From<KeyProblem> for KeySetProblem {
    fn from(problem: KeyProblem) -> Self {
        Self { index: None, problem }
    }
}

impl KeySet {
    /// Parses a public JWK set (RFC 7517 section 5) for an issuer with these `algorithms`.
    ///
    /// # Errors
    /// All problems of all keys.
    pub fn parse_public(set: &Value, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        Self::parse(set, KeySource::Inline, algorithms)
    }

    /// Parses a secret: a JWK set of `oct` keys if the text starts with a brace, otherwise raw text whose bytes are the
    /// key.
    ///
    /// # Errors
    /// All problems of all keys.
    pub fn parse_secret(text: &str, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        let one = |problem: KeyProblem| vec![KeySetProblem::from(problem)];
        if text.contains("-----BEGIN") {
            return Err(one(KeyProblem::Pem));
        }
        if text.trim_start().starts_with('{') {
            let set = parse_strict(text.as_bytes(), KEY_SET_MAX_DEPTH).map_err(|_| one(KeyProblem::NotAKeySet))?;
            return Self::parse(&set, KeySource::Secret, algorithms);
        }
        if text.trim() != text {
            return Err(one(KeyProblem::WhiteSpace));
        }
        match algorithms {
            [algorithm] => Key::raw_secret(text.as_bytes(), *algorithm).map(|key| Self(vec![key])).map_err(one),
            _ => Err(one(KeyProblem::AmbiguousAlgorithm)),
        }
    }

    /// Parses the key set that an identity provider publishes, for an issuer with these `algorithms`.
    ///
    /// Skips keys that the issuer may not use: for encryption, of another kind, private, weak, or without a `kid` in a
    /// set of several keys. Skips all keys with the same `kid`. Returns `None` if `set` is not a key set or no key is
    /// left.
    #[must_use]
    pub fn parse_published(set: &Value, algorithms: &[Algorithm]) -> Option<Self> {
        let values = set.as_object()?.get("keys")?.as_array()?;
        let named: Vec<Key> = values
            .iter()
            .filter_map(|value| Key::parse(value, KeySource::Remote, algorithms).ok())
            .filter(|key| key.kid.is_some() || values.len() == 1)
            .collect();
        let is_alone = |key: &&Key| named.iter().filter(|other| other.kid == key.kid).count() == 1;
        let keys: Vec<Key> = named.iter().filter(is_alone).cloned().collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    fn parse(set: &Value, source: KeySource, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        let one = |problem: KeyProblem| vec![KeySetProblem::from(problem)];
        let members =
            set.as_object().filter(|members| members.len() == 1).ok_or_else(|| one(KeyProblem::NotAKeySet))?;
        let values = members.get("keys").and_then(Value::as_array).ok_or_else(|| one(KeyProblem::NotAKeySet))?;
        if values.is_empty() {
            return Err(one(KeyProblem::NoKeys));
        }
        let (mut keys, mut problems): (Vec<Key>, Vec<KeySetProblem>) = (Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            let key = Key::parse(value, source, algorithms).and_then(|key| match &key.kid {
                None if values.len() > 1 => Err(KeyProblem::MissingKeyId),
                Some(kid) if keys.iter().any(|other| other.kid.as_ref() == Some(kid)) => Err(KeyProblem::RepeatedKeyId),
                _ => Ok(key),
            });
            match key {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(KeySetProblem { index: Some(index), problem }),
            }
        }
        if problems.is_empty() { Ok(Self(keys)) } else { Err(problems) }
    }

    /// Returns the first key of this algorithm.
    pub(super) fn find_by_algorithm(&self, algorithm: Algorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.verifying.algorithm() == algorithm)
    }

    /// Returns the key that a header with this `kid` refers to. Without a `kid` that is the only key of the set. Keys
    /// are never tried one after the other.
    ///
    /// If the set is a single key without a name, the `kid` is ignored because it cannot select anything. Issuers with
    /// a shared secret, such as Supabase, name the key in their tokens, but the text of a secret cannot contain a name.
    ///
    /// # Errors
    /// - [`Refusal::UnknownKey`]: the set's keys have names, and none has this one.
    /// - [`Refusal::MissingKeyId`]: there is no `kid`, and the set has several keys.
    pub fn find(&self, kid: Option<&str>) -> Result<&Key, Refusal> {
        match (kid, self.0.as_slice()) {
            (None, [only]) | (Some(_), [only @ Key { kid: None, .. }]) => Ok(only),
            (None, _) => Err(Refusal::MissingKeyId),
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)).ok_or(Refusal::UnknownKey),
        }
    }
}

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;
