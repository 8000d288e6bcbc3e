//! The bytes, pauses and close that a fault plays on the bare socket.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw_response::RawResponse;

/// How long a hanging response keeps its connection open.
const HANG: Duration = Duration::from_secs(120);
/// Bytes of a huge body that are written at once.
const FILL_CHUNK: usize = 64 * 1024;

/// Steps to play on a socket, which is closed after the last step. An empty script closes it without writing a byte.
/// Not `Debug`: an echo contains a key.
#[derive(Default)]
pub struct Script {
    steps: Vec<Step>,
}

enum Step {
    Write(Vec<u8>),
    /// Writes the letter A that many times.
    Fill(u64),
    Drip(Vec<u8>, Duration),
    /// Writes nothing until the peer closes the connection or [`HANG`] has passed.
    Hang,
}

impl Script {
    /// Writes the whole response.
    pub fn whole(response: &RawResponse) -> Self {
        let mut bytes = head(response, response.body.len() as u64);
        bytes.extend(&response.body);
        Self { steps: vec![Step::Write(bytes)] }
    }

    /// Writes the head and `bytes` of the body, then closes, although the head announces a longer body.
    pub fn cut(response: &RawResponse, bytes: usize) -> Self {
        Self { steps: vec![Step::Write(partial(response, bytes))] }
    }

    /// Writes the head and `bytes` of the body, then hangs, although the head announces a longer body.
    pub fn hang(response: &RawResponse, bytes: usize) -> Self {
        Self { steps: vec![Step::Write(partial(response, bytes)), Step::Hang] }
    }

    /// Writes the head, then the body byte by byte with a pause after each.
    pub fn drip(response: &RawResponse, pause: Duration) -> Self {
        let head = head(response, response.body.len() as u64);
        Self { steps: vec![Step::Write(head), Step::Drip(response.body.clone(), pause)] }
    }

    /// Writes a body of `bytes` letters A, or a JSON object with them as a string.
    pub fn huge(response: &RawResponse, bytes: u64, json: bool) -> Self {
        let (before, after): (&[u8], &[u8]) = if json { (br#"{"padding":""#, br#""}"#) } else { (b"", b"") };
        let length = bytes + (before.len() + after.len()) as u64;
        let mut start = head(response, length);
        start.extend(before);
        Self { steps: vec![Step::Write(start), Step::Fill(bytes), Step::Write(after.to_vec())] }
    }

    /// Plays the steps and closes the socket. Stops early if the peer closes first.
    pub async fn play(self, mut socket: TcpStream) {
        for step in self.steps {
            let written = match step {
                Step::Write(bytes) => socket.write_all(&bytes).await,
                Step::Fill(bytes) => fill(&mut socket, bytes).await,
                Step::Drip(bytes, pause) => drip(&mut socket, &bytes, pause).await,
                Step::Hang => hang(&mut socket).await,
            };
            if written.is_err() {
                return;
            }
        }
        // An error means that the peer has closed the connection already.
        let _ = socket.shutdown().await;
    }
}

async fn fill(socket: &mut TcpStream, bytes: u64) -> std::io::Result<()> {
    let chunk = vec![b'A'; FILL_CHUNK];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(FILL_CHUNK).min(FILL_CHUNK);
        socket.write_all(chunk.get(..length).unwrap_or_default()).await?;
        left -= length as u64;
    }
    Ok(())
}

async fn drip(socket: &mut TcpStream, bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    for byte in bytes {
        socket.write_u8(*byte).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn hang(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut ignored = [0; 1024];
    let peer_closes = async { while socket.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {} };
    // The socket is closed next, whether the peer closed it or the time is over.
    let _ = tokio::time::timeout(HANG, peer_closes).await;
    Ok(())
}

/// Returns the head and `bytes` of the body. The head announces a longer body. A shorter body is padded with spaces,
/// which are harmless in JSON.
fn partial(response: &RawResponse, bytes: usize) -> Vec<u8> {
    let mut body = response.body.clone();
    body.resize(bytes, b' ');
    let announced = response.body.len().max(bytes + 1);
    let mut written = head(response, announced as u64);
    written.extend(body);
    written
}

/// Returns the status line and headers. Adds `Content-Length`, unless the response sets its own framing or its status
/// excludes a body.
fn head(response: &RawResponse, length: u64) -> Vec<u8> {
    let reason = StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason.unwrap_or("Unknown"));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed = ["content-length", "transfer-encoding"];
    let sets_framing =
        response.headers.iter().any(|(name, _)| framed.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let bodiless = length == 0 && matches!(response.status, 100..=199 | 204 | 304);
    if !sets_framing && !bodiless {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    head.into_bytes()
}
