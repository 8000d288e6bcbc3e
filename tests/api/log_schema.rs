//! The log's schema, docs/log.schema.json, against every line that the Worker under test writes.
//!
//! The harness checks each line, so no test has to. Only the keywords that the schema uses are known here: another one
//! fails, and so does another pattern.

use std::sync::LazyLock;

use serde_json::{Map, Value};

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../docs/log.schema.json")).unwrap());

/// Returns what is wrong with a line of workerd's output, if it is a line of the Worker's.
pub fn problem(line: &str) -> Option<String> {
    // `--control-fd` reports on standard output too. A line without an end was cut off when the process was killed.
    let is_complete = line.starts_with('{') && line.ends_with('}');
    if !is_complete || line.starts_with("{\"event\":\"listen\"") {
        return None;
    }
    let problem = match serde_json::from_str::<Value>(line) {
        Ok(value) => problem_of(&value)?,
        Err(error) => error.to_string(),
    };
    Some(format!("a log line breaks docs/log.schema.json: {problem}: {line}"))
}

fn problem_of(line: &Value) -> Option<String> {
    let event = line["event"].as_str().unwrap_or_default();
    let Some(schema) = SCHEMA["$defs"].get(event) else { return Some(format!("no event {event:?}")) };
    let (members, properties) = (line.as_object()?, schema["properties"].as_object().unwrap());
    let missing =
        schema["required"].as_array().unwrap().iter().find(|name| !members.contains_key(name.as_str().unwrap()));
    if let Some(name) = missing {
        return Some(format!("{name} is missing"));
    }
    members.iter().find_map(|(name, value)| match properties.get(name) {
        None => Some(format!("no member {name:?}")),
        Some(schema) if !is_valid(value, schema.as_object().unwrap()) => Some(format!("{name:?} is wrong")),
        Some(_) => None,
    })
}

fn is_valid(value: &Value, schema: &Map<String, Value>) -> bool {
    schema.iter().all(|(keyword, rule)| match (keyword.as_str(), rule) {
        ("description", _) => true,
        ("const", rule) => value == rule,
        ("enum", rule) => rule.as_array().unwrap().contains(value),
        ("type", rule) if rule == "string" => value.is_string(),
        ("type", rule) if rule == "integer" => value.is_i64(),
        ("pattern", rule) => value.as_str().is_some_and(|text| matches(text, rule.as_str().unwrap())),
        _ => panic!("log_schema.rs does not know {keyword} {rule}"),
    })
}

fn matches(text: &str, pattern: &str) -> bool {
    let is = |prefix: &str, lengths: std::ops::RangeInclusive<usize>, allowed: fn(u8) -> bool| {
        text.strip_prefix(prefix).is_some_and(|rest| lengths.contains(&rest.len()) && rest.bytes().all(allowed))
    };
    match pattern {
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$" => {
            let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            ["0000-00-00T00:00:00Z", "0000-00-00T00:00:00.000Z"].contains(&shape.as_str())
        }
        "^req_[0-9a-z]{26}$" => is("req_", 26..=26, |byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()),
        "^[0-9a-f]{16}$" => is("", 16..=16, |byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
        "^[a-z0-9_]{1,64}$" => {
            is("", 1..=64, |byte| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'_')
        }
        "^[A-Za-z0-9_.:-]{1,64}$" => is("", 1..=64, |byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)),
        _ => panic!("log_schema.rs does not know the pattern {pattern}"),
    }
}

#[test]
fn a_line_with_an_unknown_member_event_route_or_word_breaks_the_schema() {
    let good = r#"{"time":"2026-11-30T19:15:55Z","level":"info","event":"request","request_id":"req_01m8py56fm1exck44dt9vxdc4q","route":"predictions.create","status":201,"duration_ms":143,"subject":"08b11f8a94767f45"}"#;
    assert_eq!(problem(good), None);
    for (from, to) in [
        ("\"status\":201", "\"status\":201,\"path\":\"/v1\""),
        ("\"request\"", "\"reply\""),
        ("predictions.create", "predictions.paint"),
        ("08b11f8a94767f45", "alice"),
        ("\"status\":201", "\"status\":\"201\""),
        ("\"status\":201,", ""),
        ("\"info\"", "\"warn\""),
        ("T19:15:55Z", " 19:15"),
        (",\"subject\"", ",\"reason\":\"a private prompt\",\"subject\""),
        ("143", "1 43"),
    ] {
        assert!(problem(&good.replace(from, to)).is_some(), "{from} → {to}");
    }
    let alert = r#"{"time":"2026-11-30T19:15:55.123Z","level":"error","event":"alert","alert":"no_answer"}"#;
    assert_eq!((problem(alert), problem(&alert.replace("no_answer", "oh_no")).is_some()), (None, true));
    // Lines of workerd's own.
    assert_eq!(
        (problem("workerd/io/worker.c++:1: info"), problem(r#"{"event":"listen","socket":"http"}"#)),
        (None, None)
    );
}
