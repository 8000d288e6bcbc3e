//! Writes responses: headers from a closed list, and a last scan for the vendor key.

use js_sys::Array;
use serde_json::Value;
use wasm_bindgen::JsValue;

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::driver;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::messages::Rate;
use crate::parse::url::ResourceUrl;
use crate::types::alert::Alert;
use crate::types::ids::{JobId, RequestId};
use crate::wire::cors::{self, OriginCheck};
use crate::wire::rejection::{Code, Rejection};

/// The body of a response, before it is written.
#[derive(Debug)]
pub enum Body {
    /// JSON.
    Json(String),
    /// A page of a CSV file.
    Csv {
        /// Its text.
        text: String,
        /// `X-Next-Cursor`, if there may be more.
        next_cursor: Option<String>,
    },
    /// An error. Its text needs the request's id and the deployment's page about errors.
    Error(Box<Rejection>),
}

impl Body {
    fn text(&self, request_id: &RequestId, deployment: Option<&Deployment>) -> String {
        match self {
            Self::Json(text) | Self::Csv { text, .. } => text.clone(),
            Self::Error(rejection) => {
                let docs_url = deployment.and_then(|deployment| deployment.config.docs_url.as_ref());
                rejection.body(request_id, docs_url.map(ResourceUrl::as_str))
            }
        }
    }
}

/// A response before it is written.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, if there is one.
    pub body: Option<Body>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, seconds.
    pub retry_after_secs: Option<u32>,
    /// `Allow`.
    pub allow: Option<&'static str>,
    /// `Cache-Control`, by default `no-store`.
    pub cache_control: &'static str,
    /// `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    /// True if this is the response to a preflight.
    pub is_preflight: bool,
    /// `X-RateLimit-*`, if the caller's Ledger counted the request.
    pub rate: Option<Rate>,
    /// `Idempotency-Replayed`.
    pub is_replayed: bool,
    /// `Preference-Applied: wait`, seconds.
    pub waited_secs: Option<u32>,
    /// The prediction that a create has made. If this response contains the vendor key, the 502 in its place names it.
    pub created: Option<JobId>,
}

impl Response {
    /// Returns a JSON response.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    /// Returns a JSON response with this text.
    pub fn json_text(status: u16, body: String) -> Self {
        Self { body: Some(Body::Json(body)), ..Self::empty(status) }
    }

    /// Returns a page of a CSV file.
    pub fn csv(text: String, next_cursor: Option<String>) -> Self {
        Self { body: Some(Body::Csv { text, next_cursor }), ..Self::empty(200) }
    }

    /// Returns a response without a body.
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

    /// Returns an error response (contract 3).
    pub fn rejection(rejection: Rejection) -> Self {
        let status = rejection.code.wire().status;
        Self {
            retry_after_secs: rejection.retry_after_secs,
            allow: rejection.allow,
            challenge: rejection.challenge.header(rejection.code),
            created: rejection.job_id.clone(),
            body: Some(Body::Error(Box::new(rejection))),
            ..Self::empty(status)
        }
    }
}

/// The parts from which the platform makes a response.
struct Parts {
    status: u16,
    header_lines: String,
    body: Option<String>,
}

/// Writes a response. If it contains the vendor key, it is not sent: the client gets a 502, and an alert is logged.
pub fn write(
    response: &Response,
    request_id: &RequestId,
    origin: OriginCheck<'_>,
    deployment: Option<&Deployment>,
    is_head: bool,
) -> Result<web_sys::Response, PlatformError> {
    let Parts { status, header_lines, body } = render(response, request_id, origin, deployment);
    platform::respond(status, &header_lines, body.as_deref().filter(|_| !is_head))
}

fn render(
    response: &Response,
    request_id: &RequestId,
    origin: OriginCheck<'_>,
    deployment: Option<&Deployment>,
) -> Parts {
    let leaks = |text: &str| deployment.is_some_and(|deployment| deployment.key_scan.finds_in(text));
    let header_lines = headers_of(response, request_id, origin);
    let text = |response: &Response| response.body.as_ref().map(|body| body.text(request_id, deployment));
    let body = text(response);
    if !leaks(&header_lines) && !body.as_deref().is_some_and(leaks) {
        return Parts { status: response.status, header_lines, body };
    }
    alerts::raise(Alert::VendorKeyInAnswer);
    let safe = instead_of(response);
    // The caller's page may read the 502, unless its own origin contains the key.
    let header_lines = Some(headers_of(&safe, request_id, origin)).filter(|lines| !leaks(lines));
    let header_lines = header_lines.unwrap_or_else(|| headers_of(&safe, request_id, OriginCheck::None));
    Parts { status: safe.status, header_lines, body: text(&safe) }
}

