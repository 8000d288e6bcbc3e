//! The vendor key appears nowhere but in requests to the vendor.

use serde_json::json;

use crate::harness::{MODEL, Options, Stack, VENDOR_KEY, token, user};
use crate::http::Request;

/// Returns whether a text contains any sixteen consecutive bytes of the key after its prefix.
fn contains_key(text: &str) -> bool {
    let tail = VENDOR_KEY.strip_prefix("sk_live_").unwrap();
    tail.as_bytes().windows(16).any(|piece| text.contains(std::str::from_utf8(piece).unwrap()))
}

#[test]
fn no_response_log_line_or_stored_file_contains_a_key_that_the_vendor_echoes() {
    let stack = Stack::start(&Options::default());
    let mut answers = Vec::new();
    let encodings = ["plain", "base64", "hex", "percent", "json"];
    for route in ["create", "get", "models", "cancel"] {
        for (place, encoding) in
            ["body", "header"].into_iter().zip(encodings).chain(encodings.map(|encoding| ("body", encoding)))
        {
            stack.fault(route, 1, &json!({"status": 200, "echo_authorization": {"in": place, "encoding": encoding}}));
            let token = token(&user("echo"));
            let created = stack.create(&token);
            let body = created.json();
            let id = body["job_id"]
                .as_str()
                .or_else(|| body["error"]["details"]["job_id"].as_str())
                .unwrap_or("none")
                .to_owned();
            answers.push(created);
            answers.push(stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token)));
            for target in
                [format!("/v1/predictions/{id}"), "/v1/models".into(), "/v1/account".into(), "/v1/predictions".into()]
            {
                answers.push(stack.get(&token, &target));
            }
            stack.clear_faults();
        }
    }
    answers.push(stack.send(&Request::get("/readyz")));
    for answer in &answers {
        assert!(!contains_key(&answer.everything()), "{}", answer.everything());
    }
    assert!(!contains_key(&stack.worker_log()));
    let received = serde_json::to_string(&stack.vendor_requests()).unwrap();
    assert!(contains_key(&received), "the scan would find it: the vendor did receive it");
    let stored = files_below(&stack.directory.join("storage"));
    assert!(!stored.is_empty());
    for (path, bytes) in stored {
        assert!(!contains_key(&String::from_utf8_lossy(&bytes)), "{path}");
    }
}

#[test]
fn an_output_that_contains_the_key_is_dropped_and_the_prediction_stays_readable() {
    let stack = Stack::start(&Options::default());
    let tail = VENDOR_KEY.strip_prefix("sk_live_").unwrap();
    let good = "https://cdn.example/good.png";
    let outputs = json!([
        format!("https://cdn.example/{VENDOR_KEY}.png"),
        format!("https://cdn.example/{}", &tail[1..tail.len() - 1]),
        format!("https://cdn.example/{}", tail.replace('_', "%5F")),
        "https:evil.example/x",
        "https:\\\\evil.example\\x",
        good,
    ]);
    stack.fault("get", 1, &json!({"merge": {"status": "succeeded", "output": outputs}}));
    let token = token(&user("leak"));
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(stack.ended(&token, &id)["output"], json!([good]));
    assert_eq!(stack.get(&token, "/v1/predictions").json()["data"][0]["output"], json!([good]));
    stack.assert_logged("vendor_key_in_output");
    assert!(!contains_key(&stack.worker_log()));
    for (path, bytes) in files_below(&stack.directory.join("storage")) {
        assert!(!contains_key(&String::from_utf8_lossy(&bytes)), "{path}");
    }
}

#[test]
fn a_response_that_would_contain_the_key_is_replaced_by_a_useful_error() {
    // This key is also part of PUBLIC_URL's host name, and so in the links of every response.
    let tail = "abcdefghij0123456789";
    let key = format!("sk_live_{tail}");
    let settings = vec![("DEEPCREATIVE_API_KEY", Some(key)), ("PUBLIC_URL", Some(format!("https://{tail}.example")))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let token = token(&user("links"));
    let app = "https://app.example";
    let body = json!({"input": {"prompt": "p"}});
    let created = stack.send(&Request::post(MODEL).bearer(&token).header("Origin", app).json(&body));
    assert_eq!(created.error(), (502, "api_error".into(), "upstream_error".into()), "{}", created.everything());
    assert_eq!(created.header("access-control-allow-origin"), Some(app));
    assert_eq!(created.header("x-ratelimit-limit"), Some("6000"));
    let id = created.json()["error"]["details"]["job_id"].as_str().expect("it exists").to_owned();
    let read = stack.send(&Request::get(&format!("/v1/predictions/{id}")).bearer(&token));
    assert_eq!((read.status, read.header("x-ratelimit-limit")), (502, Some("6000")));
    assert_eq!(stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token)).status, 502);
    // For a page on that host, the CORS header itself would contain the key.
    let own = format!("https://{tail}.example");
    let own = stack.send(&Request::post(MODEL).bearer(&token).header("Origin", &own).json(&body));
    assert_eq!((own.status, own.header("access-control-allow-origin")), (502, None));
    for answer in [created, read, own] {
        assert!(!answer.everything().contains(tail), "{}", answer.everything());
    }
    stack.assert_logged("vendor_key_in_answer");
}

#[test]
fn the_vendor_receives_our_headers_and_none_of_the_clients() {
    let stack = Stack::start(&Options::default());
    let request = Request::post(MODEL)
        .bearer(&token(&user("headers")))
        .header("X-Forwarded-For", "10.0.0.1")
        .header("X-Original-URL", "/v1/account")
        .header("X-Rewrite-URL", "/v1/account")
        .header("X_Forwarded_For", "127.0.0.1")
        .header("Cookie", "a=b")
        .header("TE", "trailers")
        .header("CF-Worker", "evil.example")
        .header("X-Request-Id", "mine-1")
        .json(&json!({"input": {"prompt": "p"}}));
    assert_eq!(stack.send(&request).status, 201);
    let received = stack.vendor_requests();
    let create = received.iter().find(|request| request["method"] == "POST").unwrap();
    let names: Vec<String> = create["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[0].as_str().unwrap().to_ascii_lowercase())
        .collect();
    let allowed =
        ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"];
    assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{names:?}");
    assert_eq!(create["path"], "/v1/acme/model-x/predictions");
    let text = create.to_string();
    assert!(text.contains(&format!("Bearer {VENDOR_KEY}")) && text.contains("valetkey/"));
}

fn files_below(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}
