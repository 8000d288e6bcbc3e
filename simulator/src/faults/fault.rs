//! One fault: delays, a changed response and its delivery. The members combine.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::content_coding::ContentCoding;
use super::oddity::Oddity;
use super::raw_response::RawResponse;
use super::script::Script;
use super::template::{Encoding, expand};

/// A fault, as the control API accepts it. The default does nothing. `README.md` describes each member.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Pause before the handler runs, in milliseconds.
    pub delay_ms: u64,
    /// Pause after the handler ran and before the response, in milliseconds.
    pub delay_after_ms: u64,
    /// Runs the real handler although its response is replaced.
    apply: bool,

    status: Option<u16>,
    #[serde(deserialize_with = "header_pairs")]
    headers: Vec<(String, String)>,
    content_type: Option<String>,
    compress: Option<ContentCoding>,
    body: Option<String>,
    redirect: Option<Redirect>,
    echo_authorization: Option<Echo>,
    invalid_json: bool,
    huge_body: Option<HugeBody>,
    merge: Option<Map<String, Value>>,
    odd: Option<Oddity>,

    close_before: bool,
    close_after: bool,
    close_mid_body: Option<Cut>,
    hang_after: Option<usize>,
    drip: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redirect {
    #[serde(default = "found")]
    status: u16,
    location: String,
}

const fn found() -> u16 {
    302
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    r#in: EchoTarget,
    #[serde(default = "echo_header")]
    header: String,
    #[serde(default)]
    encoding: Encoding,
}

fn echo_header() -> String {
    "x-echo".to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EchoTarget {
    Body,
    Header,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HugeBody {
    bytes: u64,
    #[serde(default)]
    json: bool,
}

/// Where the body is cut: `true` means in the middle, `false` not at all, a number after that many bytes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Cut {
    Middle(bool),
    After(usize),
}

impl Cut {
    fn offset(self, length: usize) -> Option<usize> {
        match self {
            Self::Middle(true) => Some(length / 2),
            Self::Middle(false) => None,
            Self::After(bytes) => Some(bytes),
        }
    }
}

/// Deserializes headers from a JSON object, or from a list of pairs where order or repetition matters.
fn header_pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Headers {
        List(Vec<(String, String)>),
        Object(std::collections::BTreeMap<String, String>),
    }
    Ok(match Headers::deserialize(deserializer)? {
        Headers::List(pairs) => pairs,
        Headers::Object(members) => members.into_iter().collect(),
    })
}

impl Fault {
    /// Checks the members together.
    ///
    /// # Errors
    /// Members that exclude each other, a status outside 100–599, a line break in a header, no member at all.
    pub fn check(&self) -> Result<(), String> {
        let count = |members: &[bool]| members.iter().filter(|&&member| member).count();
        let redirect_status = self.redirect.as_ref().map(|redirect| redirect.status);
        let statuses = [self.status, redirect_status];
        if statuses.iter().flatten().any(|status| !(100..=599).contains(status)) {
            return Err("a status is outside 100 to 599".to_owned());
        }
        if self.headers.iter().any(|(name, value)| format!("{name}{value}").contains(['\r', '\n'])) {
            return Err("a header contains a line break".to_owned());
        }
        if count(&self.bodies()) > 1 {
            return Err(
                "body, redirect, echo_authorization, invalid_json, huge_body, merge, odd exclude each other".into()
            );
        }
        if count(&self.deliveries()) > 1 {
            return Err("close_before, close_after, close_mid_body, hang_after, drip exclude each other".to_owned());
        }
        if self.huge_body.is_some() && count(&self.deliveries()) > 0 {
            return Err("huge_body excludes close_before, close_after, close_mid_body, hang_after, drip".to_owned());
        }
        if self.huge_body.is_some() && self.compress.is_some() {
            return Err("huge_body excludes compress: it is written as it is".to_owned());
        }
        if !self.changes_response() && self.delay_ms == 0 && self.delay_after_ms == 0 {
            return Err("the fault does nothing".to_owned());
        }
        Ok(())
    }

