//! A server of the operator's that gets notifications. It answers each as the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::root;

/// The secret of the tests, as the settings have it.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const PATH: &str = "/hooks?tenant=1";

/// How the receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// 200 and a body without an end.
    Endless,
    /// Nothing, and the connection stays open.
    Silence,
    /// Nothing, and the connection is closed.
    HangUp,
}

/// A notification as it arrived.
#[derive(Clone, Debug)]
pub struct Notified {
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
    pub answer: Answer,
}

impl Notified {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks the signature with Node's own HMAC.
    pub fn assert_signed(&self) {
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        assert!(!id.is_empty() && !id.contains('.'), "{self:?}");
        let sign = "const [secret, text] = process.argv.slice(1); const key = Buffer.from(secret.slice(6), 'base64');\
            process.stdout.write(require('crypto').createHmac('sha256', key).update(text).digest('base64'))";
        let node = root().join("node_modules/.bin/node");
        let signed = format!("{id}.{time}.{}", self.body);
        let output = Command::new(node).args(["-e", sign, "--", SECRET, &signed]).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        assert_eq!(self.header("webhook-signature"), format!("v1,{expected}"));
    }
}

#[derive(Default)]
struct State {
    notified: Vec<Notified>,
    /// The answers to the next notifications. Then `then` is the answer.
    answers: Vec<Answer>,
    then: Option<Answer>,
    /// Connections that get no answer.
    silent: Vec<TcpStream>,
}

/// Returns the URL of a receiver that does not listen any more.
pub fn gone_url() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}{PATH}")
}

/// A receiver. It ends with the process.
pub struct Receiver {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts a receiver that gives these answers, one after the other, and then always `then`.
    pub fn start(answers: &[Answer], then: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State { answers: answers.to_vec(), then: Some(then), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Changes the answer to all further notifications.
    pub fn answer(&self, then: Answer) {
        let mut state = self.state.lock().unwrap();
        state.answers.clear();
        state.then = Some(then);
    }

    pub fn notified(&self) -> Vec<Notified> {
        self.state.lock().unwrap().notified.clone()
    }
}

/// Reads one request and answers it.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|length| *length > 0).map(|_| text.trim_end().to_owned())
    };
    let Some(first) = line() else { return };
    let mut headers = Vec::new();
    while let Some(text) = line().filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once(": ").unwrap();
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut state = state.lock().unwrap();
    let answer = if state.answers.is_empty() { state.then.unwrap() } else { state.answers.remove(0) };
    let target = first.split(' ').nth(1).unwrap().to_owned();
    state.notified.push(Notified { target, headers, body: String::from_utf8(body).unwrap(), answer });
    if answer == Answer::Silence {
        state.silent.push(stream);
        return;
    }
    // An endless body must not keep others from being noted.
    drop(state);
    respond(stream, answer);
}

fn respond(mut stream: TcpStream, answer: Answer) {
    match answer {
        Answer::Status(status) => {
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            );
        }
        Answer::Endless => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 65_536]);
            }
        }
        Answer::Silence | Answer::HangUp => {}
    }
}
