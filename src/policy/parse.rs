//! Parses the JSON text of POLICY into a [`Policy`]: checks every rule of contract 4, and reports all problems at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::constants::{
    FILE_BYTES_DEFAULT, FILE_BYTES_MAX, FILES_DEFAULT, POLICY_MAX_DEPTH, POLICY_NUMBER_MAX, WAIT_MAX_SECS, WEIGHT_MAX,
};
use crate::parse::json::parse_strict;
use crate::parse::number::parse_whole;
use crate::policy::fields::{CREDITS_RULE, Fields, is_plain_name, parse_credits};
use crate::policy::input_rule::InputRule;
use crate::policy::model_rules::ModelRules;
use crate::policy::plans::{DEFAULT_PLAN, GUEST_PLAN, Plan, Policy, VendorKeyLimits};
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

const PLAN_MEMBERS: [&str; 13] = [
    "requests_per_minute",
    "predictions_per_minute",
    "concurrent_predictions",
    "daily_credits",
    "models",
    "weight",
    "max_waiting",
    "max_files",
    "max_file_bytes",
    "pool_daily_credits",
    "pool_waiting_share",
    "pool_weight",
    "pool_concurrent_predictions",
];

/// Parses POLICY.
///
/// # Errors
/// All problems, such as `plans.default.daily_credits is missing`. They name places and rules, never values.
pub fn parse_policy(text: &str) -> Result<Policy, Vec<String>> {
    let value = parse_strict(text.as_bytes(), POLICY_MAX_DEPTH)
        .map_err(|_| vec!["is not JSON, has a member twice, or nests too deep".to_owned()])?;
    let mut problems = Vec::new();
    let mut root = Fields::new("POLICY", &value, &["plans", "models", "key"], &mut problems);
    for name in ["plans", "models"] {
        if !root.has(name) {
            root.add_problem(name, "is missing");
        }
    }
    let empty = json!({});
    let models = parse_models(value.get("models").unwrap_or(&empty), &mut problems);
    let key = parse_key(value.get("key").unwrap_or(&empty), &mut problems);
    let plans = parse_plans(value.get("plans").unwrap_or(&empty), &models, &key, &mut problems);
    for problem in &mut problems {
        // Each problem is shown together with the variable's name, so it does not repeat that.
        if let Some(rest) = problem.strip_prefix("POLICY.") {
            *problem = rest.to_owned();
        }
    }
    let most_items = models.values().flat_map(|rules| rules.input.values()).map(InputRule::most_items).max();
    let most_items = most_items.unwrap_or_default();
    if problems.is_empty() { Ok(Policy { plans, models, key, most_items }) } else { Err(problems) }
}

fn parse_models(value: &Value, problems: &mut Vec<String>) -> BTreeMap<ModelId, ModelRules> {
    let Some(members) = value.as_object() else {
        problems.push("models is not an object".to_owned());
        return BTreeMap::new();
    };
    if members.is_empty() {
        problems.push("models has no model".to_owned());
    }
    let mut models = BTreeMap::new();
    for (name, rules) in members {
        let Some(model) = ModelId::parse(name) else {
            problems.push("models has a name that is not owner/model in lower case".to_owned());
            continue;
        };
        let rules = ModelRules::parse(&format!("models.{model}"), rules, problems);
        models.insert(model, rules);
    }
    models
}

