//! From what was decided to a response: headers from a closed list, and the last check for the key.

use serde_json::Value;

use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::messages::Rate;
use crate::types::ids::{JobId, RequestId};
use crate::wire::cors::{self, OriginCheck};
use crate::wire::rejection::{Code, Rejection};

/// An answer before it is written.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, seconds.
    pub retry_after_secs: Option<u32>,
    /// `Allow`.
    pub allow: Option<&'static str>,
    /// `Cache-Control`; `no-store` unless it says otherwise.
    pub cache_control: &'static str,
    /// `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    /// Whether it answers a preflight.
    pub is_preflight: bool,
    /// `X-RateLimit-*`, of what passed the Ledger.
    pub rate: Option<Rate>,
    /// `Idempotency-Replayed`.
    pub is_replayed: bool,
    /// `Preference-Applied: wait`, seconds.
    pub waited_secs: Option<u32>,
    /// The prediction that a create has made: for what is sent instead, if this cannot be.
    pub created: Option<JobId>,
}

/// What a route answers: something to write, or a stream that is open already.
pub enum Reply {
    /// To be written.
    Complete(Response),
    /// Written by whoever opened it.
    Open(web_sys::Response),
}

impl From<Response> for Reply {
    fn from(answer: Response) -> Self {
        Self::Complete(answer)
    }
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    /// A JSON answer whose text is made already.
    pub fn json_text(status: u16, body: String) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            body: None,
            location: None,
            retry_after_secs: None,
            allow: None,
            cache_control: "no-store",
            challenge: None,
            is_preflight: false,
            rate: None,
            is_replayed: false,
            waited_secs: None,
            created: None,
        }
    }

    /// A refusal (contract 3).
    pub fn rejection(rejection: &Rejection, request_id: &RequestId) -> Self {
        Self {
            body: Some(rejection.body(request_id)),
            retry_after_secs: rejection.retry_after_secs,
            allow: rejection.allow,
            challenge: rejection.challenge.header(rejection.code),
            created: rejection.job_id.clone(),
            ..Self::empty(rejection.code.wire().status)
        }
    }
}

/// Writes an answer. One that holds the vendor's key is not sent: a 502 goes out instead, and an alert to the log.
pub fn write(
    answer: &Response,
    request_id: &RequestId,
    origin: OriginCheck<'_>,
    deployment: Option<&Deployment>,
    is_head: bool,
) -> Result<web_sys::Response, PlatformError> {
    let leaks = |text: &str| deployment.is_some_and(|deployment| deployment.key_scan.finds_in(text));
    let headers = header_lines(answer, request_id, origin);
    if !leaks(&headers) && !answer.body.as_deref().is_some_and(leaks) {
        return platform::respond(answer.status, &headers, answer.body.as_deref().filter(|_| !is_head));
    }
    log::alert("vendor_key_in_answer");
    let safe = instead_of(answer, request_id);
    // A page that may read the answer may read this one, unless its own name is what must not be said.
    let headers = Some(header_lines(&safe, request_id, origin)).filter(|headers| !leaks(headers));
    let headers = headers.unwrap_or_else(|| header_lines(&safe, request_id, OriginCheck::None));
    platform::respond(safe.status, &headers, safe.body.as_deref().filter(|_| !is_head))
}

/// A 502 that says of an answer what is ours alone: the prediction that exists (contract 2), and the caller's minute.
fn instead_of(answer: &Response, request_id: &RequestId) -> Response {
    let rejection = Rejection::new(Code::UpstreamError, "vendor_key_in_answer");
    let rejection = Rejection { job_id: answer.created.clone(), ..rejection };
    Response { rate: answer.rate, ..Response::rejection(&rejection, request_id) }
}

fn header_lines(answer: &Response, request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let mut lines = common_lines(request_id, answer.cache_control);
    let mut add = |name: &str, value: &str| {
        lines.push('\n');
        lines.push_str(name);
        lines.push_str(": ");
        lines.push_str(value);
    };
    if answer.body.is_some() {
        add("Content-Type", "application/json");
    }
    if let Some(location) = &answer.location {
        add("Location", location);
    }
    if let Some(secs) = answer.retry_after_secs {
        add("Retry-After", &secs.to_string());
    }
    if let Some(allow) = answer.allow {
        add("Allow", allow);
    }
    if let Some(challenge) = answer.challenge {
        add("WWW-Authenticate", challenge);
    }
    if answer.is_replayed {
        add("Idempotency-Replayed", "true");
    }
    if let Some(secs) = answer.waited_secs {
        add("Preference-Applied", &format!("wait={secs}"));
    }
    if let Some(rate) = answer.rate {
        add("X-RateLimit-Limit", &rate.limit.to_string());
        add("X-RateLimit-Remaining", &rate.remaining.to_string());
        add("X-RateLimit-Reset", &rate.reset.0.to_string());
    }
    if let OriginCheck::Allowed(origin) = origin {
        add("Access-Control-Allow-Origin", origin);
        if answer.is_preflight {
            add("Access-Control-Allow-Methods", cors::ALLOWED_METHODS);
            add("Access-Control-Allow-Headers", cors::ALLOWED_HEADERS);
            add("Access-Control-Max-Age", cors::MAX_AGE_SECS);
        } else {
            add("Access-Control-Expose-Headers", cors::EXPOSED_HEADERS);
        }
    }
    lines
}

/// The headers of an open event stream. A page that opens it as a document can do nothing with it.
pub fn stream_lines(rate: Option<Rate>, request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let lines = header_lines(&Response { rate, ..Response::empty(200) }, request_id, origin);
    format!("{lines}\nContent-Type: text/event-stream\nContent-Security-Policy: sandbox")
}

/// The headers of a document that anybody may read.
pub fn document_lines(request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let answer = Response { cache_control: PUBLIC_CACHE, ..Response::empty(200) };
    format!("{}\nContent-Type: application/json", header_lines(&answer, request_id, origin))
}

/// `Cache-Control` of what anybody may read.
pub const PUBLIC_CACHE: &str = "public, max-age=300";

/// What every answer carries.
pub fn common_lines(request_id: &RequestId, cache_control: &str) -> String {
    format!(
        "X-Request-Id: {request_id}\nVary: Origin\nX-Content-Type-Options: nosniff\nReferrer-Policy: no-referrer\n\
         Strict-Transport-Security: max-age=31536000\nCache-Control: {cache_control}"
    )
}
