//! Tests of oddities that real servers have, each a fault of the simulator. A harmless oddity costs a user nothing, and
//! an oddity for one user does not affect another.

use serde_json::{Value, json};

use crate::harness::{Options, Stack, VENDOR_KEY, policy, token, token_with, user};
use crate::http::{Request, Response};
use crate::steps::wait_until;
use crate::upstream_answers::{assert_failed, create_under, credits, error_of, job_id};

const FOREVER: u32 = 1_000_000;
const OTHER_KEY: &str = "sk_live_Other0Other1Other2Other3-Other4";
/// Oddities that change no used member.
const HARMLESS: [&str; 6] = ["nan_time", "byte_order_mark", "lone_surrogate", "not_utf8", "repeated_members", "deep"];

fn odd(name: &str) -> Value {
    json!({ "odd": name })
}

/// Creates a prediction and waits for its end while every poll gets a fault.
fn polled_under(stack: &Stack, fault: &Value) -> (Value, String) {
    let token = token(&user("odd"));
    stack.fault("get", FOREVER, fault);
    let created = stack.create(&token);
    assert_eq!(created.status, 201, "{}", created.text());
    let ended = stack.ended(&token, &job_id(&created));
    stack.clear_faults();
    (ended, token)
}

fn creates_upstream(stack: &Stack) -> usize {
    stack.vendor_requests().iter().filter(|request| request["route"] == "create").count()
}

/// Creates a prediction of another model, which the simulator does not have.
fn create_other(stack: &Stack, token: &str) -> Response {
    stack.send(&Request::post("/v1/acme/model-y/predictions").bearer(token).json(&json!({"input": {"prompt": "p"}})))
}

#[test]
fn harmless_oddities_of_a_poll_are_read() {
    let stack = Stack::start(&Options::default());
    for name in HARMLESS.into_iter().chain(["long_logs", "status_completed"]) {
        let (ended, token) = polled_under(&stack, &odd(name));
        assert_eq!(
            (ended["status"].as_str(), ended["output"].as_array().unwrap().len()),
            (Some("succeeded"), 1),
            "{name}"
        );
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "{name}");
    }
    assert_eq!(stack.create(&token(&user("later"))).status, 201);
    assert!(!stack.worker_log().contains("\"event\":\"alert\""), "{}", stack.worker_log());
}

#[test]
fn harmless_oddities_of_a_create_are_read() {
    let stack = Stack::start(&Options::default());
    for name in HARMLESS {
        let (created, _, token) = create_under(&stack, &odd(name));
        assert_eq!(created.status, 201, "{name}: {}", created.text());
        assert_eq!(stack.ended(&token, &job_id(&created))["status"], "succeeded", "{name}");
    }
    assert!(!stack.worker_log().contains("\"event\":\"alert\""), "{}", stack.worker_log());
}

#[test]
fn large_answers_of_several_users_wait_for_each_other() {
    let stack = Stack::start(&Options::default());
    stack.fault("get", FOREVER, &odd("long_logs"));
    let tokens: Vec<String> = (0..5).map(|_| token(&user("large"))).collect();
    let ids: Vec<String> = tokens.iter().map(|token| job_id(&stack.create(token))).collect();
    for (token, id) in tokens.iter().zip(&ids) {
        assert_eq!(stack.ended(token, id)["status"], "succeeded");
    }
    assert!(!stack.worker_log().contains("vendor_answer_too_large"));
}

#[test]
fn a_poll_answer_above_4_mib_is_an_alert_and_touches_nobody_else() {
    let stack = Stack::start(&Options::default());
    stack.fault("get", FOREVER, &odd("too_long_logs"));
    let tokens: Vec<String> = (0..5).map(|_| token(&user("large"))).collect();
    let ids: Vec<String> = tokens.iter().map(|token| job_id(&stack.create(token))).collect();
    let polls = || stack.vendor_requests().iter().filter(|request| request["route"] == "get").count();
    wait_until("six polls", || (polls() >= 6).then_some(()));
    stack.assert_logged("vendor_answer_too_large");
    // The create may wait for a connection while five large bodies are read, but not because of the circuit breaker.
    let later = token(&user("later"));
    let created = stack.create(&later);
    assert!(matches!(created.status, 201 | 202), "{}", created.text());
    stack.clear_faults();
    for (token, id) in tokens.iter().zip(&ids).chain([(&later, &job_id(&created))]) {
        assert_eq!(stack.ended(token, id)["status"], "succeeded");
    }
    assert!(!stack.worker_log().contains("circuit_opened"));
}

