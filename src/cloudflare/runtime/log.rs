//! One structured line a request, and alerts. A closed set of members: no token, no prompt, no key, no path.

use serde::Serialize;

use crate::cloudflare::runtime::platform;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;

/// What is known of a request when it has been answered.
pub struct RequestLine<'a> {
    /// When it arrived.
    pub started: UnixMillis,
    /// Ours.
    pub request_id: &'a RequestId,
    /// The client's, if it was plain.
    pub client_request_id: Option<&'a str>,
    /// The route's name, or `none`.
    pub route: &'static str,
    /// HTTP status of the answer.
    pub status: u16,
    /// The code that the client was told and the reason, if it was refused.
    pub refused: Option<(&'static str, &'static str)>,
    /// The user's pseudonym, once a token was verified.
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

/// Writes the line of a request.
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
struct Alert {
    time: String,
    level: &'static str,
    event: &'static str,
    alert: &'static str,
}

/// Writes something that an operator must see: a fixed word.
pub fn alert(alert: &'static str) {
    let line = Alert { time: platform::now().to_rfc3339(), level: "error", event: "alert", alert };
    worker::console_error!("{}", serde_json::to_string(&line).unwrap_or_default());
}
