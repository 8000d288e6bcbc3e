//! `/v1/account*` and `/v1/models*` show the caller's own account and models.

use serde_json::json;

use crate::harness::{shared, token, token_with, user};

#[test]
fn the_account_shows_the_callers_plan_and_use() {
    let (stack, name) = (shared(), user("account"));
    let token = token_with(&name, json!({"plan": "poor"}));
    let before = stack.get(&token, "/v1/account").json();
    assert_eq!(before["plan"], "poor");
    assert_eq!(before["credits_balance"], "5");
    assert_eq!(before["usage"]["predictions"], 0);
    let id = stack.create(&token).json()["job_id"].as_str().unwrap().to_owned();
    let during = stack.get(&token, "/v1/account").json();
    assert_eq!(during["credits_balance"], "2.5");
    stack.ended(&token, &id);
    let after = stack.get(&token, "/v1/account").json();
    assert_eq!(after["usage"]["credits_spent"], "2.5");
    assert_eq!(after["usage"]["credits_reserved"], "0");
    assert_eq!(after["usage"]["predictions"], 1);
    assert_eq!(after["usage"]["running"], 0);
    assert_eq!(after["limits"]["daily_credits"], "5");
    let usage = stack.get(&token, "/v1/account/usage").json();
    assert_eq!(usage["data"][0]["credits_spent"], "2.5");
    let balance = stack.get(&token, "/v1/account/balance").json();
    assert_eq!((&balance["credits_balance"], &balance["daily_credits"]), (&json!("2.5"), &json!("5")));
    assert!(balance["resets_at"].as_str().unwrap().ends_with("T00:00:00Z"));
    let limits = stack.get(&token, "/v1/account/rate-limits").json();
    assert_eq!(limits["concurrent_predictions"]["running"], 0);
}

#[test]
fn a_burst_never_overspends_the_daily_credits() {
    let stack = shared();
    let token = token_with(&user("burst"), json!({"plan": "poor"}));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let token = token.clone();
            std::thread::spawn(move || shared().create(&token).status)
        })
        .collect();
    let mut statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 402, 402, 402, 402, 402, 402]);
    assert_eq!(stack.get(&token, "/v1/account").json()["credits_balance"], "0");
}

#[test]
fn models_are_those_that_plan_and_token_allow() {
    let stack = shared();
    let ids = |token: &str| -> Vec<String> {
        let answer = stack.get(token, "/v1/models");
        assert_eq!(answer.header("cache-control"), Some("private, max-age=60"));
        let data = answer.json()["data"].as_array().unwrap().clone();
        data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let everything = ids(&token(&user("models")));
    assert!(everything.contains(&"acme/model-x".to_owned()), "{everything:?}");
    let narrow = token_with(&user("models"), json!({"plan": "narrow"}));
    assert!(!ids(&narrow).contains(&"acme/model-x".to_owned()));
    let by_token = token_with(&user("models"), json!({"vk": {"models": ["acme/model-x"]}}));
    assert_eq!(ids(&by_token), ["acme/model-x"]);
    let one = stack.get(&by_token, "/v1/models/acme/model-x").json();
    assert_eq!((&one["id"], &one["credits"]), (&json!("acme/model-x"), &json!("2.5")));
    assert_eq!(one["input"]["prompt"], json!({"type": "string", "required": true, "max_length": 4000}));
    assert_eq!(stack.get(&by_token, "/v1/models/acme/model-y").error().2, "not_found");
}
