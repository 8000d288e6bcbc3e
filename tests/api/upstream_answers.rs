//! Every response of the vendor to a create, and its effect: the table of protocol 1, over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{MODEL, Options, Stack, VENDOR_KEY, policy, token, user};
use crate::http::{Request, Response};

const ENVELOPE: &str = r#"{"error":{"type":"api_error","message":"vendor words","code":"X"}}"#;

pub fn error_of(answer: &Response) -> (u16, String, String) {
    answer.error()
}

pub fn job_id(answer: &Response) -> String {
    let body = answer.json();
    let id = body["job_id"].as_str().or_else(|| body["error"]["details"]["job_id"].as_str());
    id.unwrap_or_else(|| panic!("no job_id: {body}")).to_owned()
}

/// Creates a prediction under a fault and reads it. Checks that no response contains any text of the vendor.
pub fn create_under(stack: &Stack, fault: &Value) -> (Response, Value, String) {
    let token = token(&user("fault"));
    stack.fault("create", 1, fault);
    let created = stack.create(&token);
    stack.clear_faults();
    let id = job_id(&created);
    let prediction = stack.get(&token, &format!("/v1/predictions/{id}"));
    for answer in [&created, &prediction] {
        let everything = answer.everything();
        assert!(!everything.contains("vendor words") && !everything.contains("evil.example"), "{everything}");
        assert!(!everything.contains(VENDOR_KEY));
    }
    (created, prediction.json(), token)
}

pub fn credits(stack: &Stack, token: &str) -> (Value, Value) {
    let usage = stack.get(token, "/v1/account").json()["usage"].clone();
    (usage["credits_spent"].clone(), usage["credits_reserved"].clone())
}

pub fn assert_failed(prediction: &Value, code: &str) {
    assert_eq!(
        (prediction["status"].as_str(), prediction["error"]["code"].as_str()),
        (Some("failed"), Some(code)),
        "{prediction}"
    );
}

#[test]
fn a_refused_input_is_a_400_and_costs_nothing() {
    let stack = Stack::start(&Options::default());
    for status in [400, 422] {
        let (created, prediction, token) = create_under(&stack, &json!({"status": status, "body": ENVELOPE}));
        assert_eq!(error_of(&created), (400, "invalid_request_error".into(), "invalid_parameter".into()));
        assert_failed(&prediction, "upstream_rejected");
        assert_eq!(credits(&stack, &token), (json!("0"), json!("0")));
    }
}

#[test]
fn other_refusals_are_a_502_and_cost_nothing() {
    let stack = Stack::start(&Options::default());
    for fault in [
        json!({"status": 409, "body": ENVELOPE}),
        json!({"redirect": {"status": 301, "location": "https://evil.example/steal"}}),
        json!({"redirect": {"status": 302, "location": "http://evil.example/x"}}),
        json!({"redirect": {"status": 307, "location": "https://evil.example/x"}}),
    ] {
        let (created, prediction, token) = create_under(&stack, &fault);
        assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_rejected".into()), "{fault}");
        assert_eq!(created.header("location"), None);
        assert_failed(&prediction, "upstream_rejected");
        assert_eq!(credits(&stack, &token), (json!("0"), json!("0")));
    }
    stack.assert_logged("vendor_redirected");
}

#[test]
fn a_5xx_with_the_vendors_envelope_is_a_refusal() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, token) = create_under(&stack, &json!({"status": 500, "body": ENVELOPE}));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()));
    assert_failed(&prediction, "upstream_rejected");
    assert_eq!(credits(&stack, &token), (json!("0"), json!("0")));
}

#[test]
fn ambiguous_responses_leave_an_unknown_outcome_that_is_never_resent() {
    let stack = Stack::start(&Options::default());
    let faults = [
        (json!({"status": 500, "body": "{\"detail\":\"x\"}"}), 502, "upstream_error"),
        (json!({"invalid_json": true}), 502, "upstream_error"),
        (json!({"status": 201, "body": "{}"}), 502, "upstream_error"),
        (json!({"close_before": true}), 504, "upstream_timeout"),
    ];
    for (fault, status, code) in faults {
        let (created, prediction, token) = create_under(&stack, &fault);
        assert_eq!(error_of(&created), (status, "api_error".into(), code.into()), "{fault}");
        assert_failed(&prediction, "outcome_unknown");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "it counts as spent");
    }
    let creates = stack.vendor_requests().iter().filter(|request| request["method"] == "POST").count();
    assert_eq!(creates, 4, "each was sent once");
}

