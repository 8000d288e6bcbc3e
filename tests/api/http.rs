//! A small HTTP/1.1 client over a bare socket. It sends exactly the bytes of a test and normalizes nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::documented;

/// A request as it is written to the socket.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response as it is read from the socket.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        let request = self.header("Content-Type", "application/json");
        Self { body: body.to_string().into_bytes(), ..request }
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends the request on a new connection and reads the whole response.
    pub fn send(&self, address: &str) -> Response {
        self.try_send(address).unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    pub fn try_send(&self, address: &str) -> std::io::Result<Response> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        // A server may respond and close before it has read the whole request; that response still counts.
        let written = socket.write_all(&self.head(address)).and_then(|()| socket.write_all(&self.body));
        let mut bytes = Vec::new();
        match (socket.read_to_end(&mut bytes), written) {
            (Ok(_), _) => {}
            (Err(error), _) if bytes.is_empty() => return Err(error),
            (Err(_), _) => {}
        }
        let answer = parse(&bytes).ok_or_else(|| std::io::Error::other("not an HTTP answer"))?;
        documented::check(&self.method, &self.target, &answer);
        Ok(answer)
    }

    /// Sends the request in two halves of its body, with a pause of `delay` between them, and reads the response.
    pub fn send_slowly(&self, address: &str, delay: Duration) -> Response {
        let mut socket = TcpStream::connect(address).unwrap();
        let (first, rest) = self.body.split_at(self.body.len() / 2);
        socket.write_all(&self.head(address)).unwrap();
        socket.write_all(first).unwrap();
        std::thread::sleep(delay);
        socket.write_all(rest).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        let answer = parse(&bytes).expect("an HTTP answer");
        documented::check(&self.method, &self.target, &answer);
        answer
    }

    /// Sends the request and disconnects once `wait` returns, without reading a response.
    pub fn send_and_leave(&self, address: &str, wait: impl FnOnce()) {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&self.head(address)).unwrap();
        socket.write_all(&self.body).unwrap();
        wait();
    }

    /// Sends the request and resets the connection once `wait` returns, as a phone that loses its network does.
    pub fn send_and_reset(&self, address: &str, wait: impl FnOnce()) {
        let mut socket = TcpStream::connect(address).unwrap();
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        socket.write_all(&self.head(address)).unwrap();
        socket.write_all(&self.body).unwrap();
        wait();
    }

    fn head(&self, address: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if !has("host") {
            add("Host", address);
        }
        if !has("connection") {
            add("Connection", "close");
        }
        if !has("content-length") && (!self.body.is_empty() || self.method == "POST") {
            add("Content-Length", &self.body.len().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON ({}): {}", self.status, self.text()))
    }

    /// Returns the status, `type` and `code` of an error response.
    pub fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("type"), text("code"))
    }

    /// Returns headers and body as text, for scans.
    pub fn everything(&self) -> String {
        format!("{:?}\n{}", self.headers, self.text())
    }
}

/// Parses the bytes of a response.
pub fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.into(), value.trim().into())).collect();
    let chunked =
        headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let rest = &bytes[end + 4..];
    if (100..200).contains(&status) {
        // An interim response, such as to `Expect: 100-continue`.
        return parse(rest);
    }
    let body = if chunked { dechunk(rest) } else { rest.to_vec() };
    Some(Response { status, headers, body })
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&bytes[..line]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let start = line + 2;
        let Some(chunk) = bytes.get(start..start + size) else { break };
        body.extend_from_slice(chunk);
        bytes = bytes.get(start + size + 2..).unwrap_or_default();
    }
    body
}
