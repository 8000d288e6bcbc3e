//! A row of the price table: a model's price, its longest run and the rules for its inputs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::constants::{MODEL_RUN_MAX_SECS, OUTPUTS_MAX};
use crate::parse::problem::{Place, SettingProblem};
use crate::policy::fields::{CREDITS_RULE, Fields, parse_credits};
use crate::policy::input_rule::InputRule;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

/// The members of a model.
pub const MODEL_MEMBERS: [&str; 4] = ["credits", "max_seconds", "max_image_count", "input"];

/// The price and the limits of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRules {
    /// The most that one image can cost.
    pub credits: MicroCredits,
    /// The longest run of a prediction, in seconds.
    pub max_seconds: u32,
    /// The most images in one prediction.
    pub max_image_count: u32,
    /// The rules by the input's name. An input without a rule is refused.
    pub input: BTreeMap<String, InputRule>,
}

impl ModelRules {
    pub(super) fn parse(place: &Place, value: &Value, problems: &mut Vec<SettingProblem>) -> Self {
        let images = u32::try_from(OUTPUTS_MAX).unwrap_or(u32::MAX);
        let mut fields = Fields::new(place.clone(), value, &MODEL_MEMBERS, problems);
        Self {
            credits: fields.require("credits", MicroCredits::ZERO, CREDITS_RULE, parse_credits),
            max_seconds: fields.read_number("max_seconds", 600, 1..=MODEL_RUN_MAX_SECS),
            max_image_count: fields.read_number("max_image_count", 1, 1..=images),
            input: parse_input(&mut fields),
        }
    }

    /// Returns the model as `GET /v1/models` shows it.
    #[must_use]
    pub fn render(&self, model: &ModelId) -> Value {
        let input: Map<String, Value> = self.input.iter().map(|(name, rule)| (name.clone(), rule.render())).collect();
        json!({"id": model.as_str(), "credits": self.credits.to_string(), "input": input})
    }
}

fn parse_input(fields: &mut Fields<'_>) -> BTreeMap<String, InputRule> {
    let Some(value) = fields.get("input") else {
        fields.add_problem("input", "is missing");
        return BTreeMap::new();
    };
    let Some(members) = value.as_object() else {
        fields.add_problem("input", "is not an object");
        return BTreeMap::new();
    };
    let place = fields.place_of("input");
    let mut rules = BTreeMap::new();
    for (index, (name, rule)) in members.iter().enumerate() {
        let is_good = is_input_name(name);
        let place = if is_good { place.member(name) } else { place.hidden_member(name, index) };
        if !is_good {
            fields.add_problem_at(&place, "has a name that is not 1 to 64 of A-Z, a-z, 0-9, _ and -");
        }
        rules.insert(name.clone(), InputRule::parse(&place, rule, fields.problems()));
    }
    rules
}

/// Returns whether `text` is a plain name, as the vendor's inputs have. An error shows a client's own text only if it
/// is.
pub(super) fn is_input_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
