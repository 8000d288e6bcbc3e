//! Hostile requests from `tests/hostile/http.jsonl`, over a bare socket. Each gets one of its expected statuses within
//! 10 s. Only requests that succeed send anything to the vendor or reach a Durable Object.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::harness::{Options, Stack, token, user};
use crate::http::Request;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    category: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: Vec<u16>,
    #[serde(default)]
    absent: Vec<String>,
}

/// The only headers of a request to the vendor.
const OUR_HEADERS: [&str; 7] =
    ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"];

/// Replaces the placeholders `{{good}}`, `{{id_of_another}}`, `{{vendor_id}}` and `{{repeat:X:N}}`.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut text =
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
    while let Some(start) = text.find("{{repeat:") {
        let end = start + text[start..].find("}}").unwrap();
        let (what, count) = text[start + 9..end].rsplit_once(':').unwrap();
        let repeated = what.repeat(count.parse().unwrap());
        text.replace_range(start..end + 2, &repeated);
    }
    text
}

#[test]
fn hostile_requests_are_refused_and_send_nothing_upstream() {
    let stack = Stack::start(&Options::default());
    let (good, another) = (token(&user("hostile")), token(&user("another")));
    let id = stack.create(&another).json()["job_id"].as_str().unwrap().to_owned();
    stack.ended(&another, &id);
    let vendor_id = stack.control_get("/state")["predictions"][0]["id"].as_str().unwrap().to_owned();
    let values = [("good", good.as_str()), ("id_of_another", &id), ("vendor_id", &vendor_id)];
    // The Dispatcher polls at any time; every other vendor request is caused by a client's request.
    let caused = || {
        let requests = stack.vendor_requests().into_iter().filter(|request| request["route"] != "get");
        requests.collect::<Vec<_>>()
    };
    let mut sent = caused().len();
    for line in include_str!("../hostile/http.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let headers = line.headers.iter().map(|(name, value)| (name.clone(), fill(value, &values))).collect();
        let body = fill(&line.body, &values).into_bytes();
        let request = Request { method: line.method.clone(), target: fill(&line.path, &values), headers, body };
        let start = Instant::now();
        let answer = match request.try_send(&stack.worker) {
            Ok(answer) => answer,
            // workerd may close the connection on bytes that are not HTTP: also a refusal.
            Err(_) if line.status.contains(&400) => continue,
            Err(error) => panic!("{}: {error}", line.id),
        };
        let context = format!("{} ({}): {} {}", line.id, line.category, answer.status, answer.text());
        assert!(line.status.contains(&answer.status), "{context}");
        assert!(start.elapsed() < Duration::from_secs(10), "{context}");
        assert!(line.absent.iter().all(|name| answer.header(name).is_none()), "{context}");
        if answer.status < 300 {
            sent += 1;
        } else {
            assert_eq!(caused().len(), sent, "{context}");
        }
        assert!(!answer.text().contains("panicked") && !answer.text().contains("src/"), "{context}");
    }
    assert_eq!(stack.create(&good).status, 201, "still alive");
    let log = stack.worker_log();
    assert!(!log.contains("panicked") && !log.contains("hung"), "{log}");
    // The requests that succeeded had odd headers too; none was forwarded.
    for request in caused() {
        let names = request["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap());
        let others: Vec<&str> =
            names.filter(|name| !OUR_HEADERS.contains(&name.to_ascii_lowercase().as_str())).collect();
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(request["path"], "/v1/acme/model-x/predictions");
    }
}

#[test]
fn a_request_that_the_edge_refuses_reaches_no_object() {
    // A request that needs an unbound object gets 503, which no line expects.
    let good = token(&user("hostile"));
    for unbound in ["LEDGER", "DISPATCHER"] {
        let stack = Stack::start(&Options { unbound: Some(unbound), ..Options::default() });
        let mut refused = 0;
        for line in include_str!("../hostile/http.jsonl").lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            // These lines need a Ledger: it refuses foreign ids, and it admits the requests that succeed.
            if line.category == "foreign" || line.status.iter().any(|status| *status < 300) {
                continue;
            }
            let values = [("good", good.as_str())];
            let headers = line.headers.iter().map(|(name, value)| (name.clone(), fill(value, &values))).collect();
            let body = fill(&line.body, &values).into_bytes();
            let request = Request { method: line.method, target: fill(&line.path, &values), headers, body };
            let Ok(answer) = request.try_send(&stack.worker) else { continue };
            assert!(line.status.contains(&answer.status), "{}: {} {}", line.id, answer.status, answer.text());
            refused += 1;
        }
        assert!(refused > 150, "{refused}");
        for (origin, status) in [("https://app.example", 204), ("https://other.example", 403)] {
            let preflight = Request::new("OPTIONS", "/v1/predictions/batch")
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "POST");
            assert_eq!(stack.send(&preflight).status, status, "{origin}");
        }
        assert!(stack.vendor_requests().is_empty());
    }
}
