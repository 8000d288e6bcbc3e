//! Tests of create bodies: numbers in any notation, refusals that name the problem and the allowed values, limits on
//! size and time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, now, policy, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, create_of};

const REQUEST: &str = "invalid_request_error";
const BATCH: &str = "/v1/predictions/batch";

/// Returns the default policy with more inputs of `acme/model-x`.
fn policy_with_inputs(inputs: &Value) -> Value {
    let mut policy = policy();
    let known = policy["models"]["acme/model-x"]["input"].as_object_mut().unwrap();
    known.extend(inputs.as_object().cloned().unwrap());
    policy
}

fn send_text(stack: &Stack, token: &str, path: &str, body: impl Into<Vec<u8>>) -> Response {
    stack.send(&Request::post(path).bearer(token).header("Content-Type", "application/json").body(body))
}

/// Sends a create with a prompt and the members in the JSON text `input`.
fn create(stack: &Stack, token: &str, input: &str) -> Response {
    send_text(stack, token, MODEL, format!(r#"{{"input":{{"prompt":"p",{input}}}}}"#))
}

/// Returns the text of the last create that reached the vendor.
fn last_sent(stack: &Stack) -> String {
    let mut creates = stack.vendor_requests().into_iter().filter(|request| request["route"] == "create");
    creates.next_back().expect("a create")["body"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_invalid(answer: &Response, details: &Value) {
    assert_refused(answer, 400, REQUEST, "invalid_parameter");
    assert_eq!(answer.json()["error"]["details"], *details);
}

#[test]
fn a_number_is_accepted_in_any_spelling_and_sent_in_one() {
    let enumerated: Value = serde_json::from_str(r#"{"type":"number","enum":[0.5,1,1.5,2]}"#).unwrap();
    let stack = Stack::with_policy(&policy_with_inputs(&json!({
        "scale": enumerated, "steps": {"type": "integer", "min": 0, "max": 1000}, "strength": {"type": "number"},
    })));
    let token = token(&user("python"));
    for (input, sent) in [
        (r#""scale":1.0"#, r#""scale":1}"#),
        (r#""scale":0.50"#, r#""scale":0.5}"#),
        (r#""scale":2e0"#, r#""scale":2}"#),
        (r#""steps":28.0"#, r#""steps":28}"#),
        (r#""steps":1e3"#, r#""steps":1000}"#),
        (r#""steps":-0"#, r#""steps":0}"#),
        (r#""steps":28"#, r#""steps":28}"#),
        (r#""strength":3.0"#, r#""strength":3}"#),
        (r#""strength":0.25"#, r#""strength":0.25}"#),
    ] {
        let created = create(&stack, &token, input);
        assert_eq!(created.status, 201, "{input}: {}", created.text());
        assert!(last_sent(&stack).contains(sent), "{input}: {}", last_sent(&stack));
    }
    let sent = stack.sent().len();
    for (input, details) in [
        (r#""scale":1.25"#, json!({"param": "input.scale", "rule": "enum", "allowed": [0.5, 1, 1.5, 2]})),
        (r#""scale":"1""#, json!({"param": "input.scale", "rule": "type", "allowed": "number"})),
        (r#""steps":28.5"#, json!({"param": "input.steps", "rule": "type", "allowed": "integer"})),
        (r#""steps":1e300"#, json!({"param": "input.steps", "rule": "type", "allowed": "integer"})),
        (r#""steps":1e4"#, json!({"param": "input.steps", "rule": "max", "allowed": 1000})),
        (r#""steps":-1.0"#, json!({"param": "input.steps", "rule": "min", "allowed": 0})),
    ] {
        assert_invalid(&create(&stack, &token, input), &details);
    }
    let images = |count: &str| {
        send_text(&stack, &token, MODEL, format!(r#"{{"input":{{"prompt":"p"}},"image_count":{count}}}"#))
    };
    for (count, rule, allowed) in [("0", "min", json!(1)), ("3", "max", json!(2)), ("1.5", "type", json!("integer"))] {
        assert_invalid(&images(count), &json!({"param": "image_count", "rule": rule, "allowed": allowed}));
    }
    assert_eq!(stack.sent().len(), sent, "a refused create is not sent");
    assert_eq!(images("2.0").status, 201);
    assert_eq!(stack.sent().len(), sent + 1);
}

#[test]
fn a_refused_input_names_the_rule_and_what_it_allows() {
    let stack = Stack::with_policy(&policy_with_inputs(&json!({
        "tags": {"type": "array", "items": {"type": "string", "max_length": 3}, "max_items": 2},
        "mask": {"type": "string", "format": "file"}, "notes": {"type": "string"},
        "pages": {"type": "array", "items": {"type": "integer"}}, "fast": {"type": "boolean"},
    })));
    let token = token(&user("told"));
    let ratios = json!(["1:1", "16:9", "9:16", "match_input_image"]);
    for (input, details) in [
        (json!({"aspect_ratio": "4:3"}), json!({"param": "input.aspect_ratio", "rule": "enum", "allowed": ratios})),
        (
            json!({"image": "http://a.example/"}),
            json!({"param": "input.image", "rule": "format", "allowed": "https-url"}),
        ),
        (json!({"mask": "x"}), json!({"param": "input.mask", "rule": "format", "allowed": "file"})),
        (
            json!({"mask": "file_01jh0000000000000000000000"}),
            json!({"param": "input.mask", "rule": "format", "allowed": "file"}),
        ),
        (json!({"tags": ["a", "b", "c"]}), json!({"param": "input.tags", "rule": "max_items", "allowed": 2})),
        (json!({"tags": ["long"]}), json!({"param": "input.tags", "rule": "max_length", "allowed": 3})),
        (json!({"tags": {}}), json!({"param": "input.tags", "rule": "type", "allowed": "array"})),
        (json!({"tags": [["a"]]}), json!({"param": "input.tags", "rule": "type", "allowed": "string"})),
        (json!({"fast": 1}), json!({"param": "input.fast", "rule": "type", "allowed": "boolean"})),
        (json!({"prompt": null}), json!({"param": "input.prompt", "rule": "type", "allowed": "string"})),
        // The defaults of `max_length` and `max_items`.
        (json!({"notes": "x".repeat(4_001)}), json!({"param": "input.notes", "rule": "max_length", "allowed": 4000})),
        (json!({"pages": vec![1; 17]}), json!({"param": "input.pages", "rule": "max_items", "allowed": 16})),
    ] {
        let mut body = json!({"input": {"prompt": "p"}});
        body["input"].as_object_mut().unwrap().extend(input.as_object().cloned().unwrap());
        assert_invalid(&stack.send(&Request::post(MODEL).bearer(&token).json(&body)), &details);
    }
    for (body, details) in [
        (json!({}), json!({"param": "input", "rule": "required"})),
        (json!({"input": {}}), json!({"param": "input.prompt", "rule": "required"})),
        (json!({"input": 1}), json!({"param": "input", "rule": "type", "allowed": "object"})),
        (
            json!({"input": {"prompt": "p"}, "model": "model-y"}),
            json!({"param": "model", "rule": "enum", "allowed": ["acme/model-x", "model-x"]}),
        ),
    ] {
        assert_invalid(&stack.send(&Request::post(MODEL).bearer(&token).json(&body)), &details);
    }
    for (target, details) in [
        ("/v1/predictions?limit=101", json!({"param": "limit", "rule": "max", "allowed": 100})),
        ("/v1/predictions?limit=0", json!({"param": "limit", "rule": "min", "allowed": 1})),
        ("/v1/files?cursor=x", json!({"param": "cursor", "rule": "format"})),
        (
            "/v1/predictions?status=done",
            json!({"param": "status", "rule": "enum",
                "allowed": ["queued", "processing", "succeeded", "failed", "canceled"]}),
        ),
    ] {
        assert_invalid(&stack.get(&token, target), &details);
    }
    assert!(stack.vendor_requests().iter().all(|request| request["route"] != "create"));
    let longest = json!({"input": {"prompt": "p", "notes": "x".repeat(4_000), "pages": vec![1; 16]}});
    assert_eq!(stack.send(&Request::post(MODEL).bearer(&token).json(&longest)).status, 201);
}

#[test]
fn refused_json_says_what_is_wrong_and_where() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("json"));
    let deep = format!("{{\"input\":{}1{}}}", "[".repeat(20), "]".repeat(20));
    for (body, problem, line, column) in [
        ("{\"input\":{\"prompt\":\"\\ud83d\"}}", "unpaired surrogate", 1, 27),
        ("{\n \"input\": {\n  \"prompt\": \"\u{e9}\\ude00\"}}", "unpaired surrogate", 3, 20),
        ("{\"input\":{},\n\"input\":{}}", "repeated member", 2, 7),
        ("{\"input\":{\"prompt\":\"p\",\"prompt\":\"q\"}}", "repeated member", 1, 31),
        (deep.as_str(), "too deep", 1, 25),
        ("{}\n{}", "trailing text", 2, 1),
        ("{\"input\":", "unexpected end", 1, 9),
        ("", "unexpected end", 1, 1),
        ("{\"input\":NaN}", "not JSON", 1, 10),
        ("[]", "not an object", 1, 1),
    ] {
        let refused = send_text(&stack, &token, MODEL, body);
        assert_refused(&refused, 400, REQUEST, "invalid_json");
        let error = refused.json()["error"].clone();
        assert_eq!(error["details"], json!({"problem": problem, "line": line, "column": column}), "{body}");
        assert!(!error["message"].as_str().unwrap().contains("repeated"));
    }
    let refused = send_text(&stack, &token, MODEL, b"{\"input\":{\"prompt\":\"\xff\"}}".as_slice());
    assert_eq!(refused.json()["error"]["details"], json!({"problem": "not UTF-8", "line": 1, "column": 21}));
    assert!(stack.vendor_requests().is_empty());
    // A complete emoji is accepted, raw or escaped.
    let whole = "{\"input\":{\"prompt\":\"\\ud83d\\ude00 \u{1f600}\"}}";
    assert_eq!(send_text(&stack, &token, MODEL, whole).status, 201);
    assert_eq!(stack.sent(), ["\u{1f600} \u{1f600}"]);
}

#[test]
fn a_body_has_ten_thousand_values_at_most() {
    let stack = Stack::with_policy(&policy_with_inputs(&json!({
        "pages": {"type": "array", "items": {"type": "integer"}, "max_items": 9_500},
    })));
    let token = token(&user("many"));
    // The object, `input`, the prompt and the array count as values too.
    let send =
        |stack: &Stack, items: usize| create(stack, &token, &format!("\"pages\":[{}]", vec!["1"; items].join(",")));
    let refused = send(&stack, 10_497);
    assert_refused(&refused, 400, REQUEST, "invalid_json");
    assert_eq!(refused.json()["error"]["details"]["problem"], "too many values");
    assert_invalid(&send(&stack, 10_496), &json!({"param": "input.pages", "rule": "max_items", "allowed": 9500}));
    assert!(stack.vendor_requests().is_empty());
    assert_eq!(send(&stack, 9_500).status, 201);
    // Without a large `max_items`, the limit is 10,000.
    let small = Stack::with_policy(&policy());
    let refused = send(&small, 9_997);
    assert_eq!(refused.json()["error"]["details"]["problem"], "too many values", "{}", refused.text());
    assert_refused(&send(&small, 9_996), 400, REQUEST, "unsupported_parameter");
    assert!(small.vendor_requests().is_empty());
}

#[test]
fn a_plain_text_input_cannot_be_the_vendors_id_of_a_file() {
    let stack = Stack::with_policy(&policy_with_inputs(&json!({
        "style": {"type": "string", "enum": ["plain", "file_house1"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    })));
    let token = token(&user("thief"));
    let send = |input: Value| stack.send(&Request::post(MODEL).bearer(&token).json(&json!({"input": input})));
    for (input, param) in [
        (json!({"prompt": "file_abc123"}), "input.prompt"),
        (json!({"prompt": "file_01jh0000000000000000000000"}), "input.prompt"),
        (json!({"prompt": "p", "tags": ["x", "file_123456"]}), "input.tags"),
    ] {
        assert_invalid(&send(input), &json!({"param": param, "rule": "format"}));
    }
    assert!(stack.vendor_requests().is_empty());
    for prompt in ["file_abcdef", "file_abc12", "a file_abc123", "file_abc123.png"] {
        assert_eq!(send(json!({"prompt": prompt})).status, 201, "{prompt}");
    }
    assert_eq!(send(json!({"prompt": "p", "style": "file_house1"})).status, 201);
}

#[test]
fn a_create_whose_body_arrives_slowly_is_admitted() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("slow"));
    let created = create_of(&token, "slow").send_slowly(&stack.worker, Duration::from_secs(6));
    assert_eq!(created.status, 201, "{}", created.text());
    let batch = json!({"predictions": [{"model": "acme/model-x", "input": {"prompt": "slow batch"}}]});
    let batch = Request::post(BATCH).bearer(&token).json(&batch).send_slowly(&stack.worker, Duration::from_secs(6));
    assert_eq!(batch.status, 202, "{}", batch.text());
    // `Prefer: wait` also counts from the end of the body.
    let waiting =
        create_of(&token, "waits").header("Prefer", "wait=5").send_slowly(&stack.worker, Duration::from_secs(6));
    assert_eq!(waiting.json()["status"], "succeeded", "{}", waiting.text());
}

#[test]
fn a_token_that_expires_while_the_body_arrives_is_refused() {
    let stack = Stack::start(&Options::default());
    // The longest leeway (60 s) ends 2 s from now.
    let issuers = json!([{"issuer": crate::harness::ISSUER, "audience": [crate::harness::AUDIENCE],
        "keys": {"secret": "TEST_SECRET"}, "algorithms": ["HS256"], "leeway_secs": 60}]);
    let lenient =
        Stack::start(&Options { settings: vec![("ISSUERS", Some(issuers.to_string()))], ..Options::default() });
    let soon = token_with(&user("expires"), json!({"iat": now() - 100, "exp": now() - 57}));
    let create = create_of(&soon, "late");
    assert_eq!(create.send(&stack.worker).status, 401, "without leeway it has expired");
    let refused = create.send_slowly(&lenient.worker, Duration::from_secs(5));
    assert_refused(&refused, 401, "authentication_error", "invalid_token");
    lenient.assert_logged("expired_while_sending");
    assert!(lenient.vendor_requests().is_empty());
    let valid = token_with(&user("expires"), json!({"iat": now() - 100, "exp": now() - 40}));
    assert_eq!(create_of(&valid, "in time").send(&lenient.worker).status, 201);
}

#[test]
fn refused_bodies_leave_the_wasm_memory_as_it_was() {
    const ALLOWED_GROWTH: u64 = 4 * 1024 * 1024;
    let stack = Stack::start(&Options { test_exports: true, ..Options::default() });
    let token = token(&user("greedy"));
    let memory = || stack.send(&Request::get("/test/memory")).json().as_u64().unwrap();
    assert_eq!(stack.create(&token).status, 201);
    let before = memory();
    let fill = |unit: &str| {
        let count = (1024 * 1024 - 64) / (unit.len() + 1);
        format!("{{\"predictions\":[{}]}}", vec![unit; count].join(","))
    };
    let nested = format!("{}1{}", "{\"a\":".repeat(15), "}".repeat(15));
    let arrays = format!("{}1{}", "[".repeat(15), "]".repeat(15));
    let inputs = format!("{{\"model\":\"acme/model-x\",\"input\":{{\"prompt\":{}}}}}", "{\"a\":{\"a\":{\"a\":1}}}");
    let flat = format!("{{{}}}", (0..100_000).map(|number| format!("\"{number}\":1")).collect::<Vec<_>>().join(","));
    let text = format!(
        "{{\"predictions\":[{{\"model\":\"acme/model-x\",\"input\":{{\"prompt\":\"{}\"}}}}]}}",
        "x".repeat(1_000_000)
    );
    let bodies = [fill(&nested), fill("{\"a\":1}"), fill(&arrays), fill(&inputs), fill("{}"), flat, text];
    let count = 1_000 / bodies.len() + 1;
    std::thread::scope(|scope| {
        for body in &bodies {
            let (stack, token) = (&stack, &token);
            scope.spawn(move || {
                for _ in 0..count {
                    let refused = send_text(stack, token, BATCH, body.as_bytes());
                    assert_eq!(refused.status, 400, "{}", refused.text());
                }
            });
        }
    });
    let grown = memory().saturating_sub(before);
    assert!(grown <= ALLOWED_GROWTH, "{grown} bytes");
    assert_eq!(stack.create(&token).status, 201, "the next one is fine");
}
