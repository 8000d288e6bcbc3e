//! One log line per request, with a closed set of members and without tokens, prompts or paths.

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, token, user};
use crate::http::Request;

#[test]
fn each_request_writes_one_line_without_token_prompt_or_path() {
    let stack = Stack::start(&Options::default());
    let subject = user("secret-subject");
    let token = token(&subject);
    let prompt = "a very private prompt";
    let created = stack.send(
        &Request::post(MODEL)
            .bearer(&token)
            .header("X-Request-Id", "client-1")
            .json(&json!({"input": {"prompt": prompt}})),
    );
    let request_id = created.header("x-request-id").unwrap().to_owned();
    let id = created.json()["job_id"].as_str().unwrap().to_owned();
    stack.get(&token, &format!("/v1/predictions/{id}?token=leak"));
    stack.get("a.b.c", "/v1/predictions");
    stack.send(&Request::get("/nowhere/script").header("X-Request-Id", "bad id!"));
    stack.ended(&token, &id);
    let log = stack.worker_log();
    for secret in [prompt, &token, &subject, "/nowhere", "script", "token=leak", "a.b.c", "bad id!", &id] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| line.find('{').map(|at| &line[at..]))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let requests: Vec<&Value> = lines.iter().filter(|line| line["event"] == "request").collect();
    let known = [
        "time",
        "level",
        "event",
        "request_id",
        "client_request_id",
        "route",
        "status",
        "code",
        "reason",
        "duration_ms",
        "subject",
    ];
    for line in &requests {
        assert!(line.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{line}");
    }
    let of_create = requests.iter().find(|line| line["request_id"] == request_id.as_str()).unwrap();
    assert_eq!((&of_create["route"], &of_create["status"]), (&json!("predictions.create"), &json!(201)));
    assert_eq!(of_create["client_request_id"], "client-1");
    assert_eq!(of_create["subject"].as_str().unwrap().len(), 16);
    let refused = requests.iter().find(|line| line["status"] == 401).unwrap();
    assert_eq!((&refused["code"], &refused["reason"]), (&json!("invalid_token"), &refused["reason"]));
    assert!(refused["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let lost = requests.iter().find(|line| line["status"] == 404).unwrap();
    assert_eq!((&lost["route"], lost.get("client_request_id")), (&json!("none"), None));
}

#[test]
fn request_ids_are_generated_and_unique() {
    let stack = Stack::start(&Options::default());
    let ids: Vec<String> = (0..3)
        .map(|_| {
            stack
                .send(&Request::get("/healthz").header("X-Request-Id", "same"))
                .header("x-request-id")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| id.starts_with("req_") && id.len() == 30));
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}
