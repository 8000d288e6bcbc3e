//! Parses the JSON text of POLICY into a [`Policy`]: checks every rule of contract 4, and reports all problems at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::constants::{
    FILE_BYTES_DEFAULT, FILE_BYTES_MAX, FILES_DEFAULT, POLICY_MAX_DEPTH, POLICY_NUMBER_MAX, WAIT_MAX_SECS, WEIGHT_MAX,
};
use crate::parse::json::parse_strict;
use crate::parse::number::parse_whole;
use crate::parse::problem::{Place, SettingProblem};
use crate::policy::fields::{CREDITS_RULE, Fields, is_plain_name, parse_credits};
use crate::policy::input_rule::InputRule;
use crate::policy::model_rules::ModelRules;
use crate::policy::plans::{DEFAULT_PLAN, GUEST_PLAN, Plan, Policy, VendorKeyLimits};
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

/// The members of `POLICY`.
pub const POLICY_MEMBERS: [&str; 3] = ["plans", "models", "key"];
/// The members of a plan.
pub const PLAN_MEMBERS: [&str; 13] = [
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

/// The members of `key`.
pub const KEY_MEMBERS: [&str; 5] =
    ["requests_per_minute", "concurrent_predictions", "daily_credits", "expected_other_requests_per_minute", "queue"];
/// The members of `key.queue`.
pub const QUEUE_MEMBERS: [&str; 2] = ["max_waiting", "max_wait_secs"];

/// Parses POLICY.
///
/// # Errors
/// All problems, such as `plans.default.daily_credits is missing`. They name places and rules, never values.
pub fn parse_policy(text: &str) -> Result<Policy, Vec<SettingProblem>> {
    let value = parse_strict(text.as_bytes(), POLICY_MAX_DEPTH).map_err(|problem| vec![problem.into()])?;
    let mut problems = Vec::new();
    let mut root = Fields::new(Place::default(), &value, &POLICY_MEMBERS, &mut problems);
    for name in ["plans", "models"] {
        if !root.has(name) {
            root.add_problem(name, "is missing");
        }
    }
    let empty = json!({});
    let models = value.get("models").map(|models| parse_models(models, &mut problems)).unwrap_or_default();
    let key = parse_key(value.get("key").unwrap_or(&empty), &mut problems);
    let plans = value.get("plans").map(|plans| parse_plans(plans, &models, &key, &mut problems)).unwrap_or_default();
    let most_items = models.values().flat_map(|rules| rules.input.values()).map(InputRule::most_items).max();
    let most_items = most_items.unwrap_or_default();
    if problems.is_empty() { Ok(Policy { plans, models, key, most_items }) } else { Err(problems) }
}

fn parse_models(value: &Value, problems: &mut Vec<SettingProblem>) -> BTreeMap<ModelId, ModelRules> {
    let place = Place::default().member("models");
    let Some(members) = value.as_object() else {
        problems.push(SettingProblem::new(&place, "is not an object"));
        return BTreeMap::new();
    };
    if members.is_empty() {
        problems.push(SettingProblem::new(&place, "has no model"));
    }
    let mut models = BTreeMap::new();
    for (index, (name, rules)) in members.iter().enumerate() {
        let model = ModelId::parse(name);
        let place = if model.is_some() { place.member(name) } else { place.hidden_member(name, index) };
        if model.is_none() {
            problems.push(SettingProblem::new(&place, "has a name that is not owner/model in lower case"));
        }
        let rules = ModelRules::parse(&place, rules, problems);
        models.extend(model.map(|model| (model, rules)));
    }
    models
}

fn parse_plans(
    value: &Value,
    models: &BTreeMap<ModelId, ModelRules>,
    key: &VendorKeyLimits,
    problems: &mut Vec<SettingProblem>,
) -> BTreeMap<String, Plan> {
    let place = Place::default().member("plans");
    let Some(members) = value.as_object() else {
        problems.push(SettingProblem::new(&place, "is not an object"));
        return BTreeMap::new();
    };
    if !members.contains_key(DEFAULT_PLAN) {
        problems.push(SettingProblem::new(&place.member(DEFAULT_PLAN), "is missing"));
    }
    let mut plans = BTreeMap::new();
    for (index, (name, plan)) in members.iter().enumerate() {
        let is_good = is_plain_name(name);
        let place = if is_good { place.member(name) } else { place.hidden_member(name, index) };
        if !is_good {
            problems.push(SettingProblem::new(&place, "has a name that is not 1 to 32 of a-z, 0-9, _ and -"));
        }
        let fields = Fields::new(place, plan, &PLAN_MEMBERS, problems);
        plans.insert(name.clone(), parse_plan(name, fields, models, key));
    }
    plans
}

fn parse_plan(
    name: &str,
    mut fields: Fields<'_>,
    models: &BTreeMap<ModelId, ModelRules>,
    key: &VendorKeyLimits,
) -> Plan {
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
    let items = fields.get("models")?.as_array().filter(|items| !items.is_empty());
    let Some(items) = items else {
        fields.add_problem("models", "is not [\"*\"] or a list of owner/model names");
        return None;
    };
    if matches!(items.as_slice(), [only] if only == "*") {
        return None;
    }
    let mut listed = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().and_then(ModelId::parse).filter(|model| models.contains_key(model)) {
            Some(model) => listed.push(model),
            None => fields.add_problem_at(&fields.place_of("models").item(index), "is not one of the models in models"),
        }
    }
    Some(listed)
}

fn parse_key(value: &Value, problems: &mut Vec<SettingProblem>) -> VendorKeyLimits {
    let mut fields = Fields::new(Place::default().member("key"), value, &KEY_MEMBERS, problems);
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
        let mut fields = Fields::new(fields.place_of("queue"), queue, &QUEUE_MEMBERS, fields.problems());
        grant.max_waiting = fields.read_number("max_waiting", 500, 0..=10_000);
        grant.max_wait_secs = fields.read_number("max_wait_secs", 600, 1..=WAIT_MAX_SECS);
    }
    grant
}

fn nullable<T>(read: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| if value.is_null() { Some(None) } else { read(value).map(Some) }
}
