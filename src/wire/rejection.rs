//! Every error response: status, type, code and public text (contract 3).
//!
//! A refusal has two texts. The public one is fixed for each code, whatever the cause. The cause is
//! [`Rejection::reason`], which only the log shows.

use serde_json::{Map, Value, json};

use crate::parse::json::JsonProblem;
use crate::types::file::FILE_TYPES;
use crate::types::ids::{JobId, RequestId};
use crate::wire::violation::{Rule, Violation};

/// The `code` of an error response. On the wire, its name is in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    /// The body is not one JSON object, or it repeats a member. `details` names the problem and its position.
    InvalidJson,
    /// A parameter is missing or invalid. `details` names the parameter and the rule that it breaks.
    InvalidParameter,
    /// The API does not have this parameter; `details.param` names it if the name is plain.
    UnsupportedParameter,
    /// The idempotency key is not 1 to 255 printable ASCII characters, or has a comma followed by a blank.
    InvalidIdempotencyKey,
    /// The request has no token.
    MissingToken,
    /// The token is refused. The client is never told why.
    InvalidToken,
    /// The user's daily credits, the plan's pool or the token's cap cannot cover the request.
    InsufficientCredits,
    /// The token lacks the scope of the route.
    InsufficientPermissions,
    /// The plan or the token does not include the model, or no such model is configured.
    ModelNotAllowed,
    /// The user has as many files, or as many bytes of files, as the plan allows.
    FileLimitReached,
    /// The request comes from a page on an origin that is not listed.
    OriginNotAllowed,
    /// No such route, or the caller owns no such resource.
    NotFound,
    /// The path exists with other methods.
    MethodNotAllowed,
    /// The body exceeds the route's size limit.
    BodyTooLarge,
    /// The headers declare a body that is neither plain JSON nor a file of an accepted type.
    UnsupportedMediaType,
    /// The prediction has not ended.
    NotEnded,
    /// The first create with this idempotency key has not been acknowledged yet.
    IdempotencyInProgress,
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// The plan's limit of requests a minute, creates a minute or open streams is reached.
    RateLimited,
    /// The plan's limit of waiting predictions is reached.
    TooManyPredictions,
    /// The queue, or the plan's share of it, is full.
    QueueFull,
    /// The vendor refused what we sent.
    UpstreamRejected,
    /// The vendor failed or sent an unreadable response.
    UpstreamError,
    /// The vendor did not respond in time.
    UpstreamTimeout,
    /// The deployment's settings are wrong.
    Misconfigured,
    /// The Ledger or the Dispatcher did not reply in time, so the request is refused: fail closed.
    LimiterUnavailable,
    /// The vendor, its key or this model is paused, or the identity provider's keys could not be fetched.
    UpstreamUnavailable,
}

/// The message of `unsupported_media_type` for an upload. It lists [`FILE_TYPES`].
const FILE_TYPES_MESSAGE: &str = "Send the file as image/png, image/jpeg, image/webp, image/gif, video/mp4, video/webm \
    or audio/wav, without content encoding.";

/// A [`Code`] as it is sent.
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

impl Code {
    /// Every code, in the order of the declaration.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns what the client is sent for this code.
    #[must_use]
    pub fn wire(self) -> Wire {
        Wire { status: self.status(), kind: self.kind(), code: self.into(), message: self.message() }
    }

