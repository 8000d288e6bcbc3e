//! The keys of one issuer.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::jwk::{Key, KeyProblem, Place};
use super::refusal::Refusal;
use crate::constants::KEY_SET_MAX_DEPTH;
use crate::parse::json::parse_strict;

/// The keys of an issuer: at least one, each with one algorithm, and with a `kid` of its own where there are several.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<Key>);

/// What is wrong with a key set, and with which key of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetProblem {
    /// The key's place in `keys`; none where the set itself is wrong.
    pub index: Option<usize>,
    /// The rule that is broken.
    pub problem: KeyProblem,
}

impl From<KeyProblem> for KeySetProblem {
    fn from(problem: KeyProblem) -> Self {
        Self { index: None, problem }
    }
}

impl KeySet {
    /// Reads a public JWK set (RFC 7517 section 5) for an issuer with these `algorithms`.
    ///
    /// # Errors
    /// Every problem of every key.
    pub fn parse_public(set: &Value, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        Self::parse(set, Place::Public, algorithms)
    }

    /// Reads a secret: a JWK set of `oct` keys if it starts with a brace, else raw text whose bytes are the key.
    ///
    /// # Errors
    /// Every problem of every key.
    pub fn parse_secret(text: &str, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        let one = |problem: KeyProblem| vec![KeySetProblem::from(problem)];
        if text.contains("-----BEGIN") {
            return Err(one(KeyProblem::Pem));
        }
        if text.trim_start().starts_with('{') {
            let set = parse_strict(text.as_bytes(), KEY_SET_MAX_DEPTH).map_err(|_| one(KeyProblem::NotAKeySet))?;
            return Self::parse(&set, Place::Secret, algorithms);
        }
        if text.trim() != text {
            return Err(one(KeyProblem::WhiteSpace));
        }
        match algorithms {
            [algorithm] => Key::raw_secret(text.as_bytes(), *algorithm).map(|key| Self(vec![key])).map_err(one),
            _ => Err(one(KeyProblem::AmbiguousAlgorithm)),
        }
    }

    /// Reads the set that a provider publishes: the keys that an issuer with these `algorithms` may use. Others (for
    /// encryption, of another kind, private, weak, without a name) are left out, and so are keys that share a name.
    /// `None` where it is no set, or no key is left.
    #[must_use]
    pub fn parse_published(set: &Value, algorithms: &[Algorithm]) -> Option<Self> {
        let values = set.as_object()?.get("keys")?.as_array()?;
        let named: Vec<Key> = values
            .iter()
            .filter_map(|value| Key::parse(value, Place::Published, algorithms).ok())
            .filter(|key| key.kid.is_some() || values.len() == 1)
            .collect();
        let is_alone = |key: &&Key| named.iter().filter(|other| other.kid == key.kid).count() == 1;
        let keys: Vec<Key> = named.iter().filter(is_alone).cloned().collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    fn parse(set: &Value, place: Place, algorithms: &[Algorithm]) -> Result<Self, Vec<KeySetProblem>> {
        let one = |problem: KeyProblem| vec![KeySetProblem::from(problem)];
        let members =
            set.as_object().filter(|members| members.len() == 1).ok_or_else(|| one(KeyProblem::NotAKeySet))?;
        let values = members.get("keys").and_then(Value::as_array).ok_or_else(|| one(KeyProblem::NotAKeySet))?;
        if values.is_empty() {
            return Err(one(KeyProblem::NoKeys));
        }
        let (mut keys, mut problems): (Vec<Key>, Vec<KeySetProblem>) = (Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            let key = Key::parse(value, place, algorithms).and_then(|key| match &key.kid {
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

    /// Any key of this algorithm.
    pub(super) fn of_algorithm(&self, algorithm: Algorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.verifying.algorithm() == algorithm)
    }

    /// The key that a header with this `kid` means. No key is ever tried that the header does not name, except the
    /// only one where the header names none.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`] for a `kid` that names no key, [`Refusal::MissingKeyId`] for none where there are several.
    pub fn find(&self, kid: Option<&str>) -> Result<&Key, Refusal> {
        match (kid, self.0.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Refusal::MissingKeyId),
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)).ok_or(Refusal::UnknownKey),
        }
    }
}

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;
