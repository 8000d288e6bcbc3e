//! Reads the vendor's responses. Two shapes of a prediction become one (vendor-api 3).

use serde_json::{Map, Value};

use crate::constants::{VENDOR_BODY_MAX_DEPTH, VENDOR_ID_MAX_BYTES};
use crate::parse::json::parse_strict_object;
use crate::types::credits::MicroCredits;

/// The vendor's reply to a request: a response, a time-out, or a broken connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorReply {
    /// A complete response.
    Response(VendorResponse),
    /// No complete response arrived in time.
    TimedOut,
    /// The connection failed or broke.
    Broken,
}

/// A complete response of the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorResponse {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, as sent.
    pub retry_after: Option<String>,
    /// `X-RateLimit-Remaining`, as sent.
    pub rate_limit_remaining: Option<String>,
    /// `X-RateLimit-Reset`, as sent.
    pub rate_limit_reset: Option<String>,
    /// The body. `None` if it is larger than [`crate::constants::VENDOR_BODY_MAX_BYTES`].
    pub body: Option<Vec<u8>>,
}

/// A prediction as the vendor reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorPrediction {
    /// The vendor's id: `job_id`, else `id`, as text.
    pub id: Option<String>,
    /// The vendor's status.
    pub progress: Progress,
    /// Output URLs as sent. [`super::output::OutputRule`] decides which reach the client.
    pub output: Vec<String>,
    /// `credits_used`.
    pub credits_used: Option<MicroCredits>,
    /// `metrics.predict_time` in seconds, if it is finite and not negative.
    pub predict_time: Option<f64>,
}

/// The vendor's status words, reduced to four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// In progress, or a word that is not known.
    Running,
    /// `succeeded`.
    Succeeded,
    /// `failed`, `error`, `expired`.
    Failed,
    /// `canceled`, `cancelled`.
    Canceled,
}

impl Progress {
    /// Returns whether this status is final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Canceled => true,
        }
    }
}

/// Reads a prediction in either of the vendor's two shapes (vendor-api 3). Returns `None` if the body is not one JSON
/// object with an id or a status.
#[must_use]
pub fn read_prediction(body: &[u8]) -> Option<VendorPrediction> {
    let object = parse_strict_object(body, VENDOR_BODY_MAX_DEPTH).ok()?;
    let prediction = VendorPrediction {
        id: read_vendor_id(&object),
        progress: object.get("status").and_then(Value::as_str).map_or(Progress::Running, read_progress),
        output: read_outputs(&object),
        credits_used: object.get("credits_used").and_then(read_credits),
        predict_time: object
            .get("metrics")
            .and_then(|metrics| metrics.get("predict_time"))
            .and_then(Value::as_f64)
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
    };
    (prediction.id.is_some() || object.contains_key("status")).then_some(prediction)
}

/// Reads the id of an uploaded file: `file_id`, else `id`, as text. The vendor documents neither.
#[must_use]
pub fn read_file_id(body: &[u8]) -> Option<String> {
    read_first_id(&parse_strict_object(body, VENDOR_BODY_MAX_DEPTH).ok()?, ["file_id", "id"])
}

/// Returns whether a body is the vendor's error envelope: an object `error` with a `message`, `code` or `type` that is
/// a string (vendor-api 4).
#[must_use]
pub fn is_error_envelope(body: &[u8]) -> bool {
    parse_strict_object(body, VENDOR_BODY_MAX_DEPTH).is_ok_and(|object| {
        let error = object.get("error").and_then(Value::as_object);
        error.is_some_and(|error| {
            ["message", "code", "type"].iter().any(|name| error.get(*name).is_some_and(Value::is_string))
        })
    })
}

fn read_vendor_id(object: &Map<String, Value>) -> Option<String> {
    read_first_id(object, ["job_id", "id"])
}

fn read_first_id(object: &Map<String, Value>, names: [&str; 2]) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    // A member that is not usable does not hide the other one.
    names.iter().find_map(|name| object.get(*name).and_then(text).filter(|id| is_usable_id(id)))
}

