//! Oddities in vendor responses that a reader must tolerate. Each one occurs on real servers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::raw_response::RawResponse;

/// Length of `logs` in [`Oddity::LongLogs`]: above 1 MiB, below 4 MiB.
const LONG_LOGS_BYTES: usize = 1_153_434;
/// Nesting of `logs` in [`Oddity::Deep`].
const DEEP_LEVELS: usize = 100_000;

/// An oddity, as the control API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// `"metrics":{"predict_time":NaN}`.
    NanTime,
    /// A byte order mark in front of the body.
    ByteOrderMark,
    /// `"logs"` that end in half of a surrogate pair.
    LoneSurrogate,
    /// `"logs"` with bytes that are not UTF-8.
    NotUtf8,
    /// Every member twice: `null` first, then the real value.
    RepeatedMembers,
    /// `"logs"` of 100,000 nested lists.
    Deep,
    /// `"logs"` of 1.1 MB.
    LongLogs,
    /// `"logs"` of 5 MB, above the size limit.
    TooLongLogs,
    /// `"credits_used":7.300000000000001`.
    LongCost,
    /// `"credits_used":" 2.5 "`.
    TextCost,
    /// `"credits_used":-1`.
    NegativeCost,
    /// `"credits_used":"much"`.
    UnreadableCost,
    /// `"credits_used"` twice: 9, then 2.
    TwoCosts,
    /// The id twice, with different values.
    TwoIds,
    /// `completed` for `succeeded`.
    StatusCompleted,
    /// `aborted` for every final status.
    StatusAborted,
    /// `archived` for every status.
    StatusUnknown,
    /// `X-RateLimit-Remaining: 0` and a reset half a minute ahead, in milliseconds.
    ResetInMillis,
    /// 503 with `Retry-After` as a date of long ago.
    RetryAfterDate,
    /// 503 with `Retry-After: 1.5`.
    RetryAfterFraction,
    /// 200 with only the error envelope.
    #[serde(rename = "error_in_200")]
    ErrorIn200,
    /// 403 with an HTML page, as a firewall sends it.
    FirewallPage,
}

impl Oddity {
    /// Returns whether the oddity replaces the whole response. Other oddities change the real response.
    pub const fn replaces_response(self) -> bool {
        matches!(self, Self::RetryAfterDate | Self::RetryAfterFraction | Self::ErrorIn200 | Self::FirewallPage)
    }

