//! A response as plain data, so that a fault can change and cut it.

use axum::body::to_bytes;
use axum::http::header;
use axum::response::Response;
use serde_json::{Map, Value};

use super::content_coding::ContentCoding;

/// Maximum length of a handler's body, in bytes. Pictures are the largest and stay below it.
const MAX_HANDLER_BYTES: usize = 16 * 1024 * 1024;

/// Status, headers and body.
pub struct RawResponse {
    /// 100–599.
    pub status: u16,
    /// Headers in the order in which they are written. They contain a `Content-Length` only if a test sets a wrong one.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// Returns a 200 with `application/json`. `body` need not be JSON.
    pub fn json(body: String) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: 200, headers, body: body.into_bytes() }
    }

    /// Reads a handler's response with its whole body.
    pub async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
        let kept = parts.headers.iter().filter(|(name, _)| !framing.contains(name));
        let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = kept.map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = to_bytes(body, MAX_HANDLER_BYTES).await.unwrap_or_default().to_vec();
        Self { status: parts.status.as_u16(), headers, body }
    }

    /// Sets these members of the JSON object in the body. Changes nothing if the body is not an object.
    pub fn merged(mut self, members: Option<&Map<String, Value>>) -> Self {
        if let (Some(members), Ok(Value::Object(mut object))) = (members, serde_json::from_slice(&self.body)) {
            object.extend(members.clone());
            self.body = Value::Object(object).to_string().into_bytes();
        }
        self
    }

    /// Compresses the body and sets `Content-Encoding`.
    pub fn compressed(mut self, coding: ContentCoding) -> Self {
        self.body = coding.encode(&self.body);
        self.set_headers(vec![("content-encoding".to_owned(), coding.as_str().to_owned())]);
        self
    }

    /// Sets headers. They replace the earlier headers of the same name; several new ones of one name are all kept.
    pub fn set_headers(&mut self, headers: Vec<(String, String)>) {
        let replaced = |name: &str| headers.iter().any(|(new, _)| new.eq_ignore_ascii_case(name));
        self.headers.retain(|(name, _)| !replaced(name));
        self.headers.extend(headers);
    }
}