/// Leaves the response that worker.js sends if the wasm instance ends before this request has one.
pub fn leave_fallback(context: &RequestContext<'_>, response: Response) {
    driver::if_lost(render_fallback(context, response));
}

/// Leaves two responses while the caller's Ledger admits a create. If the wasm instance ends, the Ledger may already
/// have admitted it. worker.js then sends `message`, which withdraws the create, to the Ledger `name`. It responds with
/// `continued` if the Ledger replies that the create continues, else with `withdrawn`.
pub fn leave_withdrawal(
    context: &RequestContext<'_>,
    (withdrawn, continued): (Response, Response),
    (namespace, name, message): (JsValue, &str, String),
) {
    let (withdrawn, continued) = (render_fallback(context, withdrawn), render_fallback(context, continued));
    let name = name.to_owned();
    driver::if_lost(move || {
        let parts = withdrawn();
        parts.push(&Array::of4(&namespace, &name.into(), &message.into(), &continued()));
        parts
    });
}

/// Returns a function that renders a response as `[status, header lines, body]`. The response holds only ids and fixed
/// texts, so only the page's origin could contain the vendor key.
fn render_fallback(context: &RequestContext<'_>, response: Response) -> impl FnOnce() -> Array + 'static {
    let (request_id, is_head) = (context.request_id.clone(), context.is_head());
    let origin = match context.origin {
        OriginCheck::Allowed(origin) if !context.deployment.key_scan.finds_in(origin) => Some(origin.to_owned()),
        _ => None,
    };
    let body = response.body.as_ref().filter(|_| !is_head).map(|body| body.text(&request_id, Some(context.deployment)));
    move || {
        let origin = origin.as_deref().map_or(OriginCheck::None, OriginCheck::Allowed);
        let header_lines = headers_of(&response, &request_id, origin);
        Array::of3(&JsValue::from(response.status), &header_lines.into(), &body.map_or(JsValue::NULL, JsValue::from))
    }
}

/// Returns the 502 in place of a response that contains the vendor key. It keeps only what cannot come from the vendor:
/// the id of the prediction that exists (contract 2), and the caller's rate-limit numbers.
fn instead_of(answer: &Response) -> Response {
    let rejection = Rejection::new(Code::UpstreamError, "vendor_key_in_answer");
    let rejection = Rejection { job_id: answer.created.clone(), ..rejection };
    Response { rate: answer.rate, ..Response::rejection(rejection) }
}

fn headers_of(answer: &Response, request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let mut lines = common_lines(request_id, answer.cache_control);
    let mut add = |name: &str, value: &str| {
        lines.push('\n');
        lines.push_str(name);
        lines.push_str(": ");
        lines.push_str(value);
    };
    match &answer.body {
        Some(Body::Csv { next_cursor, .. }) => {
            add("Content-Type", "text/csv; charset=utf-8; header=present");
            if let Some(cursor) = next_cursor {
                add("X-Next-Cursor", cursor);
            }
        }
        Some(Body::Json(_) | Body::Error(_)) => add("Content-Type", "application/json"),
        None => {}
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

/// Returns the headers of an event stream. `sandbox` stops the stream from doing anything if a page opens it as a
/// document.
pub fn stream_lines(rate: Option<Rate>, request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let lines = headers_of(&Response { rate, ..Response::empty(200) }, request_id, origin);
    format!("{lines}\nContent-Type: text/event-stream\nContent-Security-Policy: sandbox")
}

/// Returns the headers of a public document.
pub fn document_lines(request_id: &RequestId, origin: OriginCheck<'_>) -> String {
    let answer = Response { cache_control: PUBLIC_CACHE, ..Response::empty(200) };
    format!("{}\nContent-Type: application/json", headers_of(&answer, request_id, origin))
}

/// `Cache-Control` of public documents.
pub const PUBLIC_CACHE: &str = "public, max-age=300";

/// Returns the headers of every response.
pub fn common_lines(request_id: &RequestId, cache_control: &str) -> String {
    format!(
        "X-Request-Id: {request_id}\nVary: Origin\nX-Content-Type-Options: nosniff\nReferrer-Policy: no-referrer\n\
         Strict-Transport-Security: max-age=31536000\nCache-Control: {cache_control}"
    )
}
