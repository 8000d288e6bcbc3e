//! Vendor requests: the URL and the body are made from validated parts (vendor-api 2 and 3).

use std::fmt::Write;

use serde_json::json;

use crate::messages::JobSpec;

/// A vendor request without its headers. The platform adds `Authorization` when it sends the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorRequest {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// JSON, for a create.
    pub body: Option<String>,
}

/// `User-Agent` of every vendor request.
pub const USER_AGENT: &str = concat!("valetkey/", env!("CARGO_PKG_VERSION"));

/// Returns `POST {base}/{owner}/{model}/predictions`. `base` has no trailing slash.
///
/// `model` and `provider` are not sent: all of the vendor's samples but one do without them. `webhook` is Valetkey's
/// own URL, never a client's.
#[must_use]
pub fn create(base: &str, spec: &JobSpec, webhook: Option<&str>) -> VendorRequest {
    let mut body = json!({ "input": spec.input });
    if let Some(members) = body.as_object_mut() {
        if spec.image_count > 1 {
            members.insert("image_count".to_owned(), json!(spec.image_count));
        }
        if let Some(webhook) = webhook {
            members.insert("webhook".to_owned(), json!(webhook));
        }
    }
    VendorRequest { method: "POST", url: format!("{base}/{}/predictions", spec.model), body: Some(body.to_string()) }
}

/// Returns `GET {base}/predictions/{id}`.
#[must_use]
pub fn status(base: &str, vendor_id: &str) -> VendorRequest {
    VendorRequest { method: "GET", url: format!("{base}/predictions/{}", encode_segment(vendor_id)), body: None }
}

/// Returns `POST {base}/predictions/{id}/cancel`.
#[must_use]
pub fn cancel(base: &str, vendor_id: &str) -> VendorRequest {
    let url = format!("{base}/predictions/{}/cancel", encode_segment(vendor_id));
    VendorRequest { method: "POST", url, body: None }
}

/// Returns `GET {base}/models`.
#[must_use]
pub fn models(base: &str) -> VendorRequest {
    VendorRequest { method: "GET", url: format!("{base}/models?limit=100"), body: None }
}

/// Returns `GET {base}/predictions/{id}/stream`.
#[must_use]
pub fn stream(base: &str, vendor_id: &str) -> VendorRequest {
    let url = format!("{base}/predictions/{}/stream", encode_segment(vendor_id));
    VendorRequest { method: "GET", url, body: None }
}

/// Returns `POST {base}/files`. The body is the client's: the edge streams it through.
#[must_use]
pub fn upload(base: &str) -> VendorRequest {
    VendorRequest { method: "POST", url: format!("{base}/files"), body: None }
}

/// Returns `DELETE {base}/files/{id}`.
#[must_use]
pub fn delete_file(base: &str, vendor_id: &str) -> VendorRequest {
    VendorRequest { method: "DELETE", url: format!("{base}/files/{}", encode_segment(vendor_id)), body: None }
}

/// Percent-encodes the vendor's id as one path segment. Everything but unreserved characters is encoded (RFC 3986
/// section 2.3), and the dot too, so that no id is `..`.
fn encode_segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::credits::MicroCredits;
    use crate::types::ids::JobId;
    use crate::types::model::ModelId;
    use serde_json::Value;

    fn spec(image_count: u32) -> JobSpec {
        JobSpec {
            job_id: JobId::parse("pred_01jh0000000000000000000000").unwrap(),
            model: ModelId::parse("acme/model-x").unwrap(),
            input: serde_json::from_str(r#"{"prompt":"hi"}"#).unwrap(),
            image_count,
            credits: MicroCredits::ZERO,
            max_seconds: 1,
        }
    }

    #[test]
    fn a_create_holds_the_input_and_nothing_else() {
        let request = create("https://vendor.example/v1", &spec(1), None);
        assert_eq!(
            (request.method, request.url.as_str()),
            ("POST", "https://vendor.example/v1/acme/model-x/predictions")
        );
        let body = |count| serde_json::from_str::<Value>(&create("", &spec(count), None).body.unwrap()).unwrap();
        assert_eq!(body(1), json!({"input": {"prompt": "hi"}}));
        assert_eq!(body(2), json!({"input": {"prompt": "hi"}, "image_count": 2}));
        let hooked = create("", &spec(1), Some("https://us.example/hooks/x")).body.unwrap();
        assert_eq!(hooked, r#"{"input":{"prompt":"hi"},"webhook":"https://us.example/hooks/x"}"#);
    }

    #[test]
    fn an_id_stays_one_segment_whatever_it_holds() {
        assert_eq!(status("b", "pred_abc-1").url, "b/predictions/pred_abc-1");
        assert_eq!(status("b", "../account?x#y").url, "b/predictions/%2E%2E%2Faccount%3Fx%23y");
        assert_eq!(cancel("b", "789").url, "b/predictions/789/cancel");
    }
}
