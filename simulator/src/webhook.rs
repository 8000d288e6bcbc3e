//! Reports the end of a prediction to the URL that its create named.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::app::App;
use crate::clock::now_ms;
use crate::cors::is_loopback_host;
use crate::prediction::Prediction;
use crate::record::Delivery;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a webhook URL. Only `http` to this machine: the simulator calls nobody else.
pub fn parse_url(text: &str) -> Option<Uri> {
    let uri = text.parse::<Uri>().ok()?;
    (uri.scheme_str() == Some("http") && is_loopback_host(&uri)).then_some(uri)
}

/// POSTs the prediction as the API shows it, once, and records how that went. The vendor documents neither
/// payload nor signature nor retries.
pub async fn report(app: Arc<App>, url: String, prediction: Prediction) {
    let body = app.render(&prediction).to_string();
    let status = match parse_url(&url) {
        Some(uri) => tokio::time::timeout(TIMEOUT, post(&uri, body)).await.ok().flatten(),
        None => None,
    };
    let status = status.map(|status| status.as_u16());
    app.world().record.webhooks.push(Delivery { time_ms: now_ms(), id: prediction.id, url, status });
}

/// The answer's status; `None` if there was no answer.
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
    let answer = async move { sender.send_request(request).await.ok().map(|response| response.status()) };
    let (status, _) = tokio::join!(answer, connection);
    status
}
