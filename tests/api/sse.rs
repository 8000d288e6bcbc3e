//! A reader of server-sent events over a bare socket. Dropping it disconnects, like closing a browser tab.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::documented;
use crate::http;

/// An open stream.
pub struct Sse {
    reader: BufReader<TcpStream>,
    pub head: String,
    /// Received text that is not parsed yet.
    text: String,
}

/// One event; a comment has only `comment`.
#[derive(Debug, Default)]
pub struct Event {
    pub event: String,
    pub id: String,
    pub data: String,
    pub comment: String,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Sse {
    /// Opens a stream and reads the head of the response.
    pub fn open(address: &str, target: &str, token: &str, headers: &[(&str, &str)]) -> Self {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(75))).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "closed in the head: {head}");
        }
        let answer = http::parse(head.as_bytes()).expect("an answer");
        documented::check("GET", target, &answer);
        Self { reader, head, text: String::new() }
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the next chunk of the body, or `None` when it ends or the connection closes.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let length = usize::from_str_radix(line.trim(), 16).ok().filter(|length| *length > 0)?;
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        Some(chunk)
    }

    /// Returns whether the connection is closed, or has more to read.
    pub fn is_over(&self) -> bool {
        let socket = self.reader.get_ref();
        socket.set_nonblocking(true).unwrap();
        let seen = socket.peek(&mut [0]);
        socket.set_nonblocking(false).unwrap();
        seen.is_ok()
    }

    /// Returns the next byte of the connection, including chunk framing.
    pub fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    /// Returns the next event or comment, or `None` when the stream has ended.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (parse(event), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let chunk = self.chunk()?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Returns the next event, skipping comments.
    pub fn next_event(&mut self) -> Option<Event> {
        std::iter::from_fn(|| self.next()).find(|event| event.comment.is_empty())
    }

    /// Returns the text of the rest of the stream.
    pub fn rest(&mut self) -> String {
        while let Some(chunk) = self.chunk() {
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
        std::mem::take(&mut self.text)
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => event.event = value.to_owned(),
            Some(("id", value)) => event.id = value.to_owned(),
            Some(("data", value)) => event.data.push_str(value),
            Some(("", value)) => event.comment = value.to_owned(),
            _ => panic!("not a line of an event: {line}"),
        }
    }
    event
}
