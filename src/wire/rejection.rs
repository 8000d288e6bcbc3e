//! Every refusal: status, type, code and public text in one exhaustive match (contract 3).
//!
//! Two texts: the public one is `&'static str` and the same for every cause; what really happened is a
//! [`Rejection::reason`] for the log, never for the client.

use serde_json::{Map, Value, json};

use crate::types::ids::{JobId, RequestId};
use crate::types::vocabulary::vocabulary;

vocabulary! {
    /// The `code` of an error answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Code {
        /// The body is not one JSON object, or has a member twice.
        InvalidJson,
        /// A parameter's value is not acceptable; `details.param` names it.
        InvalidParameter,
        /// A parameter that this API does not have; `details.param` names it.
        UnsupportedParameter,
        /// The idempotency key is not 1 to 255 printable characters.
        InvalidIdempotencyKey,
        /// No token.
        MissingToken,
        /// A token that is refused, whatever the reason.
        InvalidToken,
        /// The caller's own allowance, or that of the plan's pool or of the token, is spent.
        InsufficientCredits,
        /// The token lacks the scope.
        InsufficientPermissions,
        /// The plan or token does not include the model, or there is none of that name.
        ModelNotAllowed,
        /// A browser page on an origin that is not listed.
        OriginNotAllowed,
        /// No such route, or no such thing of the caller's.
        NotFound,
        /// The route exists with other methods.
        MethodNotAllowed,
        /// The body exceeds the route's limit.
        BodyTooLarge,
        /// The body is not plain JSON by its headers.
        UnsupportedMediaType,
        /// The prediction has not ended.
        NotEnded,
        /// The first create with this idempotency key was not acknowledged yet.
        IdempotencyInProgress,
        /// The idempotency key was used for another path or body.
        IdempotencyMismatch,
        /// The plan's requests or creates of this minute, or streams that are open.
        RateLimited,
        /// The plan's waiting predictions.
        TooManyPredictions,
        /// The queue, or the plan's share of it, is full.
        QueueFull,
        /// The vendor refused what we sent.
        UpstreamRejected,
        /// The vendor failed or answered something unreadable.
        UpstreamError,
        /// The vendor did not answer in time.
        UpstreamTimeout,
        /// The deployment's configuration is wrong.
        Misconfigured,
        /// The limiter gave no answer in time: fail closed.
        LimiterUnavailable,
        /// The vendor's key cannot be used for now.
        UpstreamUnavailable,
    }
}

/// What a [`Code`] looks like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`.
    pub code: &'static str,
    /// `error.message`.
    pub message: &'static str,
}

const fn wire(status: u16, kind: &'static str, code: &'static str, message: &'static str) -> Wire {
    Wire { status, kind, code, message }
}

const REQUEST: &str = "invalid_request_error";
const AUTHENTICATION: &str = "authentication_error";
const PERMISSION: &str = "permission_error";
const API: &str = "api_error";
const IDEMPOTENCY: &str = "idempotency_error";
const RATE: &str = "rate_limit_error";