    fn bodies(&self) -> [bool; 7] {
        [
            self.body.is_some(),
            self.redirect.is_some(),
            self.echo_authorization.is_some(),
            self.invalid_json,
            self.huge_body.is_some(),
            self.merge.is_some(),
            self.odd.is_some(),
        ]
    }

    fn deliveries(&self) -> [bool; 5] {
        [
            self.close_before,
            self.close_after,
            self.close_mid_body.is_some(),
            self.hang_after.is_some(),
            self.drip.is_some(),
        ]
    }

    /// Returns whether anything but the timing differs from the real response.
    pub fn changes_response(&self) -> bool {
        self.replaces_response()
            || self.merge.is_some()
            || self.odd.is_some()
            || !self.headers.is_empty()
            || self.content_type.is_some()
            || self.compress.is_some()
            || self.deliveries().contains(&true)
    }

    /// Returns whether the fault makes up the response, so that the real one is not needed.
    fn replaces_response(&self) -> bool {
        let made_up = self.bodies().contains(&true) || self.status.is_some();
        made_up && self.merge.is_none() && self.odd.is_none_or(Oddity::replaces_response)
    }

    /// Returns whether the real handler has to run.
    pub fn needs_handler(&self) -> bool {
        self.apply || self.close_after || !(self.replaces_response() || self.close_before)
    }

    /// Returns the steps to play on the socket. `real` is the handler's response if it ran; `authorization` is the
    /// request's header, for echoes.
    pub fn script(&self, real: Option<RawResponse>, authorization: &str) -> Script {
        if self.close_before || self.close_after {
            return Script::default();
        }
        let mut response = match (self.odd, real) {
            (Some(odd), real) => odd.apply(real.filter(|_| !self.replaces_response())),
            (None, Some(real)) if !self.replaces_response() => real.merged(self.merge.as_ref()),
            (None, _) => self.made_up(authorization),
        };
        if let Some(status) = self.status {
            response.status = status;
        }
        let content_type = self.content_type.iter().map(|value| ("content-type".to_owned(), value.clone()));
        response.set_headers(content_type.collect());
        response.set_headers(
            self.headers.iter().map(|(name, value)| (name.clone(), expand(value, authorization))).collect(),
        );
        if let Some(coding) = self.compress {
            response = response.compressed(coding);
        }
        self.deliver(&response)
    }

    fn deliver(&self, response: &RawResponse) -> Script {
        if let Some(bytes) = self.close_mid_body.and_then(|cut| cut.offset(response.body.len())) {
            return Script::cut(response, bytes);
        }
        match (self.hang_after, self.drip, &self.huge_body) {
            (Some(bytes), _, _) => Script::hang(response, bytes),
            (_, Some(pause_ms), _) => Script::drip(response, Duration::from_millis(pause_ms)),
            (_, _, Some(huge)) => Script::huge(response, huge.bytes, huge.json),
            _ => Script::whole(response),
        }
    }

    fn made_up(&self, authorization: &str) -> RawResponse {
        if let Some(redirect) = &self.redirect {
            let location = ("location".to_owned(), expand(&redirect.location, authorization));
            return RawResponse { status: redirect.status, headers: vec![location], body: Vec::new() };
        }
        if let Some(echo) = &self.echo_authorization {
            let value = echo.encoding.encode(authorization);
            return match echo.r#in {
                EchoTarget::Body => RawResponse::json(format!(r#"{{"detail":"{value}"}}"#)),
                EchoTarget::Header => {
                    let mut response = RawResponse::json(r#"{"detail":"echo"}"#.to_owned());
                    response.headers.push((echo.header.clone(), value));
                    response
                }
            };
        }
        if self.invalid_json {
            return RawResponse::json(r#"{"job_id":"#.to_owned());
        }
        match (&self.body, self.status) {
            (Some(body), _) => RawResponse::json(expand(body, authorization)),
            (None, Some(400..)) => RawResponse::json(INJECTED_ERROR.to_owned()),
            (None, _) => RawResponse::json(String::new()),
        }
    }
}

/// The body of an error for a fault that sets only a status.
const INJECTED_ERROR: &str = r#"{"error":{"type":"api_error","message":"An injected fault.","code":"INJECTED_FAULT"}}"#;