#[test]
fn an_html_page_an_unknown_status_and_a_truncated_response_are_ambiguous_too() {
    let stack = Stack::start(&Options::default());
    for fault in [
        json!({"status": 599, "body": "<h1>vendor words</h1>", "content_type": "text/html"}),
        json!({"status": 201, "body": "{\"id\":"}),
        json!({"status": 201, "body": "<h1>vendor words</h1>", "content_type": "text/html"}),
    ] {
        let (created, prediction, token) = create_under(&stack, &fault);
        assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()), "{fault}");
        assert_failed(&prediction, "outcome_unknown");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "it counts as spent");
    }
    let creates = stack.vendor_requests().iter().filter(|request| request["method"] == "POST").count();
    assert_eq!(creates, 3, "each was sent once");
}

#[test]
fn an_accepted_prediction_whose_response_was_lost_is_not_created_twice() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, _) = create_under(&stack, &json!({"close_after": true}));
    assert_eq!(created.status, 504);
    assert_failed(&prediction, "outcome_unknown");
    std::thread::sleep(Duration::from_secs(3));
    let state = stack.control_get("/state");
    assert_eq!(state["predictions"].as_array().unwrap().len(), 1, "{state}");
}

#[test]
fn a_huge_response_is_cut_off() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, _) = create_under(&stack, &json!({"status": 200, "huge_body": {"bytes": 200_000_000}}));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()));
    assert_failed(&prediction, "outcome_unknown");
}

#[test]
fn a_throttled_create_is_queued_and_retried() {
    let stack = Stack::start(&Options::default());
    for fault in [
        json!({"status": 429, "body": ENVELOPE, "headers": {"Retry-After": "1"}}),
        json!({"status": 503, "body": "x", "headers": {"Retry-After": "1"}}),
    ] {
        let (created, _, token) = create_under(&stack, &fault);
        assert_eq!(created.status, 202, "{}", created.text());
        let ended = stack.ended(&token, &job_id(&created));
        assert_eq!(ended["status"], "succeeded");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")));
    }
}

/// Returns a stack whose queue holds a create for ten seconds at most: less than any pause after a vendor failure.
fn short_queue() -> Stack {
    let mut policy = policy();
    policy["key"]["queue"] = json!({"max_wait_secs": 10});
    Stack::start(&Options { settings: vec![("POLICY", Some(policy.to_string()))], ..Options::default() })
}

#[test]
fn a_refused_key_is_a_503_and_is_probed_once_in_half_a_minute() {
    for status in [401, 402] {
        let stack = short_queue();
        let (created, prediction, _) =
            create_under(&stack, &json!({"status": status, "echo_authorization": {"in": "body"}}));
        assert_eq!(created.status, 202, "{}", created.text());
        assert_eq!(prediction["status"], "queued");
        let refused = stack.create(&token(&user("later")));
        assert_eq!(error_of(&refused), (503, "api_error".into(), "upstream_unavailable".into()));
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        stack.assert_logged("vendor_key_refused");
        assert!(!stack.worker_log().contains(VENDOR_KEY));
        let creates = stack.vendor_requests().iter().filter(|request| request["method"] == "POST").count();
        assert_eq!(creates, 1, "the next one is a probe, half a minute later");
    }
}

#[test]
fn while_the_key_is_refused_creates_are_queued() {
    let stack = Stack::start(&Options::default());
    let (created, _, _) = create_under(&stack, &json!({"status": 401, "body": ENVELOPE}));
    let later = stack.create(&token(&user("later")));
    assert_eq!((created.status, later.status), (202, 202), "{}", later.text());
    // The create that the vendor refused goes back to the front.
    let positions = [created.json(), later.json()].map(|body| body["queue"]["position"].clone());
    assert_eq!(positions, [json!(1), json!(2)]);
    assert!(later.json()["queue"]["eta_seconds"].as_u64().unwrap() >= 30);
}

#[test]
fn five_failures_in_a_row_open_the_circuit() {
    let stack = short_queue();
    stack.fault("create", 100, &json!({"status": 500, "body": ENVELOPE}));
    let token = token(&user("circuit"));
    let codes: Vec<String> = (0..7).map(|_| stack.create(&token).error().2).collect();
    assert_eq!(codes[..5], ["upstream_error"; 5].map(String::from));
    assert_eq!(codes[5..], ["upstream_unavailable"; 2].map(String::from));
    stack.assert_logged("circuit_opened");
}

#[test]
fn a_client_that_disconnects_loses_nothing() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("leaver"));
    stack.fault("create", 1, &json!({"delay_ms": 5_000}));
    let body = json!({"input": {"prompt": "p"}});
    Request::post(MODEL).bearer(&token).json(&body).send_and_leave(&stack.worker, || stack.assert_sent(&["p"]));
    let listed = stack.get(&token, "/v1/predictions").json();
    let id = listed["data"][0]["job_id"].as_str().unwrap().to_owned();
    assert_eq!(listed["data"][0]["status"], "processing");
    let ended = stack.ended(&token, &id);
    assert_eq!(ended["status"], "succeeded");
    assert_eq!(stack.control_get("/state")["predictions"].as_array().unwrap().len(), 1);
}

