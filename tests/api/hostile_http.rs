//! Hostile requests, from `tests/hostile/http.jsonl`, over a bare socket: each is answered with one of its statuses,
//! quickly, and none but those that succeed send anything upstream.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

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

/// Fills `{{good}}`, `{{id_of_another}}`, `{{vendor_id}}` and `{{repeat:X:N}}`.
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
    stack.control_put("/settings", &json!({"requests_per_minute": 100_000, "concurrent_limit": 1_000}));
    let (good, another) = (token(&user("hostile")), token(&user("another")));
    let id = stack.create(&another).json()["job_id"].as_str().unwrap().to_owned();
    stack.ended(&another, &id);
    let vendor_id = stack.control_get("/state")["predictions"][0]["id"].as_str().unwrap().to_owned();
    let values = [("good", good.as_str()), ("id_of_another", &id), ("vendor_id", &vendor_id)];
    let creates = || stack.vendor_requests().iter().filter(|request| request["method"] == "POST").count();
    let mut sent = creates();
    for line in include_str!("../hostile/http.jsonl").lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let headers = line.headers.iter().map(|(name, value)| (name.clone(), fill(value, &values))).collect();
        let body = fill(&line.body, &values).into_bytes();
        let request = Request { method: line.method.clone(), target: fill(&line.path, &values), headers, body };
        let start = Instant::now();
        let answer = match request.try_send(&stack.worker) {
            Ok(answer) => answer,
            // workerd may close on what is no HTTP at all; that is a refusal too.
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
            assert_eq!(creates(), sent, "{context}");
        }
        assert!(!answer.text().contains("panicked") && !answer.text().contains("src/"), "{context}");
    }
    assert_eq!(stack.create(&good).status, 201, "still alive");
    assert!(!stack.worker_log().contains("panicked"), "{}", stack.worker_log());
}
