//! The name of a model: `owner/model`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A model's name, `owner/model`. Each segment matches `^[a-z0-9][a-z0-9._-]{0,63}$`, so that a name cannot change the
/// structure of a URL built from it. The owner is not one of the API's own path segments (contract 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(String);

const SEGMENT_MAX_BYTES: usize = 64;
const RESERVED_OWNERS: [&str; 6] = ["models", "predictions", "files", "account", "status", "cancel"];

fn is_segment(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= SEGMENT_MAX_BYTES
        && text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

impl ModelId {
    /// Returns the name with these two path segments, or `None` if either is invalid.
    #[must_use]
    pub fn try_new(owner: &str, model: &str) -> Option<Self> {
        let is_good = is_segment(owner) && is_segment(model) && !RESERVED_OWNERS.contains(&owner);
        is_good.then(|| Self(format!("{owner}/{model}")))
    }

    /// Parses `owner/model`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, model) = text.split_once('/')?;
        Self::try_new(owner, model)
    }

    /// Returns `owner/model`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the slash: the vendor's `provider`.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// Returns the part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl TryFrom<String> for ModelId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an owner/model name")
    }
}

impl From<ModelId> for String {
    fn from(model: ModelId) -> Self {
        model.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_plain_segments() {
        let model = ModelId::parse("black-forest-labs/flux-kontext-max").unwrap();
        assert_eq!((model.owner(), model.name()), ("black-forest-labs", "flux-kontext-max"));
        assert!(ModelId::try_new("a", "1._-").is_some());
    }

    #[test]
    fn a_name_cannot_change_a_url() {
        for bad in
            ["", "a", "a/", "/a", "a/b/c", "a/..", "../a", ".a/b", "A/b", "a/b%2f", "a/b?", "a b/c", "a/b\0", "a/é"]
        {
            assert_eq!(ModelId::parse(bad), None, "{bad}");
        }
        assert_eq!(ModelId::try_new("a", &"b".repeat(65)), None);
    }

    #[test]
    fn the_apis_own_path_segments_are_not_owners() {
        for word in RESERVED_OWNERS {
            assert_eq!(ModelId::try_new(word, "x"), None);
        }
    }
}
