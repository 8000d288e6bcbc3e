//! Checks the body of a create against `POLICY` (contract 1 step 8, contract 2).

use serde_json::{Map, Value};

use crate::constants::BATCH_MAX;
use crate::parse::number;
use crate::policy::model_rules::{ModelRules, is_input_name};
use crate::policy::plans::Policy;
use crate::token::Grant;
use crate::types::credits::MicroCredits;
use crate::types::ids::FileId;
use crate::types::model::ModelId;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// A create that the policy allows: what will be sent, and what it may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedCreate {
    /// The model.
    pub model: ModelId,
    /// Every input that the body gives, and the defaults of the others.
    pub input: Map<String, Value>,
    /// The number of images, at least 1.
    pub image_count: u32,
    /// The reservation: the model's price times the number of images.
    pub credits: MicroCredits,
    /// The model's longest run, in seconds.
    pub max_seconds: u32,
    /// The files in the input, each with its JSON Pointer (RFC 6901). The Ledger checks that the caller owns them.
    pub files: Vec<(String, FileId)>,
}

/// Checks a create: the model first, then the members of the body, then each input.
///
/// # Errors
/// - 403 `model_not_allowed`, the same for a model that is unknown, not in the plan, or not in the token
/// - 400 `unsupported_parameter` or `invalid_parameter`, with `details.param`
pub fn check_create(
    policy: &Policy,
    grant: &Grant,
    model: &ModelId,
    body: Map<String, Value>,
) -> Result<CheckedCreate, Rejection> {
    check_body(find_rules(policy, grant, model)?, model, body)
}

/// Checks everything but the model.
fn check_body(rules: &ModelRules, model: &ModelId, mut body: Map<String, Value>) -> Result<CheckedCreate, Rejection> {
    check_members(&body, model)?;
    let image_count = parse_image_count(&body, rules)?;
    let too_many = || invalid("image_count", Violation::plain(Rule::Max));
    let credits = rules.credits.checked_mul(image_count).ok_or_else(too_many)?;
    let input = match body.remove("input") {
        Some(Value::Object(input)) => input,
        other => return Err(invalid("input", missing_or_type(other.as_ref(), "object"))),
    };
    let input = check_input(input, rules)?;
    let mut files = Vec::new();
    for (name, rule) in &rules.input {
        if let Some(value) = input.get(name) {
            rule.find_files(&format!("/{name}"), value, &mut files);
        }
    }
    Ok(CheckedCreate { model: model.clone(), input, image_count, credits, max_seconds: rules.max_seconds, files })
}

/// Checks a create whose body names the model: an item of a batch, or an estimate.
///
/// # Errors
/// Those of [`check_create`], and 400 `invalid_parameter` if `model` is not `owner/model`.
pub fn check_named_create(
    policy: &Policy,
    grant: &Grant,
    body: Map<String, Value>,
) -> Result<CheckedCreate, Rejection> {
    check_create(policy, grant, &parse_model(&body)?, body)
}

/// Checks a batch: a list of 1 to 20 creates and nothing else. `details.param` starts with the index of the create,
/// such as `predictions[1].input.prompt`.
///
/// # Errors
/// Those of [`check_named_create`]. The models of all creates are checked before any of their inputs.
pub fn check_batch(
    policy: &Policy,
    grant: &Grant,
    mut body: Map<String, Value>,
) -> Result<Vec<CheckedCreate>, Rejection> {
    if let Some(unknown) = body.keys().find(|name| *name != "predictions") {
        return Err(unsupported("", unknown));
    }
    let items = match body.remove("predictions") {
        Some(Value::Array(items)) => items,
        other => return Err(invalid("predictions", missing_or_type(other.as_ref(), "array"))),
    };
    // More creates than the plan allows in a minute could never be admitted together.
    let per_minute = policy.plan_for(grant).map_or(0, |plan| plan.predictions_per_minute);
    let most = BATCH_MAX.min(usize::try_from(per_minute).unwrap_or(usize::MAX));
    if items.is_empty() {
        return Err(invalid("predictions", Violation::new(Rule::Min, 1)));
    }
    if items.len() > most {
        return Err(invalid("predictions", Violation::new(Rule::MaxItems, most)));
    }
    let add_index = |index: usize, rejection: Rejection| Rejection {
        param: rejection.param.as_ref().map(|param| format!("predictions[{index}].{param}")),
        ..rejection
    };
    // All models are checked before any inputs (contract 1 step 8).
    let check_model = |(index, item): (usize, Value)| {
        let Value::Object(item) = item else {
            return Err(invalid(format!("predictions[{index}]"), Violation::new(Rule::Type, "object")));
        };
        let model = parse_model(&item).map_err(|rejection| add_index(index, rejection))?;
        Ok((index, find_rules(policy, grant, &model)?, model, item))
    };
    let items: Vec<_> = items.into_iter().enumerate().map(check_model).collect::<Result<_, _>>()?;
    let check_rest = |(index, rules, model, item): (usize, &ModelRules, ModelId, Map<String, Value>)| {
        check_body(rules, &model, item).map_err(|rejection| add_index(index, rejection))
    };
    items.into_iter().map(check_rest).collect()
}

