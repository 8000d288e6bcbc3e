//! Messages to the Durable Objects themselves: revocation, unknown outcomes.

use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::harness::{ISSUER, MODEL, Options, Stack, now, policy, token, token_with, user};
use crate::http::Request;
use crate::stored::{dispatcher_state, one_slow_slot};

fn revoke(stack: &Stack, name: &str, revocation: &Value) {
    let ledger = UserKey::new(ISSUER, name);
    let answer = stack.send_to_object("LEDGER", ledger.as_str(), &json!({"ask": {"revoke": revocation}}));
    assert_eq!(answer, json!({"reply": "done"}));
}

#[test]
fn a_revoked_subject_is_refused_at_once_and_its_queue_is_canceled() {
    let stack = one_slow_slot();
    let name = user("revoked");
    let old = token(&name);
    let (running, waiting) = (stack.create(&old), stack.create(&old));
    assert_eq!((running.status, waiting.status), (201, 202));
    revoke(&stack, &name, &json!({"subject": {"issued_by": now()}}));
    for request in [Request::get("/v1/predictions"), Request::post(MODEL).json(&json!({"input": {"prompt": "p"}}))] {
        let refused = stack.send(&request.bearer(&old));
        assert_eq!(refused.error(), (401, "authentication_error".into(), "invalid_token".into()));
        assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        assert_eq!(refused.header("x-ratelimit-limit"), None, "as for any bad token");
    }
    let newer = token_with(&name, json!({"iat": now() + 1, "nbf": now() - 1}));
    let listed = stack.get(&newer, "/v1/predictions").json();
    let statuses: Vec<&str> =
        listed["data"].as_array().unwrap().iter().filter_map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["canceled", "processing"]);
    // Other users are not affected, and a kill loses no revocation.
    assert_eq!(stack.get(&token(&user("other")), "/v1/predictions").status, 200);
    let mut stack = stack;
    stack.restart_workerd();
    assert_eq!(stack.get(&old, "/v1/predictions").status, 401);
    assert_eq!(stack.get(&newer, "/v1/predictions").status, 200);
}

#[test]
fn one_revoked_token_is_refused_and_the_users_other_tokens_are_not() {
    let stack = Stack::start(&Options::default());
    let name = user("revoked");
    let (one, other) = (token_with(&name, json!({"jti": "one"})), token_with(&name, json!({"jti": "other"})));
    assert_eq!(stack.get(&one, "/v1/account").status, 200);
    revoke(&stack, &name, &json!({"token": {"jti": "one", "expires_at": (now() + 300) * 1_000}}));
    assert_eq!(stack.get(&one, "/v1/account").error().2, "invalid_token");
    assert_eq!(stack.get(&other, "/v1/account").status, 200);
}

#[test]
fn an_unknown_outcome_is_listed_until_its_slot_is_free() {
    let mut policy = policy();
    policy["models"]["acme/model-x"]["max_seconds"] = json!(3);
    let settings = vec![("POLICY", Some(policy.to_string()))];
    let stack = Stack::start(&Options { settings, ..Options::default() });
    stack.fault("create", 1, &json!({"close_after": true}));
    let created = stack.create(&token(&user("unlucky")));
    assert_eq!(created.error(), (504, "api_error".into(), "upstream_timeout".into()));
    let job_id = created.json()["error"]["details"]["job_id"].clone();
    assert_eq!(dispatcher_state(&stack)["unknown_outcomes"][0]["job_id"], job_id);
    crate::steps::wait_until("the slot to be back", || {
        (dispatcher_state(&stack)["unknown_outcomes"] == json!([])).then_some(())
    });
}