impl Code {
    /// The one map from refusal to wire.
    #[must_use]
    pub const fn wire(self) -> Wire {
        match self {
            Self::InvalidJson => {
                wire(400, REQUEST, "invalid_json", "The body must be one JSON object without repeated members.")
            }
            Self::InvalidParameter => {
                wire(400, REQUEST, "invalid_parameter", "A parameter is missing or its value is not acceptable.")
            }
            Self::UnsupportedParameter => wire(400, REQUEST, "unsupported_parameter", "A parameter is not supported."),
            Self::InvalidIdempotencyKey => wire(
                400,
                REQUEST,
                "invalid_idempotency_key",
                "Send one Idempotency-Key of 1 to 255 printable characters.",
            ),
            Self::MissingToken => {
                wire(401, AUTHENTICATION, "missing_token", "Send a token: Authorization: Bearer <JWT>.")
            }
            Self::InvalidToken => {
                wire(401, AUTHENTICATION, "invalid_token", "The token is not valid. Get a new one and try again.")
            }
            Self::InsufficientCredits => {
                wire(402, "payment_error", "insufficient_credits", "The allowance for this period is spent.")
            }
            Self::InsufficientPermissions => {
                wire(403, PERMISSION, "insufficient_permissions", "The token does not allow this.")
            }
            Self::ModelNotAllowed => wire(403, PERMISSION, "model_not_allowed", "This model is not available to you."),
            Self::OriginNotAllowed => {
                wire(403, PERMISSION, "origin_not_allowed", "Pages on this origin may not call this API.")
            }
            Self::NotFound => wire(404, "not_found_error", "not_found", "There is nothing here."),
            Self::MethodNotAllowed => {
                wire(405, REQUEST, "method_not_allowed", "This path takes other methods: see Allow.")
            }
            Self::BodyTooLarge => wire(413, REQUEST, "body_too_large", "The body is too large."),
            Self::UnsupportedMediaType => {
                wire(415, REQUEST, "unsupported_media_type", "Send application/json in UTF-8 without content encoding.")
            }
            Self::NotEnded => wire(409, REQUEST, "not_ended", "The prediction has not ended. Cancel it first."),
            Self::IdempotencyInProgress => {
                wire(409, IDEMPOTENCY, "idempotency_in_progress", "The first request with this key is still under way.")
            }
            Self::IdempotencyMismatch => {
                wire(422, IDEMPOTENCY, "idempotency_mismatch", "This key was used for another request.")
            }
            Self::RateLimited => wire(429, RATE, "rate_limited", "Too many requests. Try again later."),
            Self::TooManyPredictions => {
                wire(429, RATE, "too_many_predictions", "Too many of your predictions are waiting. Try again later.")
            }
            Self::QueueFull => wire(429, RATE, "queue_full", "Every place is taken. Try again later."),
            Self::UpstreamRejected => {
                wire(502, API, "upstream_rejected", "The prediction service refused the request.")
            }
            Self::UpstreamError => wire(502, API, "upstream_error", "The prediction service failed."),
            Self::UpstreamTimeout => {
                wire(504, API, "upstream_timeout", "The prediction service did not answer in time.")
            }
            Self::Misconfigured => wire(503, API, "misconfigured", "This deployment is not configured correctly."),
            Self::LimiterUnavailable => {
                wire(503, API, "limiter_unavailable", "The request could not be admitted. Try again.")
            }
            Self::UpstreamUnavailable => {
                wire(503, API, "upstream_unavailable", "The prediction service cannot be used for now.")
            }
        }
    }
}

/// What a client is asked for, where a token is missing or refused (RFC 6750 section 3, RFC 9449 section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// A bearer token: proofs of possession need `PUBLIC_URL`.
    #[default]
    Bearer,
    /// A bearer token, or one with a proof.
    BearerOrProof,
    /// Another token with a proof.
    Proof,
    /// Another proof.
    NewProof,
}

impl Challenge {
    /// `WWW-Authenticate` of an answer with this code. An error is named only where a token was sent, and 403 for a
    /// missing scope names it too.
    #[must_use]
    pub const fn header(self, code: Code) -> Option<&'static str> {
        Some(match (code, self) {
            (Code::MissingToken, Self::Bearer) => "Bearer",
            (Code::MissingToken, _) => "Bearer, DPoP algs=\"ES256 EdDSA Ed25519\"",
            (Code::InvalidToken, Self::Bearer) => "Bearer error=\"invalid_token\"",
            (Code::InvalidToken, Self::BearerOrProof) => {
                "Bearer error=\"invalid_token\", DPoP algs=\"ES256 EdDSA Ed25519\""
            }
            (Code::InvalidToken, Self::Proof) => "DPoP error=\"invalid_token\", algs=\"ES256 EdDSA Ed25519\"",
            (Code::InvalidToken, Self::NewProof) => "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA Ed25519\"",
            (Code::InsufficientPermissions, Self::Bearer | Self::BearerOrProof) => {
                "Bearer error=\"insufficient_scope\""
            }
            (Code::InsufficientPermissions, _) => "DPoP error=\"insufficient_scope\"",
            _ => return None,
        })
    }
}