fn parse_model(body: &Map<String, Value>) -> Result<ModelId, Rejection> {
    let value = body.get("model");
    let Some(name) = value.and_then(Value::as_str) else {
        return Err(invalid("model", missing_or_type(value, "string")));
    };
    ModelId::parse(name).ok_or_else(|| invalid("model", Violation::new(Rule::Format, "owner/model")))
}

/// Returns the rules of a model. A model that is unknown, not in the plan, or not in the token gets the same 403.
fn find_rules<'a>(policy: &'a Policy, grant: &Grant, model: &ModelId) -> Result<&'a ModelRules, Rejection> {
    let rules = policy.models.get(model).filter(|_| policy.allows(grant, model));
    rules.ok_or_else(|| Rejection::new(Code::ModelNotAllowed, "model"))
}

fn invalid(param: impl Into<String>, violation: Violation) -> Rejection {
    Rejection::parameter(Code::InvalidParameter, "parameter", param).because(violation)
}

/// Returns the violation for a required member that is missing or does not have the JSON type `kind`.
fn missing_or_type(value: Option<&Value>, kind: &str) -> Violation {
    value.map_or(Violation::plain(Rule::Required), |_| Violation::new(Rule::Type, kind))
}

/// Checks the names of the members: `input`, `image_count`, and the vendor's own `model` and `provider` if they agree
/// with the model. Any other is refused: with a `webhook`, a client could make the vendor call any URL.
fn check_members(body: &Map<String, Value>, model: &ModelId) -> Result<(), Rejection> {
    for (name, value) in body {
        let allowed = match name.as_str() {
            "input" | "image_count" => continue,
            "model" => vec![model.as_str(), model.name()],
            "provider" => vec![model.owner()],
            _ => return Err(unsupported("", name)),
        };
        if !allowed.iter().any(|allowed| value == allowed) {
            return Err(invalid(name.as_str(), Violation::new(Rule::Enum, allowed)));
        }
    }
    Ok(())
}

/// Returns the refusal of an unknown member. It names the member only if the name is plain.
fn unsupported(prefix: &str, name: &str) -> Rejection {
    let rejection = Rejection::new(Code::UnsupportedParameter, "parameter_unknown");
    if is_input_name(name) { Rejection { param: Some(format!("{prefix}{name}")), ..rejection } } else { rejection }
}

fn parse_image_count(body: &Map<String, Value>, rules: &ModelRules) -> Result<u32, Rejection> {
    let Some(value) = body.get("image_count") else { return Ok(1) };
    let violation = match value.as_number().and_then(number::whole) {
        None => Violation::new(Rule::Type, "integer"),
        Some(..1) => Violation::new(Rule::Min, 1),
        Some(count) => match u32::try_from(count).ok().filter(|count| *count <= rules.max_image_count) {
            Some(count) => return Ok(count),
            None => Violation::new(Rule::Max, rules.max_image_count),
        },
    };
    Err(invalid("image_count", violation))
}

fn check_input(mut input: Map<String, Value>, rules: &ModelRules) -> Result<Map<String, Value>, Rejection> {
    if let Some(unknown) = input.keys().find(|name| !rules.input.contains_key(*name)) {
        return Err(unsupported("input.", unknown));
    }
    let mut checked = Map::new();
    for (name, rule) in &rules.input {
        let refuse = |violation| invalid(format!("input.{name}"), violation);
        let value = match input.remove(name) {
            Some(value) => Some(rule.check(value).map_err(refuse)?),
            None if rule.required => return Err(refuse(Violation::plain(Rule::Required))),
            None => rule.default.clone(),
        };
        if let Some(value) = value {
            checked.insert(name.clone(), value);
        }
    }
    Ok(checked)
}