#[test]
fn a_create_answer_above_1_mib_is_unknown_and_an_alert() {
    let stack = Stack::start(&Options::default());
    for _ in 0..6 {
        let (created, prediction, _) = create_under(&stack, &odd("long_logs"));
        assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()));
        assert_failed(&prediction, "outcome_unknown");
    }
    stack.assert_logged("vendor_answer_too_large");
    assert_eq!(stack.create(&token(&user("later"))).status, 201, "no failure of the vendor");
}

#[test]
fn unreadable_polls_do_not_stop_the_creates_of_everybody() {
    let stack = Stack::start(&Options::default());
    let tokens: Vec<String> = (0..6).map(|_| token(&user("unreadable"))).collect();
    for fault in [json!({"invalid_json": true}), json!({"status": 400}), json!({"redirect": {"location": "/x"}})] {
        stack.fault("get", 6, &fault);
        let ids: Vec<String> = tokens.iter().map(|token| job_id(&stack.create(token))).collect();
        for (token, id) in tokens.iter().zip(&ids) {
            assert_eq!(stack.ended(token, id)["status"], "succeeded", "{fault}");
        }
    }
    assert!(!stack.worker_log().contains("circuit_opened"));
}

#[test]
fn a_cost_is_rounded_up_or_the_reservation_is_booked() {
    let stack = Stack::start(&Options::default());
    for (name, spent) in [("long_cost", "7.300001"), ("text_cost", "2.5"), ("two_costs", "9")] {
        let (ended, token) = polled_under(&stack, &odd(name));
        assert_eq!((&ended["status"], &ended["credits_used"]), (&json!("succeeded"), &json!(spent)), "{name}");
        assert_eq!(credits(&stack, &token), (json!(spent), json!("0")), "{name}");
    }
    assert!(!stack.worker_log().contains("unreadable_cost"));
    for name in ["negative_cost", "unreadable_cost"] {
        let (ended, token) = polled_under(&stack, &odd(name));
        assert_eq!(ended["status"], "succeeded", "{name}");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "{name}: the reservation");
        stack.assert_logged("\"unreadable_cost\"");
    }
}

#[test]
fn a_503_with_any_retry_after_is_queued_again() {
    let stack = Stack::start(&Options::default());
    for name in ["retry_after_fraction", "retry_after_date"] {
        let (created, _, token) = create_under(&stack, &odd(name));
        assert_eq!(created.status, 202, "{name}: {}", created.text());
        assert_eq!(stack.ended(&token, &job_id(&created))["status"], "succeeded", "{name}");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")));
    }
    let (created, prediction, _) = create_under(&stack, &json!({"status": 503, "body": "down"}));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()), "without the header");
    assert_failed(&prediction, "outcome_unknown");
    let later = json!({"status": 429, "body": "", "headers": {"Retry-After": "1.5"}});
    let (created, _, token) = create_under(&stack, &later);
    assert_eq!(created.status, 202);
    assert_eq!(stack.ended(&token, &job_id(&created))["status"], "succeeded");
}

#[test]
fn the_error_envelope_in_a_200_is_a_refusal_and_free() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, token) = create_under(&stack, &odd("error_in_200"));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_rejected".into()));
    assert_failed(&prediction, "upstream_rejected");
    assert_eq!(credits(&stack, &token), (json!("0"), json!("0")));
    assert_eq!(creates_upstream(&stack), 1);
    // Any other 200 without an id has an unknown outcome.
    let (created, prediction, token) = create_under(&stack, &json!({"status": 200, "body": "{\"error\":\"x\"}"}));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()));
    assert_failed(&prediction, "outcome_unknown");
    assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")));
}

#[test]
fn two_different_ids_are_no_id() {
    let stack = Stack::start(&Options::default());
    let (created, prediction, _) = create_under(&stack, &odd("two_ids"));
    assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_error".into()));
    assert_failed(&prediction, "outcome_unknown");
    stack.assert_logged("vendor_ids_conflict");
    // A poll needs no id.
    let (ended, _) = polled_under(&stack, &odd("two_ids"));
    assert_eq!(ended["status"], "succeeded");
}

#[test]
fn a_firewalls_page_fails_one_prediction() {
    let stack = Stack::start(&Options::default());
    for _ in 0..3 {
        let (created, prediction, token) = create_under(&stack, &odd("firewall_page"));
        assert_eq!(error_of(&created), (502, "api_error".into(), "upstream_rejected".into()));
        assert_failed(&prediction, "upstream_rejected");
        assert_eq!(credits(&stack, &token), (json!("0"), json!("0")));
    }
    assert_eq!(stack.create(&token(&user("later"))).status, 201);
}