fn is_usable_id(id: &str) -> bool {
    // A segment `.` or `..` would change the path, percent-encoded or not.
    let is_path = id == "." || id == "..";
    !is_path && (1..=VENDOR_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn read_progress(word: &str) -> Progress {
    match word.to_ascii_lowercase().as_str() {
        "succeeded" => Progress::Succeeded,
        "failed" | "error" | "expired" => Progress::Failed,
        "canceled" | "cancelled" => Progress::Canceled,
        _ => Progress::Running,
    }
}

fn read_outputs(object: &Map<String, Value>) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let first = object.get("output").map(texts).unwrap_or_default();
    if !first.is_empty() {
        return first;
    }
    object.get("output_data").and_then(|data| data.get("urls")).map(texts).unwrap_or_default()
}

fn read_credits(value: &Value) -> Option<MicroCredits> {
    match value {
        Value::String(text) => MicroCredits::parse(text),
        // Parsing the digits of a JSON number keeps 2.5 exact.
        Value::Number(number) => MicroCredits::parse(&number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<VendorPrediction> {
        read_prediction(text.as_bytes())
    }

    #[test]
    fn the_rest_shape_is_read() {
        let text = r#"{"job_id":"pred_abc123xyz","status":"succeeded","model":"flux-kontext-max","created_at":"2026-01-15T10:30:00.123Z",
            "completed_at":"2026-01-15T10:31:00Z","output":["https://cdn.example/a.png"],"metrics":{"predict_time":45.2},
            "urls":{"get":"https://elsewhere.example/v1/status/1"}}"#;
        assert_eq!(
            read(text).unwrap(),
            VendorPrediction {
                id: Some("pred_abc123xyz".into()),
                progress: Progress::Succeeded,
                output: vec!["https://cdn.example/a.png".into()],
                credits_used: None,
                predict_time: Some(45.2),
            }
        );
    }

    #[test]
    fn the_flux_shape_is_read() {
        let text = r#"{"id":789,"user_id":"abc123","model":"black-forest-labs","model_version":"flux-kontext-max",
            "input_parameters":{},"output_data":{"urls":["https://cdn.example/a.png"]},"status":"processing","credits_used":"2.5"}"#;
        let prediction = read(text).unwrap();
        assert_eq!(prediction.id.as_deref(), Some("789"));
        assert_eq!(prediction.progress, Progress::Running);
        assert_eq!(prediction.output, ["https://cdn.example/a.png"]);
        assert_eq!(prediction.credits_used, MicroCredits::parse("2.5"));
    }

    #[test]
    fn status_words_are_folded() {
        let cases = [
            ("starting", Progress::Running),
            ("queued", Progress::Running),
            ("pending", Progress::Running),
            ("running", Progress::Running),
            ("anything", Progress::Running),
            ("SUCCEEDED", Progress::Succeeded),
            ("failed", Progress::Failed),
            ("error", Progress::Failed),
            ("expired", Progress::Failed),
            ("canceled", Progress::Canceled),
            ("cancelled", Progress::Canceled),
        ];
        for (word, progress) in cases {
            assert_eq!(read(&format!(r#"{{"status":"{word}"}}"#)).unwrap().progress, progress, "{word}");
        }
    }

    #[test]
    fn what_is_no_prediction_is_none() {
        for bad in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            r#"{"detail":"x"}"#,
            r#"{"id":{}}"#,
            r#"{"id":1,"id":2}"#,
            r#"{"id":-1}"#,
            r#"{"id":1.5}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_id_that_could_break_out_of_a_url_or_a_row_is_no_id() {
        let long = "a".repeat(129);
        for bad in ["", "a b", "a\\n", "é", &long] {
            assert_eq!(read(&format!(r#"{{"id":"{bad}","status":"x"}}"#)).unwrap().id, None, "{bad}");
        }
    }

    #[test]
    fn a_job_id_that_is_none_does_not_hide_the_id() {
        for bad in ["\"\"", "\"a b\"", "\"..\"", "null", "{}", "-1"] {
            let text = format!(r#"{{"job_id":{bad},"id":789}}"#);
            assert_eq!(read(&text).unwrap().id.as_deref(), Some("789"), "{text}");
        }
        assert_eq!(read(r#"{"job_id":"a","id":"b"}"#).unwrap().id.as_deref(), Some("a"));
        assert_eq!(read_file_id(br#"{"file_id":"","id":"f"}"#).as_deref(), Some("f"));
    }

    #[test]
    fn a_files_id_is_read_from_either_name() {
        assert_eq!(read_file_id(br#"{"file_id":"file_1","id":2}"#).as_deref(), Some("file_1"));
        assert_eq!(read_file_id(br#"{"id":2}"#).as_deref(), Some("2"));
        assert_eq!(read_file_id(br#"{"id":"a b"}"#), None);
        assert_eq!(read_file_id(b"<html>"), None);
    }

    #[test]
    fn odd_money_and_times_are_left_out() {
        let text = r#"{"id":1,"credits_used":-5,"metrics":{"predict_time":-1},"output":[1,null]}"#;
        let prediction = read(text).unwrap();
        assert_eq!((prediction.credits_used, prediction.predict_time), (None, None));
        assert!(prediction.output.is_empty());
        assert_eq!(read(r#"{"id":1,"credits_used":2.5}"#).unwrap().credits_used, MicroCredits::parse("2.5"));
    }

    #[test]
    fn both_error_envelopes_are_known() {
        assert!(is_error_envelope(br#"{"error":{"type":"api_error","message":"x","code":"Y"}}"#));
        assert!(is_error_envelope(br#"{"error":{"code":"invalid_request","message":"x","details":{"param":"p"}}}"#));
        for bad in ["", "{}", "<html>", r#"{"error":"x"}"#, r#"{"detail":"x"}"#, r#"{"error":{}}"#] {
            assert!(!is_error_envelope(bad.as_bytes()), "{bad}");
        }
    }
}
