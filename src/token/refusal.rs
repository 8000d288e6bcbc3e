//! The reasons to refuse a token. The log has the reason; the response to the caller is the same for nearly all of
//! them.

/// Why a token is refused. A refusal contains no part of the token, so that it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The token is longer than the limit. Refused before it is parsed.
    TooLong,
    /// The token does not have three non-empty segments.
    NotCompact,
    /// A segment is not canonical base64url without padding.
    BadEncoding,
    /// The header is longer than the limit.
    HeaderTooLong,
    /// The header is not a JSON object, or has a duplicate member.
    BadHeader,
    /// The header has a member that is not allowed for the issuer.
    UnexpectedHeaderMember,
    /// `alg` is missing, not a string, or not a supported algorithm.
    UnknownAlgorithm,
    /// `kid` is not a string of the allowed form.
    BadKeyId,
    /// `typ` is none of the issuer's token types.
    WrongType,
    /// The claims are not a JSON object, or have a duplicate member.
    BadClaims,
    /// `iss` is missing, not a string, or names no configured issuer.
    UnknownIssuer,
    /// The issuer's tokens are not accepted for this purpose.
    WrongUse,
    /// The issuer has several keys and the header has no `kid`.
    MissingKeyId,
    /// The issuer's key set could not be fetched. The token may be valid.
    KeysUnavailable,
    /// The issuer has no key with this `kid`.
    UnknownKey,
    /// `alg` is not the algorithm of the key.
    WrongAlgorithm,
    /// The signature does not verify with the key.
    BadSignature,
    /// `iat` or `exp` is missing, or one of `iat`, `exp` and `nbf` is not a non-negative integer.
    BadTime,
    /// `exp` is not after `iat`, or the time between them is longer than `max_lifetime_secs` of the issuer.
    BadLifetime,
    /// `exp` has passed.
    Expired,
    /// `iat` is in the future.
    IssuedInFuture,
    /// `nbf` is in the future.
    NotYetValid,
    /// The token is for another audience, or its audience is malformed.
    WrongAudience,
    /// `sub` is missing or not of the allowed form.
    BadSubject,
    /// `jti` is not of the allowed form.
    BadTokenId,
    /// `cnf` binds the token to a key, and the request has no proof of possession.
    BoundTokenWithoutProof,
    /// The issuer's tokens need a proof of possession, and the request has none.
    ProofRequired,
    /// `cnf` is not a key's thumbprint (`jkt`) alone.
    BadBinding,
    /// The proof is valid, but the token is not bound to a key.
    ProofForUnboundToken,
    /// The proof is valid, but the token is bound to another key.
    ProofOfAnotherKey,
    /// The proof is signed with the right key, but for another token.
    ProofOfAnotherToken,
    /// `vk.iss` of one of Valetkey's own tokens is missing, or names an issuer that is not configured any more.
    UnknownOrigin,
    /// `vk` does not have the form of contract 5.
    BadRestrictions,
    /// `vk` has caps, and the token has no `jti` to count by.
    CapsWithoutTokenId,
}

impl Refusal {
    /// Every reason, in the order of declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the refusal with this word in the log or in a test file.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own_in_snake_case() {
        for (index, refusal) in Refusal::ALL.iter().enumerate() {
            let word = refusal.as_str();
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            assert_eq!(Refusal::ALL.iter().position(|other| other.as_str() == word), Some(index));
            assert_eq!(Refusal::parse(word), Some(*refusal));
        }
    }
}