    /// Returns the odd response. `real` is the handler's response, if the oddity needs it.
    pub fn apply(self, real: Option<RawResponse>) -> RawResponse {
        let mut response = real.unwrap_or_else(|| RawResponse::json("{}".to_owned()));
        match self {
            Self::NanTime => response.append_members(br#""metrics":{"predict_time":NaN}"#),
            Self::ByteOrderMark => drop(response.body.splice(0..0, *b"\xef\xbb\xbf")),
            Self::LoneSurrogate => response.append_members(br#""logs":"half of a smile \ud83d""#),
            Self::NotUtf8 => response.append_members(b"\"logs\":\"\xff\xfe\xc3\""),
            Self::RepeatedMembers => response.repeat_members(),
            Self::Deep => {
                let nested = ["[".repeat(DEEP_LEVELS), "]".repeat(DEEP_LEVELS)].concat();
                response.append_members(format!(r#""logs":{nested}"#).as_bytes());
            }
            Self::LongLogs => response.set_member("logs", json!("A".repeat(LONG_LOGS_BYTES))),
            Self::TooLongLogs => response.set_member("logs", json!("A".repeat(5_000_000))),
            Self::LongCost => response.set_member("credits_used", json!(7.300_000_000_000_001)),
            Self::TextCost => response.set_member("credits_used", json!(" 2.5 ")),
            Self::NegativeCost => response.set_member("credits_used", json!(-1)),
            Self::UnreadableCost => response.set_member("credits_used", json!("much")),
            Self::TwoCosts => {
                response.set_member("credits_used", json!(9));
                response.append_members(br#""credits_used":2"#);
            }
            Self::TwoIds => response.append_members(br#""job_id":"pred_of_another","id":1"#),
            Self::StatusCompleted => response.change_status(|status| (status == "succeeded").then_some("completed")),
            Self::StatusAborted => response
                .change_status(|status| ["succeeded", "failed", "canceled"].contains(&status).then_some("aborted")),
            Self::StatusUnknown => response.change_status(|_| Some("archived")),
            Self::ResetInMillis => {
                let reset = now_millis().saturating_add(30_000).to_string();
                let header = |name: &str, value: String| (name.to_owned(), value);
                response.set_headers(vec![
                    header("x-ratelimit-remaining", "0".to_owned()),
                    header("x-ratelimit-reset", reset),
                ]);
            }
            Self::RetryAfterDate => return unavailable("Wed, 21 Oct 2015 07:28:00 GMT"),
            Self::RetryAfterFraction => return unavailable("1.5"),
            Self::ErrorIn200 => {
                let error = json!({"type": "api_error", "message": "An injected fault.", "code": "INJECTED_FAULT"});
                return RawResponse::json(json!({ "error": error }).to_string());
            }
            Self::FirewallPage => return page(403, "<h1>Request blocked</h1>"),
        }
        response
    }
}

fn unavailable(retry_after: &str) -> RawResponse {
    let mut response = page(503, "<h1>Service unavailable</h1>");
    response.headers.push(("retry-after".to_owned(), retry_after.to_owned()));
    response
}

fn page(status: u16, html: &str) -> RawResponse {
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    RawResponse { status, headers, body: html.as_bytes().to_vec() }
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Changes to a JSON object in a body. They have no effect if the body is not an object.
impl RawResponse {
    fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    fn set_member(&mut self, name: &str, value: Value) {
        if let Some(mut object) = self.object() {
            object.insert(name.to_owned(), value);
            self.body = Value::Object(object).to_string().into_bytes();
        }
    }

    fn change_status(&mut self, change: impl FnOnce(&str) -> Option<&'static str>) {
        let status = self.object().and_then(|object| object.get("status")?.as_str().and_then(change));
        if let Some(status) = status {
            self.set_member("status", json!(status));
        }
    }

    /// Appends members verbatim after the last member.
    fn append_members(&mut self, members: &[u8]) {
        if self.object().is_some_and(|object| !object.is_empty()) && self.body.last() == Some(&b'}') {
            self.body.pop();
            self.body.push(b',');
            self.body.extend(members);
            self.body.push(b'}');
        }
    }

    /// Writes every member twice: first with null, then with its value. An id has its value both times.
    fn repeat_members(&mut self) {
        if let Some(object) = self.object() {
            let is_id = |name: &str| ["job_id", "id"].contains(&name);
            let member = |name: &str, value: &Value| format!("{}:{value}", json!(name));
            let first = object.iter().map(|(name, value)| member(name, if is_id(name) { value } else { &Value::Null }));
            let again = object.iter().map(|(name, value)| member(name, value));
            self.body = format!("{{{}}}", first.chain(again).collect::<Vec<_>>().join(",")).into_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(oddity: Oddity) -> String {
        let real = RawResponse::json(r#"{"job_id":"a","status":"succeeded"}"#.to_owned());
        String::from_utf8_lossy(&oddity.apply(Some(real)).body).into_owned()
    }

    #[test]
    fn each_oddity_is_in_the_text() {
        assert_eq!(text(Oddity::NanTime), r#"{"job_id":"a","status":"succeeded","metrics":{"predict_time":NaN}}"#);
        assert!(text(Oddity::ByteOrderMark).starts_with('\u{feff}'));
        assert!(text(Oddity::LoneSurrogate).ends_with(r#"\ud83d"}"#));
        assert!(text(Oddity::NotUtf8).contains('\u{fffd}'));
        let twice = r#"{"job_id":"a","status":null,"job_id":"a","status":"succeeded"}"#;
        assert_eq!(text(Oddity::RepeatedMembers), twice);
        assert!(text(Oddity::Deep).ends_with("]]}"));
        assert!((1_100_000..1_200_000).contains(&text(Oddity::LongLogs).len()));
        assert!(text(Oddity::TooLongLogs).len() > 4 * 1024 * 1024);
        assert!(text(Oddity::LongCost).contains("7.300000000000001"));
        assert!(text(Oddity::TwoCosts).contains(r#""credits_used":9"#));
        assert!(text(Oddity::TwoCosts).ends_with(r#""credits_used":2}"#));
        assert!(text(Oddity::TwoIds).contains(r#""job_id":"pred_of_another""#));
        assert!(text(Oddity::StatusCompleted).contains("completed"));
        assert!(text(Oddity::StatusAborted).contains("aborted"));
        assert!(text(Oddity::StatusUnknown).contains("archived"));
    }

    #[test]
    fn an_oddity_in_the_head_is_in_the_head() {
        let head = |oddity: Oddity, name: &str| {
            let response = oddity.apply(Some(RawResponse::json("{}".to_owned())));
            let header = response.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            (response.status, header.unwrap_or_default())
        };
        assert_eq!(head(Oddity::RetryAfterFraction, "retry-after"), (503, "1.5".to_owned()));
        assert_eq!(head(Oddity::RetryAfterDate, "retry-after").0, 503);
        assert_eq!(head(Oddity::FirewallPage, "content-type"), (403, "text/html".to_owned()));
        assert_eq!(head(Oddity::ErrorIn200, "content-type").0, 200);
        assert_eq!(head(Oddity::ResetInMillis, "x-ratelimit-reset").1.len(), 13);
    }
}