#[test]
fn only_the_dispatcher_polls_the_vendor() {
    let stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "6000"], ..Options::default() });
    let token = token(&user("reader"));
    let id = job_id(&stack.create(&token));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        for _ in 0..20 {
            assert_eq!(stack.get(&token, &format!("/v1/predictions/{id}")).status, 200);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let polls = stack.vendor_requests().iter().filter(|request| request["method"] == "GET").count();
    // At most one in two seconds, however long the last reads took.
    let most = usize::try_from(start.elapsed().as_secs() / 2 + 1).unwrap();
    assert!((1..=most).contains(&polls), "{polls} of {most}");
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
}

#[test]
fn failed_polls_do_not_fail_the_prediction() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("polls"));
    stack.fault("get", 2, &json!({"status": 500, "body": ENVELOPE}));
    let id = job_id(&stack.create(&token));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
}

#[test]
fn a_failed_prediction_has_our_own_message() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("fails"));
    let body = json!({"input": {"prompt": "[fail] p"}});
    let id = job_id(&stack.send(&Request::post(MODEL).bearer(&token).json(&body)));
    let ended = stack.ended(&token, &id);
    assert_failed(&ended, "upstream_failed");
    assert_eq!(ended["error"]["message"], "The prediction service could not finish this prediction.");
}

#[test]
fn both_response_shapes_are_read() {
    let stack = Stack::start(&Options::default());
    for shape in ["flux", "rest"] {
        stack.control_put("/settings", &json!({"shape": shape}));
        let token = token(&user("shape"));
        let id = job_id(&stack.create(&token));
        let ended = stack.ended(&token, &id);
        assert_eq!((ended["status"].as_str(), ended["model"].as_str()), (Some("succeeded"), Some("acme/model-x")));
        assert_eq!(ended["output"].as_array().unwrap().len(), 1);
        assert!(!ended.to_string().contains("user_id"));
    }
}

#[test]
fn no_url_of_the_vendor_is_shown() {
    let stack = Stack::start(&Options::default());
    let urls = json!({"get": "https://evil.example/v1/predictions/a", "cancel": "https://evil.example/v1/predictions/a/cancel",
        "stream": "https://evil.example/v1/files/secret"});
    let fault = json!({"merge": {"urls": urls, "logs": "https://evil.example/logs", "web": "https://evil.example/p"}});
    stack.fault("get", 1, &fault);
    let (created, prediction, token) = create_under(&stack, &fault);
    assert_eq!(created.status, 201, "{}", created.text());
    let ours = format!("http://{}/v1/predictions/{}", stack.worker, job_id(&created));
    assert_eq!(created.json()["urls"]["get"], ours.as_str());
    assert_eq!(prediction["urls"], created.json()["urls"]);
    let ended = stack.ended(&token, &job_id(&created));
    assert!(!ended.to_string().contains("evil.example"), "{ended}");
}

#[test]
fn unsafe_outputs_are_dropped() {
    let stack = Stack::start(&Options::default());
    let outputs = json!([
        "javascript:alert(1)",
        "http://10.0.0.1/x",
        "https://u:p@cdn.example/x",
        "https://cdn.example/good.png"
    ]);
    stack.fault("get", 1, &json!({"merge": {"status": "succeeded", "output": outputs, "secret_note": "vendor words"}}));
    let token = token(&user("outputs"));
    let id = job_id(&stack.create(&token));
    let ended = stack.ended(&token, &id);
    assert_eq!(ended["output"], json!(["https://cdn.example/good.png"]));
    assert!(ended.get("secret_note").is_none());
}

#[test]
fn a_prediction_that_ends_at_once_is_a_201_with_its_output() {
    let stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "0"], ..Options::default() });
    let merge = json!({"merge": {"status": "succeeded", "output": ["https://cdn.example/now.png"]}});
    stack.fault("create", 1, &merge);
    let created = stack.create(&token(&user("now")));
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["status"], "succeeded");
    assert_eq!(created.json()["output"], json!(["https://cdn.example/now.png"]));
}

#[test]
fn a_create_without_a_response_for_half_a_minute_times_out() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, token) = create_under(&stack, &json!({"delay_ms": 60_000}));
    assert_eq!(error_of(&created), (504, "api_error".into(), "upstream_timeout".into()));
    assert_failed(&prediction, "outcome_unknown");
    assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")));
}

#[test]
fn a_response_that_stops_midway_times_out() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("middle"));
    stack.fault("create", 1, &json!({"apply": true, "hang_after": 20}));
    let created = stack.create(&token);
    assert_eq!(created.status, 202, "the client does not wait as long as we do: {}", created.text());
    let ended = stack.ended(&token, &job_id(&created));
    assert_failed(&ended, "outcome_unknown");
    assert_eq!(stack.control_get("/state")["predictions"].as_array().unwrap().len(), 1);
}