fn parse_plans(
    value: &Value,
    models: &BTreeMap<ModelId, ModelRules>,
    key: &VendorKeyLimits,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Plan> {
    let Some(members) = value.as_object() else {
        problems.push("plans is not an object".to_owned());
        return BTreeMap::new();
    };
    if !members.contains_key(DEFAULT_PLAN) {
        problems.push("plans.default is missing".to_owned());
    }
    let mut plans = BTreeMap::new();
    for (name, plan) in members {
        if is_plain_name(name) {
            plans.insert(name.clone(), parse_plan(name, plan, models, key, problems));
        } else {
            problems.push("plans has a name that is not 1 to 32 of a-z, 0-9, _ and -".to_owned());
        }
    }
    plans
}

fn parse_plan(
    name: &str,
    value: &Value,
    models: &BTreeMap<ModelId, ModelRules>,
    key: &VendorKeyLimits,
    problems: &mut Vec<String>,
) -> Plan {
    let mut fields = Fields::new(&format!("plans.{name}"), value, &PLAN_MEMBERS, problems);
    if name == GUEST_PLAN {
        // Anyone can be a guest, so all guests together must have a limit.
        for member in ["pool_daily_credits", "pool_waiting_share"] {
            if fields.get(member).is_none_or(Value::is_null) {
                fields.add_problem(member, "is missing, and a plan named guest must have it");
            }
        }
    }
    let weight = fields.read_number("weight", 1, 1..=WEIGHT_MAX);
    // Anyone can be any number of guests, so all of them are one entry in the turns, with half of the slots.
    let is_guest = name == GUEST_PLAN;
    let half_of_the_slots = key.concurrent_predictions.div_euclid(2).max(1);
    Plan {
        name: name.to_owned(),
        requests_per_minute: fields.require_number("requests_per_minute", 1..=POLICY_NUMBER_MAX),
        predictions_per_minute: fields.require_number("predictions_per_minute", 1..=POLICY_NUMBER_MAX),
        concurrent_predictions: fields.require_number("concurrent_predictions", 1..=POLICY_NUMBER_MAX),
        daily_credits: fields.require("daily_credits", MicroCredits::ZERO, CREDITS_RULE, parse_credits),
        models: parse_plan_models(&mut fields, models),
        weight,
        max_waiting: fields.read_number("max_waiting", 20, 0..=POLICY_NUMBER_MAX),
        max_files: fields.read_number("max_files", FILES_DEFAULT, 0..=POLICY_NUMBER_MAX),
        max_file_bytes: fields.read(
            "max_file_bytes",
            FILE_BYTES_DEFAULT,
            "is not a whole number from 0 to 1000000000000",
            |value| parse_whole::<u64>(value).filter(|bytes| *bytes <= FILE_BYTES_MAX),
        ),
        pool_daily_credits: fields.read("pool_daily_credits", None, CREDITS_RULE, nullable(parse_credits)),
        pool_waiting_share: fields.read("pool_waiting_share", 1.0, "is not a number above 0 and at most 1", |value| {
            value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0)
        }),
        pool_weight: fields.read_optional_number("pool_weight", is_guest.then_some(weight), 1..=WEIGHT_MAX),
        pool_concurrent_predictions: fields.read_optional_number(
            "pool_concurrent_predictions",
            is_guest.then_some(half_of_the_slots),
            1..=POLICY_NUMBER_MAX,
        ),
    }
}

/// Reads the models of a plan. `["*"]`, the default, means all of them; other names must be in the price table.
fn parse_plan_models(fields: &mut Fields<'_>, models: &BTreeMap<ModelId, ModelRules>) -> Option<Vec<ModelId>> {
    let value = fields.get("models")?;
    let names: Option<Vec<&str>> = value.as_array().map(|items| items.iter().filter_map(Value::as_str).collect());
    match names.as_deref() {
        Some(["*"]) => return None,
        Some(names) if !names.is_empty() && Some(names.len()) == value.as_array().map(Vec::len) => {
            let listed: Vec<_> = names.iter().filter_map(|name| ModelId::parse(name)).collect();
            if listed.len() == names.len() && listed.iter().all(|model| models.contains_key(model)) {
                return Some(listed);
            }
            fields.add_problem("models", "names a model that is not in models");
        }
        _ => fields.add_problem("models", "is not [\"*\"] or a list of owner/model names"),
    }
    Some(Vec::new())
}

fn parse_key(value: &Value, problems: &mut Vec<String>) -> VendorKeyLimits {
    let known = [
        "requests_per_minute",
        "concurrent_predictions",
        "daily_credits",
        "expected_other_requests_per_minute",
        "queue",
    ];
    let mut fields = Fields::new("key", value, &known, problems);
    let mut grant = VendorKeyLimits {
        requests_per_minute: fields.read_number("requests_per_minute", 60, 1..=POLICY_NUMBER_MAX),
        concurrent_predictions: fields.read_number("concurrent_predictions", 5, 1..=1_000),
        daily_credits: fields.read("daily_credits", None, CREDITS_RULE, nullable(parse_credits)),
        expected_other_requests_per_minute: fields.read_number(
            "expected_other_requests_per_minute",
            0,
            0..=POLICY_NUMBER_MAX,
        ),
        max_waiting: 500,
        max_wait_secs: 600,
    };
    if grant.expected_other_requests_per_minute >= grant.requests_per_minute {
        fields.add_problem("expected_other_requests_per_minute", "leaves nothing of requests_per_minute");
    }
    if let Some(queue) = fields.get("queue") {
        let mut fields = Fields::new("key.queue", queue, &["max_waiting", "max_wait_secs"], fields.problems());
        grant.max_waiting = fields.read_number("max_waiting", 500, 0..=10_000);
        grant.max_wait_secs = fields.read_number("max_wait_secs", 600, 1..=WAIT_MAX_SECS);
    }
    grant
}

fn nullable<T>(read: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| if value.is_null() { Some(None) } else { read(value).map(Some) }
}
