//! A raw HTTP/1.1 client: one request per connection. It returns responses as received, broken ones included.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Time-out of a whole response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A response, or the part of it that arrived.
#[derive(Debug)]
pub struct Reply {
    /// The status; 0 if no complete head arrived.
    pub status: u16,
    /// Headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
    /// Every byte that arrived.
    pub raw: Vec<u8>,
}

impl Reply {
    fn parse(raw: Vec<u8>) -> Self {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else { return Self { status: 0, headers: Vec::new(), body: Vec::new(), raw } };
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: Vec<_> = head.lines().skip(1).filter_map(pair).collect();
        let mut reply = Self { status, headers, body: raw[end + 4..].to_vec(), raw };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunk(&reply.body);
        }
        reply
    }

    /// Returns the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header as a number.
    pub fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap().parse().unwrap()
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

/// Sends a request and reads the response until the peer closes.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut socket = open(address, method, path, headers, body).await;
    let mut raw = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, socket.read_to_end(&mut raw)).await;
    // A connection reset after the last byte counts as a close.
    let _ = read.expect("the response does not end");
    Reply::parse(raw)
}

/// Sends a request. The test reads the response from the socket.
pub async fn open(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
    socket
}

fn unchunk(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = framed.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&framed[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend(&framed[end + 2..end + 2 + length]);
        framed = &framed[end + 4 + length..];
    }
    body
}
