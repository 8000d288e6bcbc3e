//! Identifiers: ULIDs with a prefix, and the key of a user. Randomness is an argument.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::time::UnixMillis;

/// Crockford's base32 alphabet in lower case (no i, l, o, u).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ULID_LENGTH: usize = 26;

/// Writes a ULID: 48 bits of Unix milliseconds, then 80 random bits, in Crockford's base32. The text sorts by creation
/// time.
fn write_ulid(now: UnixMillis, random: [u8; 10]) -> String {
    let millis = u128::try_from(now.0).unwrap_or(0) & 0xffff_ffff_ffff;
    let random = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let bits = (millis << 80) | random;
    (0..ULID_LENGTH)
        .rev()
        .map(|digit| {
            let index = usize::try_from((bits >> digit.saturating_mul(5)) & 31).unwrap_or(0);
            ALPHABET.get(index).copied().map_or('0', char::from)
        })
        .collect()
}

fn is_ulid(text: &str) -> bool {
    // 26 characters hold 130 bits, a ULID has 128: the first character is at most 7.
    text.len() == ULID_LENGTH
        && text.bytes().all(|byte| ALPHABET.contains(&byte))
        && text.bytes().next().is_some_and(|first| first <= b'7')
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The prefix of every such id.
            pub const PREFIX: &'static str = $prefix;

            /// Returns a new id from the current time and 80 random bits.
            #[must_use]
            pub fn new(now: UnixMillis, random: [u8; 10]) -> Self {
                Self(format!("{}{}", Self::PREFIX, write_ulid(now, random)))
            }

            /// Parses an id: the prefix and 26 lower-case Crockford base32 characters. Nothing else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                text.strip_prefix(Self::PREFIX).filter(|tail| is_ulid(tail))?;
                Some(Self(text.to_owned()))
            }

            /// Returns the whole id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns when the id was made: its first 48 bits.
            #[must_use]
            pub fn created_at(&self) -> UnixMillis {
                let digits = self.0.bytes().skip(Self::PREFIX.len()).take(10);
                UnixMillis(digits.fold(0_i64, |millis, byte| {
                    let value = ALPHABET.iter().position(|letter| *letter == byte).unwrap_or(0);
                    millis.saturating_mul(32).saturating_add(i64::try_from(value).unwrap_or(0))
                }))
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or(concat!("not a ", $prefix, " id"))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

prefixed_id!(
    /// The id of a prediction. The vendor's own id is never shown and never accepted.
    JobId, "pred_"
);
prefixed_id!(
    /// The id of a batch: predictions that were created together.
    BatchId, "batch_"
);
prefixed_id!(
    /// The id of an uploaded file. The vendor's own id is never shown and never accepted.
    FileId, "file_"
);
prefixed_id!(
    /// The id of a request, as `X-Request-Id` and the log show it.
    RequestId, "req_"
);
prefixed_id!(
    /// The id of an operator's pause.
    PauseId, "pause_"
);
prefixed_id!(
    /// The `jti` of a token that this deployment issued.
    TokenId, "tok_"
);
prefixed_id!(
    /// The id of a guest: the subject of a single token.
    GuestId, "guest_"
);

/// Returns the SHA-256 of all parts, concatenated, in hexadecimal.
#[must_use]
pub fn hex_digest(parts: &[&[u8]]) -> String {
    let mut hash = hmac_sha256::Hash::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of a user, which names the user's Ledger (contract 5): SHA-256, in hexadecimal, of the length of the origin
/// issuer as a big-endian u32, the issuer, and the subject. The length keeps `("a", "bc")` and `("ab", "c")` apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserKey(String);

impl UserKey {
    /// Returns the key of the user that `issuer` calls `subject`.
    #[must_use]
    pub fn new(issuer: &str, subject: &str) -> Self {
        let length = u32::try_from(issuer.len()).unwrap_or(u32::MAX).to_be_bytes();
        Self(hex_digest(&[&length, issuer.as_bytes(), subject.as_bytes()]))
    }

    /// Parses a key: 64 lower-case hexadecimal characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// Returns 64 hexadecimal characters: the name of the user's Ledger.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 16 characters: enough to tell users apart in a log.
    #[must_use]
    pub fn log_pseudonym(&self) -> &str {
        self.0.get(..16).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_a_prefix_and_26_crockford_characters_that_sort_by_time() {
        let early = JobId::new(UnixMillis(1_768_473_000_000), [255; 10]);
        let late = JobId::new(UnixMillis(1_768_473_000_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().len(), 31);
        assert_eq!(JobId::parse(early.as_str()), Some(early.clone()));
        assert_eq!(early.created_at(), UnixMillis(1_768_473_000_000));
    }

    #[test]
    fn the_ulid_layout_is_the_standard_one() {
        // 2^48 - 1 milliseconds and all random bits set is the largest ULID.
        let largest = JobId::new(UnixMillis(0xffff_ffff_ffff), [255; 10]);
        assert_eq!(largest.as_str(), "pred_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn anything_else_is_refused_as_an_id() {
        let good = JobId::new(UnixMillis(1), [1; 10]);
        let upper = good.as_str().to_uppercase();
        let too_large = "pred_8zzzzzzzzzzzzzzzzzzzzzzzzz";
        let with_l = "pred_0000000000000000000000000l";
        for bad in ["", "pred_", "abc123", "batch_00000000000000000000000000", &upper, too_large, with_l] {
            assert_eq!(JobId::parse(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<JobId>("\"pred_x\"").is_err());
    }

    #[test]
    fn users_of_two_issuers_never_share_a_ledger() {
        assert_ne!(UserKey::new("a", "bc"), UserKey::new("ab", "c"));
        let key = UserKey::new("a", "bc");
        assert_eq!(UserKey::parse(key.as_str()), Some(key.clone()));
        for bad in ["", "lookup", &key.as_str().to_uppercase(), &key.as_str()[1..], &format!("{}g", &key.as_str()[1..])]
        {
            assert_eq!(UserKey::parse(bad), None, "{bad}");
        }
    }
}
