//! What a create may ask for (contract 1 step 8, contract 2).

use serde_json::{Map, Value};

use super::model_rules::{ModelRules, is_input_name};
use super::{Plan, Policy};
use crate::constants::BATCH_MAX;
use crate::token::Grant;
use crate::types::credits::MicroCredits;
use crate::types::ids::FileId;
use crate::types::model::ModelId;
use crate::wire::rejection::{Code, Rejection};

/// A create that policy allows: what will be sent, and what it may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedCreate {
    /// The model of the path.
    pub model: ModelId,
    /// Every input that has a rule and a value or a default.
    pub input: Map<String, Value>,
    /// Images, 1 or more.
    pub image_count: u32,
    /// Price × images.
    pub credits: MicroCredits,
    /// The model's longest run.
    pub max_seconds: u32,
    /// Files in the input: where (RFC 6901), and which. Whether they are the caller's is for its Ledger to say.
    pub files: Vec<(String, FileId)>,
}

/// Checks a create: the model first, then the members of the body, then each input.
///
/// # Errors
/// 403 `model_not_allowed` alike for a model that is unknown, not in the plan, or not in the token; 400
/// `unsupported_parameter` or `invalid_parameter` with `details.param`.
pub fn check_create(
    policy: &Policy,
    grant: &Grant,
    model: &ModelId,
    body: Map<String, Value>,
) -> Result<CheckedCreate, Rejection> {
    check_body(rules_for(policy, grant, model)?, model, body)
}

/// What [`check_create`] does once the model is known to be allowed.
fn check_body(rules: &ModelRules, model: &ModelId, mut body: Map<String, Value>) -> Result<CheckedCreate, Rejection> {
    check_members(&body, model)?;
    let image_count = image_count(&body, rules)?;
    let credits = rules.credits.checked_mul(image_count).ok_or_else(|| invalid("image_count"))?;
    let Some(Value::Object(input)) = body.remove("input") else { return Err(invalid("input")) };
    let input = check_input(input, rules)?;
    let mut files = Vec::new();
    for (name, rule) in &rules.input {
        if let Some(value) = input.get(name) {
            rule.files(&format!("/{name}"), value, &mut files);
        }
    }
    Ok(CheckedCreate { model: model.clone(), input, image_count, credits, max_seconds: rules.max_seconds, files })
}

/// Checks a create whose body names the model itself: of a batch, or to be estimated.
///
/// # Errors
/// Those of [`check_create`], and 400 `invalid_parameter` where `model` is not `owner/model`.
pub fn check_named_create(
    policy: &Policy,
    grant: &Grant,
    body: Map<String, Value>,
) -> Result<CheckedCreate, Rejection> {
    check_create(policy, grant, &named_model(&body)?, body)
}

/// Checks a batch: 1 to 20 creates and nothing else. A parameter is named with its place, such as
/// `predictions[1].input.prompt`.
///
/// # Errors
/// Those of [`check_named_create`], of the first create whose model, else whose rest, is not acceptable.
pub fn check_batch(
    policy: &Policy,
    grant: &Grant,
    mut body: Map<String, Value>,
) -> Result<Vec<CheckedCreate>, Rejection> {
    if let Some(unknown) = body.keys().find(|name| *name != "predictions") {
        return Err(unsupported("", unknown));
    }
    let Some(Value::Array(items)) = body.remove("predictions") else { return Err(invalid("predictions")) };
    // More than the plan lets through in a minute could never be admitted together.
    let a_minute = policy.plan_for(grant).map_or(0, |plan| plan.predictions_per_minute);
    let most = BATCH_MAX.min(usize::try_from(a_minute).unwrap_or(usize::MAX));
    if !(1..=most).contains(&items.len()) {
        return Err(invalid("predictions"));
    }
    let placed = |index: usize, rejection: Rejection| Rejection {
        param: rejection.param.as_ref().map(|param| format!("predictions[{index}].{param}")),
        ..rejection
    };
    // The models of all before the inputs of any (contract 1 step 8).
    let model = |(index, item): (usize, Value)| {
        let Value::Object(item) = item else { return Err(invalid(format!("predictions[{index}]"))) };
        let model = named_model(&item).map_err(|rejection| placed(index, rejection))?;
        Ok((index, rules_for(policy, grant, &model)?, model, item))
    };
    let items: Vec<_> = items.into_iter().enumerate().map(model).collect::<Result<_, _>>()?;
    let check = |(index, rules, model, item): (usize, &ModelRules, ModelId, Map<String, Value>)| {
        check_body(rules, &model, item).map_err(|rejection| placed(index, rejection))
    };
    items.into_iter().map(check).collect()
}

fn named_model(body: &Map<String, Value>) -> Result<ModelId, Rejection> {
    body.get("model").and_then(Value::as_str).and_then(ModelId::parse).ok_or_else(|| invalid("model"))
}

/// The same 403 for a model that is unknown, not in the plan, or not in the token.
fn rules_for<'a>(policy: &'a Policy, grant: &Grant, model: &ModelId) -> Result<&'a ModelRules, Rejection> {
    let rules = policy.models.get(model).filter(|_| policy.allows(grant, model));
    rules.ok_or_else(|| Rejection::new(Code::ModelNotAllowed, "model"))
}

fn invalid(param: impl Into<String>) -> Rejection {
    Rejection::parameter(Code::InvalidParameter, "parameter", param)
}

/// `input`, `image_count`, and the vendor's own `model` and `provider` where they say what the path says. Nothing
/// else: a `webhook` would make the vendor call whomever a client names.
fn check_members(body: &Map<String, Value>, model: &ModelId) -> Result<(), Rejection> {
    for (name, value) in body {
        let is_good = match name.as_str() {
            "input" | "image_count" => true,
            "model" => value == model.name() || value == model.as_str(),
            "provider" => value == model.owner(),
            _ => return Err(unsupported("", name)),
        };
        if !is_good {
            return Err(invalid(name.as_str()));
        }
    }
    Ok(())
}

/// A client's own word is shown back only if it is plain.
fn unsupported(before: &str, name: &str) -> Rejection {
    let rejection = Rejection::new(Code::UnsupportedParameter, "parameter_unknown");
    if is_input_name(name) { Rejection { param: Some(format!("{before}{name}")), ..rejection } } else { rejection }
}

fn image_count(body: &Map<String, Value>, rules: &ModelRules) -> Result<u32, Rejection> {
    let Some(value) = body.get("image_count") else { return Ok(1) };
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.filter(|count| (1..=rules.max_image_count).contains(count)).ok_or_else(|| invalid("image_count"))
}

fn check_input(mut input: Map<String, Value>, rules: &ModelRules) -> Result<Map<String, Value>, Rejection> {
    if let Some(unknown) = input.keys().find(|name| !rules.input.contains_key(*name)) {
        return Err(unsupported("input.", unknown));
    }
    let mut checked = Map::new();
    for (name, rule) in &rules.input {
        match input.remove(name) {
            Some(value) if rule.accepts(&value) => drop(checked.insert(name.clone(), value)),
            None if !rule.required => drop(rule.default.clone().map(|default| checked.insert(name.clone(), default))),
            Some(_) | None => return Err(invalid(format!("input.{name}"))),
        }
    }
    Ok(checked)
}

impl Policy {
    /// The plan that enforces `grant`'s limits.
    ///
    /// # Errors
    /// None with a parsed policy, which always has the plan `default`.
    pub fn limits_for(&self, grant: &Grant) -> Result<&Plan, Rejection> {
        self.plan_for(grant).ok_or_else(|| Rejection::new(Code::Misconfigured, "plan"))
    }
}
