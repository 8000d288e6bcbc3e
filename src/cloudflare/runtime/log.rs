//! The log: one JSON line for each request, alerts and warnings. The members of a line are a closed list. None of them holds a
//! token, a prompt, a key or a path.

use serde::Serialize;

use crate::cloudflare::runtime::platform;
use crate::types::alert::{Alert, RaisedAlert};
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// A request that has its response.
pub struct RequestLine<'a> {
    /// Time at which the request arrived.
    pub started: UnixMillis,
    /// `X-Request-Id` of the response.
    pub request_id: &'a RequestId,
    /// `X-Request-Id` of the request, if it has the allowed form.
    pub client_request_id: Option<&'a str>,
    /// The name of the route, or `none`.
    pub route: &'static str,
    /// HTTP status of the response.
    pub status: u16,
    /// The error code that the client was told and its cause, if the request was refused.
    pub refused: Option<(&'static str, &'static str)>,
    /// The user's log pseudonym, if a token was verified.
    pub subject: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_id: Option<&'a str>,
    route: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

/// Writes the log line of a request.
pub fn request(line: &RequestLine<'_>) {
    let now = platform::now();
    let text = serde_json::to_string(&Line {
        time: now.to_rfc3339(),
        level: "info",
        event: "request",
        request_id: line.request_id.as_str(),
        client_request_id: line.client_request_id,
        route: line.route,
        status: line.status,
        code: line.refused.map(|(code, _)| code),
        reason: line.refused.map(|(_, reason)| reason),
        duration_ms: now.millis_since(line.started),
        subject: line.subject,
    });
    worker::console_log!("{}", text.unwrap_or_default());
}

#[derive(Serialize)]
struct AlertLine<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    alert: Alert,
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<&'a str>,
}

/// Writes the line of an alert.
pub fn alert(raised: &RaisedAlert) {
    let line = AlertLine {
        time: platform::now().to_rfc3339(),
        level: "error",
        event: "alert",
        alert: raised.alert,
        word: raised.detail.as_deref(),
    };
    worker::console_error!("{}", serde_json::to_string(&line).unwrap_or_default());
}

#[derive(Serialize)]
struct Warning {
    time: String,
    level: &'static str,
    event: &'static str,
    warning: &'static str,
}

/// Writes a warning: a fixed word about a deployment that works, but not as its settings say.
pub fn warn(warning: &'static str) {
    let line = Warning { time: platform::now().to_rfc3339(), level: "warn", event: "warning", warning };
    worker::console_warn!("{}", serde_json::to_string(&line).unwrap_or_default());
}
