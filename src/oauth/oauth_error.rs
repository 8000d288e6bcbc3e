//! The errors of the token endpoint (RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 7009 section 2.2.1, RFC 9449
//! section 5). [`OAuthError::wire`] is the only map from error to response. The reason of a refusal goes to the log
//! alone.

use serde_json::json;

/// An error of the token endpoint. Several errors share an `error` code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum OAuthError {
    /// A parameter is missing, repeated or malformed, or the subject token is refused for any reason.
    InvalidRequest,
    /// The body is not a form.
    NotAForm,
    /// The body is too large.
    BodyTooLarge,
    /// `grant_type` is not token exchange.
    UnsupportedGrantType,
    /// A scope is unknown, or the subject token does not have it.
    InvalidScope,
    /// The requested token is for another audience.
    InvalidTarget,
    /// The proof of possession is missing or refused.
    InvalidProof,
    /// The app's attestation is missing or refused.
    InvalidClient,
    /// The token cannot be revoked, because it has no `jti`.
    UnsupportedTokenType,
    /// The user has used up the requests of this minute.
    TooManyRequests,
    /// A service that the decision needs did not respond: the identity provider, Turnstile, or one of the objects.
    Unavailable,
}

/// The response for an [`OAuthError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OAuthWire {
    /// The HTTP status.
    pub status: u16,
    /// The member `error`.
    pub error: &'static str,
    /// The member `error_description`.
    pub description: &'static str,
}

const fn wire(status: u16, error: &'static str, description: &'static str) -> OAuthWire {
    OAuthWire { status, error, description }
}

impl OAuthError {
    /// Every error, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the response for the error.
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
            Self::InvalidTarget => wire(400, "invalid_target", "Tokens are issued only for this API."),
            Self::InvalidProof => wire(400, "invalid_dpop_proof", "The DPoP proof is missing or not valid."),
            Self::InvalidClient => wire(400, "invalid_client", "The app's attestation is missing or not valid."),
            Self::UnsupportedTokenType => {
                wire(400, "unsupported_token_type", "A token without a jti cannot be revoked individually.")
            }
            Self::TooManyRequests => wire(429, "temporarily_unavailable", "Too many requests. Try again later."),
            Self::Unavailable => wire(503, "temporarily_unavailable", "Try again later."),
        }
    }
}

/// A refused request: the error for the client, and the reason for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OAuthRefusal {
    /// The error for the client.
    pub error: OAuthError,
    /// The reason for the log.
    pub reason: &'static str,
    /// `Retry-After` in seconds.
    pub retry_after_secs: Option<u32>,
}

impl OAuthRefusal {
    /// Creates a refusal without `Retry-After`.
    #[must_use]
    pub const fn new(error: OAuthError, reason: &'static str) -> Self {
        Self { error, reason, retry_after_secs: None }
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub const fn retry_after(self, secs: u32) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }

    /// Returns the body of the response.
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
            let body: serde_json::Value = serde_json::from_str(&OAuthRefusal::new(error, "x").body()).unwrap();
            assert_eq!(body, json!({"error": wire.error, "error_description": wire.description}));
        }
    }
}