#[test]
fn a_model_pauses_after_the_vendors_own_refusals_of_two_users() {
    for status in [403, 404] {
        let stack = Stack::start(&Options::default());
        let one = token(&user("one"));
        stack.fault("create", 3, &json!({"status": status}));
        assert_eq!(stack.create(&one).error().2, "upstream_rejected");
        assert_eq!(stack.create(&one).error().2, "upstream_rejected", "one user alone pauses nothing");
        assert_eq!(stack.create(&token(&user("two"))).error().2, "upstream_rejected");
        let paused = stack.create(&token(&user("three")));
        assert_eq!(error_of(&paused), (503, "api_error".into(), "upstream_unavailable".into()));
        assert!(paused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 300);
        assert_eq!(creates_upstream(&stack), 3);
        assert_eq!(create_other(&stack, &one).error().2, "upstream_rejected", "another model is not paused");
    }
}

#[test]
fn a_model_that_works_is_not_paused() {
    let stack = Stack::start(&Options::default());
    assert_eq!(stack.create(&token(&user("good"))).status, 201);
    stack.fault("create", 2, &json!({"status": 403}));
    for name in ["one", "two"] {
        assert_eq!(stack.create(&token(&user(name))).error().2, "upstream_rejected");
    }
    assert_eq!(stack.create(&token(&user("three"))).status, 201);
}

#[test]
fn all_guests_are_one_user() {
    let mut policy = policy();
    policy["plans"]["guest"] = policy["plans"]["default"].clone();
    policy["plans"]["guest"]["pool_daily_credits"] = json!("100");
    policy["plans"]["guest"]["pool_waiting_share"] = json!(0.5);
    let settings = vec![("POLICY", Some(policy.to_string()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    let guest = || token_with(&user("guest"), json!({"plan": "guest"}));
    stack.fault("create", 2, &json!({"status": 403}));
    for token in [guest(), guest()] {
        assert_eq!(stack.create(&token).error().2, "upstream_rejected");
    }
    assert_eq!(stack.create(&guest()).status, 201);
}

#[test]
fn a_reset_in_milliseconds_is_ignored() {
    let stack = Stack::start(&Options::default());
    stack.fault("create", 1, &odd("reset_in_millis"));
    stack.fault("get", FOREVER, &odd("reset_in_millis"));
    let token = token(&user("reset"));
    let id = job_id(&stack.create(&token));
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded");
    assert_eq!(stack.create(&token).status, 201);
    stack.assert_logged("rate_limit_reset_ignored");
}

#[test]
fn polls_that_refuse_the_key_do_not_lose_the_picture() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("key"));
    stack.fault("get", 3, &json!({"status": 401, "echo_authorization": {"in": "body"}}));
    let created = stack.create(&token);
    let ended = stack.ended(&token, &job_id(&created));
    assert_eq!((ended["status"].as_str(), ended["output"].as_array().unwrap().len()), (Some("succeeded"), 1));
    let log = stack.worker_log();
    assert!(log.contains("vendor_key_refused") && log.contains("vendor_poll_refused"));
    assert!(!log.contains("prediction_lost_by_vendor") && !log.contains(VENDOR_KEY));
}

#[test]
fn a_key_that_stays_refused_loses_the_prediction_when_its_slot_ends() {
    let mut policy = policy();
    policy["models"]["acme/model-x"]["max_seconds"] = json!(2);
    for status in [401, 403] {
        let settings = vec![("POLICY", Some(policy.to_string()))];
        let simulator = vec!["--prediction-ms", "60000"];
        let stack = Stack::start(&Options { settings, simulator, ..Options::default() });
        let token = token(&user("key"));
        for route in ["get", "cancel"] {
            stack.fault(route, FOREVER, &json!({"status": status}));
        }
        let ended = stack.ended(&token, &job_id(&stack.create(&token)));
        assert_failed(&ended, "upstream_lost");
        assert_eq!(credits(&stack, &token), (json!("2.5"), json!("0")), "the reservation");
        stack.assert_logged("prediction_lost_by_vendor");
    }
}

#[test]
fn polls_and_cancels_try_the_other_key() {
    let settings = vec![("DEEPCREATIVE_API_KEY_NEXT", Some(OTHER_KEY.to_owned()))];
    let simulator = vec!["--prediction-ms", "60000", "--key", OTHER_KEY];
    let stack = Stack::start(&Options { settings, simulator, ..Options::default() });
    stack.control_put("/settings", &json!({"keys": {"add": [OTHER_KEY]}}));
    let token = token(&user("rotated"));
    let id = job_id(&stack.create(&token));
    stack.control_put("/settings", &json!({"keys": {"revoke": [VENDOR_KEY]}}));
    stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token));
    let ended = stack.ended(&token, &id);
    assert_eq!(ended["status"], "canceled");
    let cancels: Vec<Value> = stack
        .vendor_requests()
        .into_iter()
        .filter(|request| request["route"] == "cancel")
        .map(|request| request["status"].clone())
        .collect();
    assert_eq!(cancels, [json!(401), json!(200)]);
    let log = stack.worker_log();
    assert!(!log.contains(VENDOR_KEY) && !log.contains(OTHER_KEY));
}

