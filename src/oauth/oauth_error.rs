//! Refusals of the token endpoint: RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 7009 section 2.2.1, RFC 9449
//! section 5. One exhaustive map from error to wire; the reason is for the log.

use serde_json::json;

/// The `error` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum OAuthError {
    /// A parameter is missing, repeated or malformed, or the subject token is refused, whatever the reason.
    InvalidRequest,
    /// The body is not a form.
    NotAForm,
    /// The body is too large.
    BodyTooLarge,
    /// Another grant type than token exchange.
    UnsupportedGrantType,
    /// More than the subject token grants, or nothing that exists.
    InvalidScope,
    /// A token for somebody else.
    InvalidTarget,
    /// A proof of possession that is missing or refused.
    InvalidProof,
    /// The app has not shown that it is genuine.
    InvalidClient,
    /// A token that cannot be revoked.
    UnsupportedTokenType,
    /// The user's requests of this minute.
    TooManyRequests,
    /// What is needed to decide does not answer.
    Unavailable,
}

/// What an [`OAuthError`] looks like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OAuthWire {
    /// HTTP status.
    pub status: u16,
    /// `error`.
    pub error: &'static str,
    /// `error_description`.
    pub description: &'static str,
}

const fn wire(status: u16, error: &'static str, description: &'static str) -> OAuthWire {
    OAuthWire { status, error, description }
}

impl OAuthError {
    /// Every error, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The one map from error to wire.
    #[must_use]
    pub const fn wire(self) -> OAuthWire {
        match self {
            Self::InvalidRequest => {
                wire(400, "invalid_request", "A parameter is missing or malformed, or the token is not valid.")
            }
            Self::NotAForm => wire(415, "invalid_request", "Send application/x-www-form-urlencoded."),
            Self::BodyTooLarge => wire(413, "invalid_request", "The body is too large."),
            Self::UnsupportedGrantType => wire(400, "unsupported_grant_type", "Only token exchange is supported."),
            Self::InvalidScope => wire(400, "invalid_scope", "The scope is unknown or exceeds that of the token."),
            Self::InvalidTarget => wire(400, "invalid_target", "Tokens are made for this API alone."),
            Self::InvalidProof => wire(400, "invalid_dpop_proof", "The DPoP proof is missing or not valid."),
            Self::InvalidClient => wire(400, "invalid_client", "The app's attestation is missing or not valid."),
            Self::UnsupportedTokenType => {
                wire(400, "unsupported_token_type", "A token without a jti cannot be revoked alone.")
            }
            Self::TooManyRequests => wire(429, "temporarily_unavailable", "Too many requests. Try again later."),
            Self::Unavailable => wire(503, "temporarily_unavailable", "Try again later."),
        }
    }
}

/// A refusal on its way to the client and to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the client is told.
    pub error: OAuthError,
    /// What the log is told.
    pub reason: &'static str,
    /// `Retry-After`, seconds.
    pub retry_after_secs: Option<u32>,
}

impl Refused {
    /// A refusal with the reason for the log.
    #[must_use]
    pub const fn new(error: OAuthError, reason: &'static str) -> Self {
        Self { error, reason, retry_after_secs: None }
    }

    /// The same, with `Retry-After`.
    #[must_use]
    pub const fn retry_after(self, secs: u32) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> String {
        let wire = self.error.wire();
        json!({"error": wire.error, "error_description": wire.description}).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_written_in_the_characters_of_rfc_6749() {
        for error in OAuthError::ALL.iter().copied() {
            let wire = error.wire();
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(wire.description.bytes().all(allowed) && wire.error.bytes().all(allowed), "{error:?}");
            assert!((400..=503).contains(&wire.status));
            let body: serde_json::Value = serde_json::from_str(&Refused::new(error, "x").body()).unwrap();
            assert_eq!(body, json!({"error": wire.error, "error_description": wire.description}));
        }
    }
}
