//! What a fault writes to the bare socket, step by step.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw_response::RawResponse;

/// How long a hanging answer is held open.
const HANG: Duration = Duration::from_secs(120);
/// The filler of a huge body is written in pieces of this.
const FILL_CHUNK: usize = 64 * 1024;

/// Steps on a socket that is closed after the last one. Empty: closed at once, without a byte. No `Debug`: an echo
/// holds a key.
#[derive(Default)]
pub struct Script {
    steps: Vec<Step>,
}

enum Step {
    Write(Vec<u8>),
    /// So many times the letter A.
    Fill(u64),
    Drip(Vec<u8>, Duration),
    /// Nothing, until the peer closes or [`HANG`] is over.
    Hang,
}

impl Script {
    /// The whole answer.
    pub fn whole(answer: &RawResponse) -> Self {
        let mut bytes = head(answer, answer.body.len() as u64);
        bytes.extend(&answer.body);
        Self { steps: vec![Step::Write(bytes)] }
    }

    /// The head, `bytes` of the body, and the end, although the head promised more.
    pub fn cut(answer: &RawResponse, bytes: usize) -> Self {
        Self { steps: vec![Step::Write(partial(answer, bytes))] }
    }

    /// The head, `bytes` of the body, and silence, although the head promised more.
    pub fn hang(answer: &RawResponse, bytes: usize) -> Self {
        Self { steps: vec![Step::Write(partial(answer, bytes)), Step::Hang] }
    }

    /// The head, then the body a byte at a time.
    pub fn drip(answer: &RawResponse, pause: Duration) -> Self {
        let head = head(answer, answer.body.len() as u64);
        Self { steps: vec![Step::Write(head), Step::Drip(answer.body.clone(), pause)] }
    }

    /// A body of `bytes` letters A, or a JSON object that has them as a text.
    pub fn huge(answer: &RawResponse, bytes: u64, json: bool) -> Self {
        let (before, after): (&[u8], &[u8]) = if json { (br#"{"padding":""#, br#""}"#) } else { (b"", b"") };
        let length = bytes + (before.len() + after.len()) as u64;
        let mut start = head(answer, length);
        start.extend(before);
        Self { steps: vec![Step::Write(start), Step::Fill(bytes), Step::Write(after.to_vec())] }
    }

    /// Plays the steps and closes the socket. A peer that closes first ends it.
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
        // The peer may be gone: then it is closed already.
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
    // Either way the socket is closed next.
    let _ = tokio::time::timeout(HANG, peer_closes).await;
    Ok(())
}

/// The head, promising more than the `bytes` of the body that follow; spaces, harmless in JSON, fill a short body.
fn partial(answer: &RawResponse, bytes: usize) -> Vec<u8> {
    let mut body = answer.body.clone();
    body.resize(bytes, b' ');
    let promised = answer.body.len().max(bytes + 1);
    let mut written = head(answer, promised as u64);
    written.extend(body);
    written
}

/// Status line and headers. `Content-Length` unless the answer sets its own framing, or has no body by its status.
fn head(answer: &RawResponse, length: u64) -> Vec<u8> {
    let reason = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Unknown"));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed = ["content-length", "transfer-encoding"];
    let sets_framing =
        answer.headers.iter().any(|(name, _)| framed.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let bodiless = length == 0 && matches!(answer.status, 100..=199 | 204 | 304);
    if !sets_framing && !bodiless {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    head.into_bytes()
}