#[test]
fn a_cancel_that_is_about_the_key_is_sent_again() {
    for status in [401, 402, 403, 429] {
        let stack = Stack::start(&Options { simulator: vec!["--prediction-ms", "60000"], ..Options::default() });
        let token = token(&user("cancel"));
        let id = job_id(&stack.create(&token));
        stack.fault("cancel", 1, &json!({"status": status, "headers": {"Retry-After": "1"}}));
        stack.send(&Request::post(&format!("/v1/predictions/{id}/cancel")).bearer(&token));
        assert_eq!(stack.ended(&token, &id)["status"], "canceled", "{status}");
    }
}

#[test]
fn a_final_status_word_ends_and_an_unknown_one_is_told() {
    let stack = Stack::start(&Options::default());
    let (ended, _) = polled_under(&stack, &odd("status_aborted"));
    assert_failed(&ended, "upstream_failed");
    assert!(!stack.worker_log().contains("unknown_vendor_status"));
    let token = token(&user("unknown"));
    stack.fault("get", 2, &odd("status_unknown"));
    let id = job_id(&stack.create(&token));
    stack.assert_logged("unknown_vendor_status");
    stack.assert_logged(r#""word":"archived""#);
    assert_eq!(stack.ended(&token, &id)["status"], "succeeded", "it was in progress");
    assert_eq!(stack.worker_log().matches("unknown_vendor_status").count(), 1, "told once");
}

#[test]
fn an_upload_is_read_as_leniently() {
    let stack = Stack::start(&Options::default());
    let token = token(&user("upload"));
    let upload = |fault: &Value| {
        stack.control_post("/reset", &json!({}));
        stack.fault("files", 1, fault);
        let request = Request::post("/v1/files").bearer(&token).header("Content-Type", "image/png");
        stack.send(&request.body(b"png"))
    };
    for name in ["byte_order_mark", "lone_surrogate", "not_utf8", "nan_time"] {
        let uploaded = upload(&odd(name));
        assert_eq!(uploaded.status, 201, "{name}: {}", uploaded.text());
    }
    let refused = upload(&odd("error_in_200"));
    assert_eq!(error_of(&refused), (502, "api_error".into(), "upstream_rejected".into()));
    let later = upload(&odd("retry_after_fraction"));
    assert_eq!(error_of(&later), (503, "api_error".into(), "upstream_unavailable".into()));
    assert_eq!(later.header("retry-after"), Some("2"));
    let unreadable = upload(&json!({"status": 201, "body": "{}"}));
    assert_eq!(error_of(&unreadable), (502, "api_error".into(), "upstream_error".into()));
}

/// An isolate has 128 MB and wasm memory never shrinks, so a whole body of 4 MiB must never be in wasm memory.
#[test]
fn a_hundred_large_answers_leave_wasm_memory_as_it_was() {
    let stack = Stack::start(&Options { test_exports: true, ..Options::default() });
    stack.control_put("/settings", &json!({"manual": true}));
    let memory = || stack.send(&Request::get("/test/memory")).json().as_f64().unwrap();
    let polls = || stack.vendor_requests().iter().filter(|request| request["route"] == "get").count();
    for _ in 0..20 {
        assert_eq!(stack.create(&token(&user("memory"))).status, 201);
    }
    let before = memory();
    assert!(before > 0.0);
    // 100 bytes less than 4 MiB with the rest of the object.
    stack.fault("get", 80, &json!({"huge_body": {"bytes": 4_194_200, "json": true}}));
    stack.fault("get", 20, &odd("deep"));
    let first = polls();
    wait_until("a hundred polls", || (polls() >= first + 100).then_some(()));
    let grown = memory() - before;
    assert!(grown < 4_000_000.0, "{grown} bytes more than before");
    assert!(!stack.worker_log().contains("circuit_opened"));
}
