//! Posts an ended prediction to the webhook URL of its create request.

use std::time::Duration;

use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::loopback::is_loopback_host;

/// Time-out of one delivery, from connect to response.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Parses a webhook URL. Accepts only `http` on loopback, so that the simulator never calls another machine.
pub fn parse_url(text: &str) -> Option<Uri> {
    let uri = text.parse::<Uri>().ok()?;
    (uri.scheme_str() == Some("http") && is_loopback_host(&uri)).then_some(uri)
}

/// Posts `body` to `url` once. Returns the response's status; `None` without a response, or for a URL that
/// [`parse_url`] refuses.
pub async fn deliver(url: &str, body: String) -> Option<StatusCode> {
    let uri = parse_url(url)?;
    tokio::time::timeout(TIMEOUT, post(&uri, body)).await.ok().flatten()
}

async fn post(uri: &Uri, body: String) -> Option<StatusCode> {
    let authority = uri.authority()?;
    let host = authority.host().trim_matches(['[', ']']);
    let socket = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.ok()?;
    let request = Request::post(uri.path_and_query()?.as_str())
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .ok()?;
    let response = async move { sender.send_request(request).await.ok().map(|response| response.status()) };
    let (status, _) = tokio::join!(response, connection);
    status
}
