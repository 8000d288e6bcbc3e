//! Vendor requests: the URL and the body are made from validated parts (vendor-api 2 and 3).

use std::fmt::Write;

use serde_json::json;

use crate::types::model::ModelId;

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
/// own URL, never a client's. `input` is JSON, as it is stored: it is not parsed again, because that takes a multiple of
/// its length in memory.
#[must_use]
pub fn create(base: &str, model: &ModelId, image_count: u32, input: &str, webhook: Option<&str>) -> VendorRequest {
    let mut body = format!(r#"{{"input":{input}"#);
    // Writing to a String cannot fail.
    if image_count > 1 {
        let _ = write!(body, r#","image_count":{image_count}"#);
    }
    if let Some(webhook) = webhook {
        let _ = write!(body, r#","webhook":{}"#, json!(webhook));
    }
    body.push('}');
    VendorRequest { method: "POST", url: format!("{base}/{model}/predictions"), body: Some(body) }
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

/// Returns `GET {base}/account`: it costs nothing, and says whether the vendor takes a key.
#[must_use]
pub fn account(base: &str) -> VendorRequest {
    VendorRequest { method: "GET", url: format!("{base}/account"), body: None }
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
    use serde_json::Value;

    #[test]
    fn a_create_holds_the_input_and_nothing_else() {
        let model = ModelId::parse("acme/model-x").unwrap();
        let create = |base, count, webhook| create(base, &model, count, r#"{"prompt":"hi"}"#, webhook);
        let request = create("https://vendor.example/v1", 1, None);
        assert_eq!(
            (request.method, request.url.as_str()),
            ("POST", "https://vendor.example/v1/acme/model-x/predictions")
        );
        let body = |count| serde_json::from_str::<Value>(&create("", count, None).body.unwrap()).unwrap();
        assert_eq!(body(1), json!({"input": {"prompt": "hi"}}));
        assert_eq!(body(2), json!({"input": {"prompt": "hi"}, "image_count": 2}));
        let hooked = create("", 1, Some("https://us.example/hooks/x")).body.unwrap();
        assert_eq!(hooked, r#"{"input":{"prompt":"hi"},"webhook":"https://us.example/hooks/x"}"#);
    }

    #[test]
    fn an_id_stays_one_segment_whatever_it_holds() {
        assert_eq!(status("b", "pred_abc-1").url, "b/predictions/pred_abc-1");
        assert_eq!(status("b", "../account?x#y").url, "b/predictions/%2E%2E%2Faccount%3Fx%23y");
        assert_eq!(cancel("b", "789").url, "b/predictions/789/cancel");
    }
}