/// A refusal on its way to the client and to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What the client is told.
    pub code: Code,
    /// What the log is told: a fixed word such as `expired` or `ledger_timeout`.
    pub reason: &'static str,
    /// `details.param`.
    pub param: Option<String>,
    /// `details.job_id`: the prediction exists, and the client can follow it.
    pub job_id: Option<JobId>,
    /// `Retry-After`, seconds.
    pub retry_after_secs: Option<u32>,
    /// `Allow` of a 405.
    pub allow: Option<&'static str>,
    /// `WWW-Authenticate` of a 401 and of a missing scope.
    pub challenge: Challenge,
}

impl Rejection {
    /// A refusal with a code and the reason for the log.
    #[must_use]
    pub const fn new(code: Code, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            param: None,
            job_id: None,
            retry_after_secs: None,
            allow: None,
            challenge: Challenge::Bearer,
        }
    }

    /// The same, with what the client is asked for.
    #[must_use]
    pub fn challenge(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }

    /// A refusal because of the parameter `param`, a path such as `input.prompt`.
    #[must_use]
    pub fn parameter(code: Code, reason: &'static str, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(code, reason) }
    }

    /// The same, with `Retry-After`.
    #[must_use]
    pub fn retry_after(self, secs: u32) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }

    /// The same, naming the prediction that exists nevertheless.
    #[must_use]
    pub fn with_job(self, job_id: JobId) -> Self {
        Self { job_id: Some(job_id), ..self }
    }

    /// The body: the vendor's envelope, with our request id.
    #[must_use]
    pub fn body(&self, request_id: &RequestId) -> String {
        let wire = self.code.wire();
        let mut details = Map::new();
        if let Some(param) = &self.param {
            details.insert("param".to_owned(), Value::from(param.as_str()));
        }
        if let Some(job_id) = &self.job_id {
            details.insert("job_id".to_owned(), Value::from(job_id.as_str()));
        }
        let mut error = json!({
            "type": wire.kind, "message": wire.message, "code": wire.code, "request_id": request_id.as_str(),
        });
        if let (Some(error), false) = (error.as_object_mut(), details.is_empty()) {
            error.insert("details".to_owned(), Value::Object(details));
        }
        json!({ "error": error }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;

    #[test]
    fn codes_are_told_apart() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.wire().code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }

    #[test]
    fn a_challenge_names_the_algorithms_that_proofs_may_have() {
        let names = crate::token::PROOF_ALGORITHMS.map(crate::token::Algorithm::as_str).join(" ");
        for (code, challenge) in [
            (Code::MissingToken, Challenge::BearerOrProof),
            (Code::InvalidToken, Challenge::BearerOrProof),
            (Code::InvalidToken, Challenge::Proof),
            (Code::InvalidToken, Challenge::NewProof),
        ] {
            assert!(challenge.header(code).unwrap().contains(&format!("algs=\"{names}\"")), "{code:?}");
        }
        for code in Code::ALL {
            let is_asked = matches!(code, Code::MissingToken | Code::InvalidToken | Code::InsufficientPermissions);
            assert_eq!(Challenge::Bearer.header(code).is_some(), is_asked, "{code:?}");
        }
    }

    #[test]
    fn the_envelope_is_the_vendors() {
        let id = RequestId::new(UnixMillis(0), [0; 10]);
        let plain: Value = serde_json::from_str(&Rejection::new(Code::NotFound, "route").body(&id)).unwrap();
        assert_eq!(
            plain,
            json!({"error": {"type": "not_found_error", "message": "There is nothing here.", "code": "not_found",
                "request_id": id.as_str()}})
        );
        let rejection = Rejection::parameter(Code::InvalidParameter, "input", "input.prompt");
        let detailed: Value = serde_json::from_str(&rejection.body(&id)).unwrap();
        assert_eq!(detailed["error"]["details"], json!({"param": "input.prompt"}));
    }
}
