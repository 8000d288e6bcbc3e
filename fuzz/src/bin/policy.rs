//! Input: the setting `POLICY`.
//!
//! - An accepted policy has a default plan, keeps all bounds and accepts its own default inputs.
//! - It has the same meaning when it is written again, also with the input rules that `GET /v1/models` returns.
//! - A problem contains no value.

#![cfg_attr(fuzzing, no_main)]

use serde_json::{Value, json};
use valetkey::policy::{Policy, parse_policy};
use valetkey_fuzz::json;
use valetkey_fuzz::settings::{grant, policy};

valetkey_fuzz::target!(check);

fn check(data: &[u8]) {
    let text = json::text(data, &[policy()]);
    let Ok(text) = std::str::from_utf8(&text) else { return };
    let value = serde_json::from_str::<Value>(text).unwrap_or_default();
    match parse_policy(text) {
        Ok(policy) => check_policy(&policy, &value),
        Err(problems) => assert!(!problems.is_empty()),
    }
    if let Err(problems) = parse_policy(&json::with_marker(&value, data).to_string()) {
        assert!(!problems.iter().any(|problem| problem.text.contains(json::MARKER)), "{problems:?}");
    }
}

fn check_policy(policy: &Policy, value: &Value) {
    let default = policy.plans.get("default").expect("the default plan");
    assert_eq!(policy.plan_for(&grant()), Some(default));
    for (name, plan) in &policy.plans {
        assert_eq!(name, &plan.name);
        assert!(
            [plan.requests_per_minute, plan.predictions_per_minute, plan.concurrent_predictions, plan.weight]
                .iter()
                .all(|number| *number >= 1)
        );
        assert!(plan.pool_waiting_share > 0.0 && plan.pool_waiting_share <= 1.0);
        assert!(plan.models.iter().flatten().all(|model| policy.models.contains_key(model)));
        assert!(name != "guest" || plan.pool_daily_credits.is_some(), "guests without pool_daily_credits");
    }
    assert!(!policy.models.is_empty());
    for rules in policy.models.values() {
        assert!((1..=64).contains(&rules.max_image_count) && rules.max_seconds >= 1);
        for rule in rules.input.values() {
            assert!(rule.default.is_none() || !rule.required);
        }
    }
    assert!(policy.key.expected_other_requests_per_minute < policy.key.requests_per_minute);
    assert_eq!(parse_policy(&value.to_string()).as_ref(), Ok(policy));

    // `GET /v1/models` returns all input rules and the price of a model.
    let mut shown = value.clone();
    for (model, view) in policy.models_for(&grant()) {
        let rules = &mut shown["models"][model.as_str()];
        assert_eq!(view["id"], json!(model.as_str()));
        (rules["input"], rules["credits"]) = (view["input"].clone(), view["credits"].clone());
    }
    assert_eq!(parse_policy(&shown.to_string()).as_ref(), Ok(policy));
}