    const fn status(self) -> u16 {
        match self {
            Self::InvalidJson | Self::InvalidParameter | Self::UnsupportedParameter | Self::InvalidIdempotencyKey => {
                400
            }
            Self::MissingToken | Self::InvalidToken => 401,
            Self::InsufficientCredits => 402,
            Self::InsufficientPermissions | Self::ModelNotAllowed | Self::FileLimitReached | Self::OriginNotAllowed => {
                403
            }
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotEnded | Self::IdempotencyInProgress => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyMismatch => 422,
            Self::RateLimited | Self::TooManyPredictions | Self::QueueFull => 429,
            Self::UpstreamRejected | Self::UpstreamError => 502,
            Self::Misconfigured | Self::LimiterUnavailable | Self::UpstreamUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::InvalidJson
            | Self::InvalidParameter
            | Self::UnsupportedParameter
            | Self::InvalidIdempotencyKey
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::NotEnded => "invalid_request_error",
            Self::MissingToken | Self::InvalidToken => "authentication_error",
            Self::InsufficientCredits => "payment_error",
            Self::InsufficientPermissions | Self::ModelNotAllowed | Self::FileLimitReached | Self::OriginNotAllowed => {
                "permission_error"
            }
            Self::NotFound => "not_found_error",
            Self::IdempotencyInProgress | Self::IdempotencyMismatch => "idempotency_error",
            Self::RateLimited | Self::TooManyPredictions | Self::QueueFull => "rate_limit_error",
            Self::UpstreamRejected
            | Self::UpstreamError
            | Self::UpstreamTimeout
            | Self::Misconfigured
            | Self::LimiterUnavailable
            | Self::UpstreamUnavailable => "api_error",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::InvalidJson => "The body must be one valid JSON object: see details for what is wrong, and where.",
            Self::InvalidParameter => {
                "A parameter is missing or has an invalid value: see details for its name and what is allowed."
            }
            Self::UnsupportedParameter => "This API does not have this parameter. Remove it.",
            Self::InvalidIdempotencyKey => {
                "Send one Idempotency-Key of 1 to 255 printable ASCII characters, without a comma followed by a blank."
            }
            Self::MissingToken => "Send a token: Authorization: Bearer <JWT>.",
            Self::InvalidToken => "The token is not valid. Get a new one and try again.",
            Self::InsufficientCredits => {
                "Not enough credits are left for this request. Daily credits renew at midnight UTC."
            }
            Self::InsufficientPermissions => "The token does not allow this.",
            Self::ModelNotAllowed => "This model is not available to you.",
            Self::FileLimitReached => {
                "You have as many files as your plan allows. Delete files that you no longer need."
            }
            Self::OriginNotAllowed => "Pages on this origin may not call this API.",
            Self::NotFound => "Nothing was found. Check the path and the id in it.",
            Self::MethodNotAllowed => "This path does not accept this method: see the Allow header.",
            Self::BodyTooLarge => "The body is too large.",
            Self::UnsupportedMediaType => "Send application/json in UTF-8 without content encoding.",
            Self::NotEnded => "The prediction has not ended. Cancel it first.",
            Self::IdempotencyInProgress => {
                "The first request with this Idempotency-Key is still in progress. Try again later."
            }
            Self::IdempotencyMismatch => "This Idempotency-Key was used for a different request. Use a new key.",
            Self::RateLimited => "Too many requests. Try again later.",
            Self::TooManyPredictions => "Too many of your predictions are waiting. Try again later.",
            Self::QueueFull => "The queue is full. Try again later.",
            Self::UpstreamRejected => "The prediction service refused the request.",
            Self::UpstreamError => "The prediction service failed.",
            Self::UpstreamTimeout => "The prediction service did not answer in time.",
            Self::Misconfigured => "This deployment is not configured correctly.",
            Self::LimiterUnavailable => "The request could not be admitted. Try again.",
            Self::UpstreamUnavailable => "The prediction service is temporarily unavailable. Try again later.",
        }
    }
}

/// The credentials that a client is asked for if its token is missing or refused (RFC 6750 section 3, RFC 9449
/// section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// A bearer token. Proofs of possession would need `PUBLIC_URL`, which is not set.
    #[default]
    Bearer,
    /// A bearer token, or a token with a proof of possession.
    BearerOrProof,
    /// A new token, with a proof.
    Proof,
    /// The same token as in the request, with a new proof.
    NewProof,
}

impl Challenge {
    /// Returns the value of `WWW-Authenticate` for an error response with this code, if it has one. It names an error
    /// only if the request had a token.
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

/// A refused request, for the client and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code that the client is sent.
    pub code: Code,
    /// The cause, for the log: a fixed word such as `expired` or `ledger_timeout`.
    pub reason: &'static str,
    /// `details.param`: a path such as `input.prompt`.
    pub param: Option<String>,
    /// `details.rule` and `details.allowed`: the broken rule and the values it allows.
    pub violation: Option<Box<Violation>>,
    /// `details.problem`, `details.line` and `details.column`: the fault of a JSON body and its position.
    pub json: Option<Box<JsonProblem>>,
    /// True if the refused body is an upload. Uploads have media types of their own.
    pub is_upload: bool,
    /// `details.job_id`: the prediction was created in spite of the error, and the client can follow it.
    pub job_id: Option<JobId>,
    /// `Retry-After`, seconds.
    pub retry_after_secs: Option<u32>,
    /// `Allow` of a 405.
    pub allow: Option<&'static str>,
    /// `WWW-Authenticate` of a 401, and of a 403 for a missing scope.
    pub challenge: Challenge,
}

