//! `/v1/files`: a file reaches the vendor unchanged, belongs to its owner, and can be used in an input.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, MODEL, Options, Stack, VENDOR_KEY, now, policy, shared, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, job_id, policy_with, retry_after, wait_until};

pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff\xfe not really";

pub fn upload(stack: &Stack, token: &str, content_type: &str, body: &[u8]) -> Response {
    stack.send(&Request::post("/v1/files").bearer(token).header("Content-Type", content_type).body(body))
}

fn file_requests(stack: &Stack) -> Vec<Value> {
    stack.vendor_requests().into_iter().filter(|request| request["route"] == "files").collect()
}

#[test]
fn a_file_reaches_the_vendor_unchanged_and_belongs_to_its_owner() {
    let stack = Stack::start(&Default::default());
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let uploaded = upload(&stack, &alice, "image/png", PNG);
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
    let file = uploaded.json();
    let id = file["file_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("file_") && id.len() == 31);
    assert_eq!((&file["content_type"], &file["bytes"]), (&json!("image/png"), &json!(PNG.len())));
    assert_eq!(file.as_object().unwrap().len(), 4, "{file}");
    let sent = file_requests(&stack);
    assert_eq!((sent.len(), &sent[0]["body_bytes"]), (1, &json!(PNG.len())));
    let headers = sent[0]["headers"].to_string();
    assert!(headers.contains("image/png") && headers.contains(VENDOR_KEY) && !headers.contains(&alice));
    // Only the owner can read and delete it.
    let path = format!("/v1/files/{id}");
    assert_eq!(stack.get(&alice, &path).json(), file);
    assert_refused(&stack.get(&bob, &path), 404, "not_found_error", "not_found");
    assert_refused(&stack.send(&Request::new("DELETE", &path).bearer(&bob)), 404, "not_found_error", "not_found");
    assert_eq!(stack.get(&alice, "/v1/files").json(), json!({"data": [file], "next_cursor": null}));
    assert_eq!(stack.get(&bob, "/v1/files").json()["data"], json!([]));
    let deleted = stack.send(&Request::new("DELETE", &path).bearer(&alice));
    assert_eq!((deleted.status, deleted.body.len()), (204, 0), "{}", deleted.text());
    assert_refused(&stack.get(&alice, &path), 404, "not_found_error", "not_found");
    assert_eq!(file_requests(&stack).last().unwrap()["method"], "DELETE");
}

#[test]
fn files_are_listed_in_pages_newest_first() {
    let stack = Stack::with_policy(&policy());
    let token = token(&user("lister"));
    let ids: Vec<String> = (0..3)
        .map(|_| upload(&stack, &token, "audio/wav", b"RIFF").json()["file_id"].as_str().unwrap().to_owned())
        .collect();
    let page = stack.get(&token, "/v1/files?limit=2").json();
    let shown = |page: &Value| {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["file_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&page), [ids[2].clone(), ids[1].clone()]);
    let next = stack.get(&token, &format!("/v1/files?cursor={}", page["next_cursor"].as_str().unwrap())).json();
    assert_eq!((shown(&next), &next["next_cursor"]), (vec![ids[0].clone()], &Value::Null));
    for bad in ["limit=0", "cursor=pred_x", "cursor=file_1"] {
        assert_refused(
            &stack.get(&token, &format!("/v1/files?{bad}")),
            400,
            "invalid_request_error",
            "invalid_parameter",
        );
    }
}

#[test]
fn an_invalid_upload_is_refused_before_the_vendor_is_called() {
    let (stack, token) = (Stack::start(&Default::default()), token(&user("uploader")));
    for content_type in
        ["image/svg+xml", "text/html", "text/html;image/png", "application/json", "image/png, x", "multipart/form-data"]
    {
        let refused = upload(&stack, &token, content_type, PNG);
        assert_refused(&refused, 415, "invalid_request_error", "unsupported_media_type");
        let error = refused.json()["error"].clone();
        let types =
            json!(["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm", "audio/wav"]);
        assert_eq!(error["details"], json!({"rule": "enum", "allowed": types}));
        assert!(!error["message"].as_str().unwrap().contains("json"), "{error}");
    }
    let encoded = Request::post("/v1/files")
        .bearer(&token)
        .header("Content-Type", "image/png")
        .header("Content-Encoding", "gzip");
    assert_refused(&stack.send(&encoded.body(PNG)), 415, "invalid_request_error", "unsupported_media_type");
    let large = Request::post("/v1/files")
        .bearer(&token)
        .header("Content-Type", "image/png")
        .header("Content-Length", "90000001");
    assert_refused(&stack.send(&large), 413, "invalid_request_error", "body_too_large");
    let chunked = Request::post("/v1/files")
        .bearer(&token)
        .header("Content-Type", "image/png")
        .header("Transfer-Encoding", "chunked")
        .header("Content-Length", "");
    let chunked = Request {
        headers: chunked.headers.into_iter().filter(|(name, _)| name != "Content-Length").collect(),
        ..chunked
    };
    let refused = stack.send(&Request { method: "POST".into(), ..chunked }.body(b"3\r\nabc\r\n0\r\n\r\n".as_slice()));
    assert!(refused.status == 400, "{}", refused.text());
    assert_refused(&upload(&stack, &token, "image/png", b""), 400, "invalid_request_error", "invalid_parameter");
    let without = token_with(&user("uploader"), json!({"vk": {"scope": ["read", "create"]}}));
    assert_refused(&upload(&stack, &without, "image/png", PNG), 403, "permission_error", "insufficient_permissions");
    assert!(stack.vendor_requests().is_empty());
}

#[test]
fn other_names_of_a_type_are_accepted_and_its_parameters_dropped() {
    let (stack, token) = (Stack::start(&Default::default()), token(&user("uploader")));
    let names = [
        ("audio/vnd.wave", "audio/wav"),
        ("audio/x-wav", "audio/wav"),
        ("audio/wave", "audio/wav"),
        ("image/jpg", "image/jpeg"),
        ("video/webm;codecs=vp8,opus", "video/webm"),
        ("Image/PNG; name=\"a.png\"", "image/png"),
    ];
    for (sent, known) in names {
        let uploaded = upload(&stack, &token, sent, PNG);
        assert_eq!((uploaded.status, &uploaded.json()["content_type"]), (201, &json!(known)), "{sent}");
        let at_vendor = file_requests(&stack).pop().unwrap()["headers"].clone();
        let at_vendor = at_vendor.to_string();
        assert!(at_vendor.contains(known) && !at_vendor.contains("codecs") && !at_vendor.contains("a.png"));
    }
}

#[test]
fn a_file_that_the_vendor_refuses_leaves_no_record() {
    for (fault, status, code) in [
        (json!({"status": 413}), 502, "upstream_rejected"),
        (json!({"status": 401, "echo_authorization": {"in": "body"}}), 502, "upstream_rejected"),
        (json!({"status": 500}), 502, "upstream_error"),
        (json!({"status": 200, "body": "<html>"}), 502, "upstream_error"),
        (json!({"status": 503, "headers": {"retry-after": "9"}}), 503, "upstream_unavailable"),
    ] {
        let (stack, token) = (Stack::start(&Default::default()), token(&user("uploader")));
        stack.fault("files", 1, &fault);
        let refused = upload(&stack, &token, "image/png", PNG);
        assert_refused(&refused, status, "api_error", code);
        assert!(!refused.everything().contains(VENDOR_KEY));
        assert_eq!(stack.get(&token, "/v1/files").json()["data"], json!([]));
    }
}

#[test]
fn a_file_in_an_input_is_sent_by_its_vendor_id_and_only_for_its_owner() {
    let mut policy = policy();
    policy["models"]["acme/model-x"]["input"]["mask"] = json!({"type": "string", "format": "file"});
    let stack = Stack::with_policy(&policy);
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    let id = upload(&stack, &alice, "image/png", PNG).json()["file_id"].as_str().unwrap().to_owned();
    let create = |token: &str, mask: &str| {
        stack.send(&Request::post(MODEL).bearer(token).json(&json!({"input": {"prompt": "p", "mask": mask}})))
    };
    for (token, mask) in
        [(&bob, id.as_str()), (&alice, "file_01jh0000000000000000000000"), (&alice, "file_1"), (&alice, "x")]
    {
        let refused = create(token, mask);
        assert_refused(&refused, 400, "invalid_request_error", "invalid_parameter");
        assert_eq!(refused.json()["error"]["details"]["param"], "input.mask");
    }
    assert!(stack.sent().is_empty());
    let created = create(&alice, &id);
    assert_eq!(created.status, 201, "{}", created.text());
    let sent = stack.vendor_requests().into_iter().find(|request| request["route"] == "create").unwrap();
    let sent: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
    assert!(sent["input"]["mask"].is_string() && sent["input"]["mask"] != json!(id), "{sent}");
    let vendor_id = sent["input"]["mask"].as_str().unwrap().to_owned();
    let ended = stack.ended(&alice, &job_id(&created));
    assert!(!ended.to_string().contains(&vendor_id));
    // The vendor's id of the file is not accepted as a file id.
    assert_refused(&create(&alice, &vendor_id), 400, "invalid_request_error", "invalid_parameter");
    let batch = json!({"predictions": [{"model": "acme/model-x", "input": {"prompt": "p", "mask": id}}]});
    let refused = stack.send(&Request::post("/v1/predictions/batch").bearer(&bob).json(&batch));
    assert_eq!(refused.json()["error"]["details"]["param"], "predictions[0].input.mask");
}

#[test]
fn an_unsupported_method_gets_the_allowed_ones() {
    let answer = shared().send(&Request::new("PUT", "/v1/files").bearer(&token(&user("putter"))));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")));
}

fn delete(stack: &Stack, token: &str, file: &Value) -> u16 {
    let path = format!("/v1/files/{}", file["file_id"].as_str().unwrap());
    stack.send(&Request::new("DELETE", &path).bearer(token)).status
}

#[test]
fn a_user_has_at_most_as_many_files_and_bytes_as_the_plan_allows() {
    let stack = Stack::with_policy(&policy_with(&json!({"max_files": 3, "max_file_bytes": 100}), &json!({})));
    let (alice, bob) = (token(&user("alice")), token(&user("bob")));
    // Uploads at the same time count too.
    stack.fault("files", 10, &json!({"delay_ms": 500}));
    let answers = at_once(8, |_| upload(&stack, &alice, "image/png", &[b'x'; 30]));
    stack.clear_faults();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_refused(answer, 403, "permission_error", "file_limit_reached");
        assert_eq!(answer.header("x-ratelimit-limit"), Some("6000"));
    }
    assert_eq!(file_requests(&stack).len(), 3, "a refused upload sends nothing upstream");
    let file = answers.iter().find(|answer| answer.status == 201).unwrap().json();
    assert_eq!(delete(&stack, &alice, &file), 204);
    assert_refused(&upload(&stack, &alice, "image/png", &[b'x'; 41]), 403, "permission_error", "file_limit_reached");
    assert_eq!(upload(&stack, &alice, "image/png", &[b'x'; 40]).status, 201, "60 + 40 bytes");
    assert_refused(&upload(&stack, &alice, "image/png", b"x"), 403, "permission_error", "file_limit_reached");
    assert_eq!(upload(&stack, &bob, "image/png", &[b'x'; 100]).status, 201, "each user has its own room");
    let limits = stack.get(&bob, "/v1/account").json()["limits"].clone();
    assert_eq!((&limits["max_files"], &limits["max_file_bytes"]), (&json!(3), &json!(100)));
}

#[test]
fn a_failed_upload_gives_its_room_back() {
    let stack = Stack::with_policy(&policy_with(&json!({"max_files": 1}), &json!({})));
    let token = token(&user("unlucky"));
    for fault in [json!({"status": 500}), json!({"close_before": true}), json!({"status": 201, "body": "{}"})] {
        stack.fault("files", 1, &fault);
        assert_eq!(upload(&stack, &token, "image/png", PNG).status, 502, "{fault}");
    }
    let uploaded = upload(&stack, &token, "image/png", PNG);
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
}

#[test]
fn an_upload_whose_client_left_is_recorded_all_the_same() {
    let stack = Stack::with_policy(&policy_with(&json!({"max_files": 2}), &json!({})));
    let token = token(&user("gone"));
    stack.fault("files", 2, &json!({"delay_ms": 3_000}));
    let request = Request::post("/v1/files").bearer(&token).header("Content-Type", "image/png").body(PNG);
    let sent = || file_requests(&stack).iter().filter(|request| request["method"] == "POST").count();
    for number in 1..=2 {
        request.send_and_reset(&stack.worker, || {
            wait_until("the upload at the vendor", || (sent() == number).then_some(()));
        });
    }
    let is_full =
        || assert_refused(&upload(&stack, &token, "image/png", PNG), 403, "permission_error", "file_limit_reached");
    is_full();
    let files = || stack.get(&token, "/v1/files").json()["data"].as_array().unwrap().len();
    wait_until("the records", || (files() == 2).then_some(()));
    // The vendor has no file that nobody knows, and the room is not lost.
    is_full();
    assert_eq!(sent(), 2);
    let file = stack.get(&token, "/v1/files").json()["data"][0].clone();
    assert_eq!(delete(&stack, &token, &file), 204);
    assert_eq!(upload(&stack, &token, "image/png", PNG).status, 201);
}

const DAY: i64 = 86_400;

/// Stores the record of a file that was last used some days ago, as if an upload had.
fn put_file(stack: &Stack, subject: &str, number: u32, days_ago: Option<i64>) -> String {
    let file_id = format!("file_01jh00000000000000000000{number:02}");
    let mut file = json!({"file_id": file_id, "vendor_id": format!("file_vendor{number}"), "content_type": "image/png",
        "bytes": 3, "created_at": (now() - 30 * DAY) * 1_000});
    if let Some(days) = days_ago {
        file["used_on"] = json!(now() / DAY - days);
    }
    stack.send_to_object("LEDGER", ledger(subject).as_str(), &json!({"ask": {"put_file": {"file": file}}}));
    file_id
}

fn ledger(subject: &str) -> UserKey {
    UserKey::new(ISSUER, subject)
}

fn deleted(stack: &Stack) -> Vec<String> {
    let requests = file_requests(stack).into_iter().filter(|request| request["method"] == "DELETE");
    requests.map(|request| request["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

fn file_policy() -> Value {
    let mut policy = policy_with(&json!({"max_files": 4}), &json!({}));
    policy["models"]["acme/model-x"]["input"]["image"] = json!({"type": "string", "format": "file"});
    policy
}

#[test]
fn a_file_that_nobody_used_for_a_week_is_forgotten_and_deleted_at_the_vendor() {
    let settings = vec![("POLICY", Some(file_policy().to_string()))];
    let stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    let (name, other) = (user("forgetful"), user("other"));
    let token = token(&name);
    let kept = [put_file(&stack, &name, 1, Some(7)), put_file(&stack, &name, 2, None)];
    let used = put_file(&stack, &name, 3, Some(7));
    let forgotten = put_file(&stack, &name, 4, Some(8));
    put_file(&stack, &other, 5, Some(8));
    // A create uses a file: the day is noted, and the week begins again.
    let create = |image: &str| json!({"input": {"prompt": "p", "image": image}});
    let with = |image: &str| stack.send(&Request::post(MODEL).bearer(&token).json(&create(image)));
    assert_eq!(with(&used).status, 201);
    // A forgotten file is nobody's, even before its deletion.
    assert_refused(&with(&forgotten), 400, "invalid_request_error", "invalid_parameter");
    let path = format!("/v1/files/{forgotten}");
    assert_refused(&stack.get(&token, &path), 404, "not_found_error", "not_found");
    assert_refused(&stack.send(&Request::new("DELETE", &path).bearer(&token)), 404, "not_found_error", "not_found");
    let shown = || {
        let page = stack.get(&token, "/v1/files").json();
        page["data"].as_array().unwrap().iter().map(|file| file["file_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(json!(shown()), json!([used, kept[1], kept[0]]));
    assert_eq!(upload(&stack, &token, "image/png", PNG).status, 201, "it takes no room");
    stack.run_alarm("LEDGER", ledger(&name).as_str());
    stack.run_alarm("LEDGER", ledger(&other).as_str());
    wait_until("the deletions", || (deleted(&stack).len() == 2).then_some(()));
    let mut ids = deleted(&stack);
    ids.sort();
    assert_eq!(ids, ["file_vendor4", "file_vendor5"]);
    // The next alarm finds nothing more to delete, and the files that were kept are still there.
    std::thread::sleep(Duration::from_millis(300));
    stack.run_alarm("LEDGER", ledger(&name).as_str());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((deleted(&stack).len(), shown().len()), (2, 4));
}

#[test]
fn a_forgotten_file_is_deleted_in_spite_of_failures_and_kills() {
    let settings = vec![("POLICY", Some(file_policy().to_string()))];
    let mut stack = Stack::start(&Options { settings, is_observed: true, ..Options::default() });
    let name = user("forgetful");
    put_file(&stack, &name, 1, Some(9));
    stack.fault("files", 1, &json!({"status": 500}));
    stack.run_alarm("LEDGER", ledger(&name).as_str());
    wait_until("the first try", || (deleted(&stack).len() == 1).then_some(()));
    // The Dispatcher has the id in storage. Any turn of a new one deletes the file.
    stack.restart_workerd();
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    let rows = || stack.object_costs()["Dispatcher"]["rows"]["file_deletions"].as_u64();
    wait_until("the deletion of its row", || rows().filter(|_| deleted(&stack).len() == 2));
    // An object replies once its writes are stored.
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    stack.restart_workerd();
    stack.send_to_object("DISPATCHER", "main", &json!("tick"));
    stack.run_alarm("LEDGER", ledger(&name).as_str());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(deleted(&stack), ["file_vendor1", "file_vendor1"]);
}

/// One user at less than a request a second left another one 2 of 23 uploads in 130 s, when whoever asked first got the
/// next permit.
#[test]
fn users_take_turns_with_uploads() {
    // A lane of five in a minute. Five uploads, 3 s apart, use it up, so that from then on it has one permit every 3 s.
    let stack = Stack::with_policy(&policy_with(&json!({}), &json!({"requests_per_minute": 100})));
    let (greedy, victim) = (token(&user("greedy")), token(&user("victim")));
    for _ in 0..5 {
        assert_eq!(upload(&stack, &greedy, "image/png", PNG).status, 201);
        std::thread::sleep(Duration::from_secs(3));
    }
    let refused = upload(&stack, &victim, "image/png", PNG);
    assert_refused(&refused, 503, "api_error", "upstream_unavailable");
    assert!(retry_after(&refused) <= 45, "the client comes back while it has its turn");
    // The victim asks every 2 s, the greedy one ten times as often.
    let mut permits = String::new();
    let start = Instant::now();
    for round in 0.. {
        assert!(start.elapsed() < Duration::from_secs(120), "{permits}");
        if permits.len() == 5 {
            break;
        }
        let (token, name) = if round % 10 == 9 { (&victim, 'v') } else { (&greedy, 'g') };
        if upload(&stack, token, "image/png", PNG).status == 201 {
            permits.push(name);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(permits.matches('v').count() >= 2, "{permits}");
}
