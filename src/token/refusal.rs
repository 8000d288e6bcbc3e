//! Every reason to refuse a token. The caller gets one answer for all of them; the log gets the reason.

/// Why a token was refused. It holds no part of the token, so that it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// Longer than any token of ours: refused before anything looks at it.
    TooLong,
    /// Not three non-empty segments.
    NotCompact,
    /// A segment is not canonical base64url without padding.
    BadEncoding,
    /// The header is longer than any header of ours.
    HeaderTooLong,
    /// The header is not a JSON object without equal members.
    BadHeader,
    /// The header has a member that the issuer does not use, or one that changes the token's meaning.
    UnexpectedHeaderMember,
    /// `alg` is missing, not a string, or no algorithm that we know.
    UnknownAlgorithm,
    /// `kid` is not a string of the allowed form.
    BadKeyId,
    /// `typ` is none of the issuer's token types.
    WrongType,
    /// The claims are not a JSON object without equal members.
    BadClaims,
    /// `iss` is missing, not a string, or names no configured issuer.
    UnknownIssuer,
    /// The issuer is not configured for this use.
    WrongUse,
    /// There are several keys and the header names none.
    MissingKeyId,
    /// The issuer's keys are at a URL that does not answer: nobody can tell what the token is worth.
    KeysUnavailable,
    /// `kid` names no key of the issuer.
    UnknownKey,
    /// `alg` is not the algorithm of the key.
    WrongAlgorithm,
    /// The signature is not the key's.
    BadSignature,
    /// `iat`, `exp` or `nbf` is missing or not an integer that can be a time.
    BadTime,
    /// `exp` is not after `iat`, or further from it than the issuer may issue.
    BadLifetime,
    /// `exp` has passed.
    Expired,
    /// `iat` is in the future.
    IssuedInFuture,
    /// `nbf` is in the future.
    NotYetValid,
    /// The token is for somebody else, or says so in a form that cannot be read.
    WrongAudience,
    /// `sub` is missing or not of the allowed form.
    BadSubject,
    /// `jti` is not of the allowed form.
    BadTokenId,
    /// `cnf` binds the token to a key, and the request carries no proof of that key.
    BoundTokenWithoutProof,
    /// The issuer's tokens need a proof of possession.
    ProofRequired,
    /// `cnf` is not a thumbprint alone.
    BadBinding,
    /// The proof is good, and the token is not bound to any key.
    ProofForUnboundToken,
    /// The proof is good, and the token is bound to another key.
    ProofOfAnotherKey,
    /// The proof is the right key's, for another token.
    ProofOfAnotherToken,
    /// `vk.iss` of a token of our own is missing, or names an issuer that is not there any more.
    UnknownOrigin,
    /// `vk` is not of the form of contract 5.
    BadRestrictions,
    /// `vk` caps what may be spent, and there is no `jti` to count it by.
    CapsWithoutTokenId,
}

impl Refusal {
    /// Every reason, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The refusal that `word` names in a log or a test file.
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