impl Rejection {
    /// Returns a refusal with a code and its cause for the log.
    #[must_use]
    pub const fn new(code: Code, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            param: None,
            violation: None,
            json: None,
            is_upload: false,
            job_id: None,
            retry_after_secs: None,
            allow: None,
            challenge: Challenge::Bearer,
        }
    }

    /// Sets the credentials that the client is asked for.
    #[must_use]
    pub fn challenge(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }

    /// Returns a refusal because of the parameter `param`, a path such as `input.prompt`.
    #[must_use]
    pub fn parameter(code: Code, reason: &'static str, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(code, reason) }
    }

    /// Names the rule that the parameter breaks.
    #[must_use]
    pub fn because(self, violation: Violation) -> Self {
        Self { violation: Some(Box::new(violation)), ..self }
    }

    /// Returns the refusal of a body that is not acceptable JSON.
    #[must_use]
    pub fn bad_json(problem: JsonProblem) -> Self {
        Self { json: Some(Box::new(problem)), ..Self::new(Code::InvalidJson, "json") }
    }

    /// Returns the refusal of an upload's media type or content encoding. It lists the accepted types.
    #[must_use]
    pub fn bad_file_type(reason: &'static str) -> Self {
        Self { is_upload: true, ..Self::new(Code::UnsupportedMediaType, reason) }
            .because(Violation::new(Rule::Enum, FILE_TYPES.to_vec()))
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, secs: u32) -> Self {
        Self { retry_after_secs: Some(secs), ..self }
    }

    /// Names the prediction that was created in spite of the error.
    #[must_use]
    pub fn with_job(self, job_id: JobId) -> Self {
        Self { job_id: Some(job_id), ..self }
    }

    /// Writes the body: the vendor's error envelope, with our request id. `docs_url` is the page about errors, whose
    /// anchors are the codes.
    #[must_use]
    pub fn body(&self, request_id: &RequestId, docs_url: Option<&str>) -> String {
        let wire = self.code.wire();
        let message = if self.is_upload { FILE_TYPES_MESSAGE } else { wire.message };
        let details = self.details();
        let mut error = json!({
            "type": wire.kind, "message": message, "code": wire.code, "request_id": request_id.as_str(),
        });
        let more = [
            ("details", (!details.is_empty()).then_some(Value::Object(details))),
            ("doc_url", docs_url.map(|page| Value::from(format!("{page}#{}", wire.code)))),
        ];
        if let Some(error) = error.as_object_mut() {
            error.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        json!({ "error": error }).to_string()
    }

    fn details(&self) -> Map<String, Value> {
        let (violation, json) = (self.violation.as_deref(), self.json.as_deref());
        let members = [
            ("param", self.param.as_deref().map(Value::from)),
            ("rule", violation.map(|violation| Value::from(violation.rule.as_str()))),
            ("allowed", violation.and_then(|violation| violation.allowed.clone())),
            ("problem", json.map(|problem| Value::from(problem.fault.as_str()))),
            ("line", json.map(|problem| Value::from(problem.line))),
            ("column", json.map(|problem| Value::from(problem.column))),
            ("job_id", self.job_id.as_ref().map(|job_id| Value::from(job_id.as_str()))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::json::parse_strict;
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
        for &code in Code::ALL {
            let is_asked = matches!(code, Code::MissingToken | Code::InvalidToken | Code::InsufficientPermissions);
            assert_eq!(Challenge::Bearer.header(code).is_some(), is_asked, "{code:?}");
        }
    }

    #[test]
    fn the_envelope_is_the_vendors() {
        let id = RequestId::new(UnixMillis(0), [0; 10]);
        let plain: Value = serde_json::from_str(&Rejection::new(Code::NotFound, "route").body(&id, None)).unwrap();
        assert_eq!(
            plain,
            json!({"error": {"type": "not_found_error", "message": "Nothing was found. Check the path and the id in it.", "code": "not_found",
                "request_id": id.as_str()}})
        );
        let rejection = Rejection::parameter(Code::InvalidParameter, "input", "input.prompt");
        assert_eq!(details(&rejection), json!({"param": "input.prompt"}));
    }

    #[test]
    fn an_error_links_to_its_place_on_the_page_about_errors() {
        let id = RequestId::new(UnixMillis(0), [0; 10]);
        let body = Rejection::new(Code::QueueFull, "queue").body(&id, Some("https://docs.example/errors?v=1"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["doc_url"], "https://docs.example/errors?v=1#queue_full");
    }

    fn details(rejection: &Rejection) -> Value {
        let body: Value = serde_json::from_str(&rejection.body(&RequestId::new(UnixMillis(0), [0; 10]), None)).unwrap();
        body["error"]["details"].clone()
    }

    #[test]
    fn a_refused_parameter_shows_the_rule_and_what_it_allows() {
        let refused = Rejection::parameter(Code::InvalidParameter, "parameter", "input.aspect_ratio");
        let by_list = refused.clone().because(Violation::new(Rule::Enum, vec!["1:1", "16:9"]));
        let shown = json!({"param": "input.aspect_ratio", "rule": "enum", "allowed": ["1:1", "16:9"]});
        assert_eq!(details(&by_list), shown);
        let missing = refused.because(Violation::plain(Rule::Required));
        assert_eq!(details(&missing), json!({"param": "input.aspect_ratio", "rule": "required"}));
    }

    #[test]
    fn refused_json_shows_the_problem_and_its_place() {
        let refused = Rejection::bad_json(parse_strict(b"{\"a\":\n\"\\ud83d\"}", 3).unwrap_err());
        assert_eq!(details(&refused), json!({"problem": "unpaired surrogate", "line": 2, "column": 8}));
    }

    #[test]
    fn a_refused_file_type_lists_the_accepted_ones() {
        let refused = Rejection::bad_file_type("media_type");
        assert_eq!(details(&refused), json!({"rule": "enum", "allowed": FILE_TYPES}));
        let body = refused.body(&RequestId::new(UnixMillis(0), [0; 10]), None);
        let message = &serde_json::from_str::<Value>(&body).unwrap()["error"]["message"];
        assert!(FILE_TYPES.iter().all(|known| message.as_str().unwrap().contains(known)), "{message}");
    }
}
