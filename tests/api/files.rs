//! `/v1/files`: a file reaches the vendor unchanged, belongs to its owner, and can be used in an input.

use serde_json::{Value, json};

use crate::harness::{MODEL, Stack, VENDOR_KEY, policy, shared, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, job_id};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff\xfe not really";

fn upload(stack: &Stack, token: &str, content_type: &str, body: &[u8]) -> Response {
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
