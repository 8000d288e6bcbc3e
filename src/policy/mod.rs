//! What a grant may do with a request: plans, models, input rules (contract 4, POLICY).

mod create;
mod fields;
mod input_rule;
mod model_rules;
mod parse;

pub use create::{CheckedCreate, check_batch, check_create, check_named_create};
pub use input_rule::InputRule;
pub use model_rules::ModelRules;
pub use parse::parse_policy;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::token::Grant;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

/// The plan of a user whose token names none, or one that is not there.
pub const DEFAULT_PLAN: &str = "default";

/// `POLICY`, parsed. Made by [`parse_policy`], so that a value that exists is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// By name; always with `default`.
    pub plans: BTreeMap<String, Plan>,
    /// The price table: a model without a row is refused.
    pub models: BTreeMap<ModelId, ModelRules>,
    /// What the vendor grants the key.
    pub key: VendorKeyLimits,
}

/// What each user of a plan may.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Requests in any minute.
    pub requests_per_minute: u32,
    /// Creates in any minute.
    pub predictions_per_minute: u32,
    /// Predictions at a time.
    pub concurrent_predictions: u32,
    /// Credits of a UTC day.
    pub daily_credits: MicroCredits,
    /// The models, or `None` for all of them.
    pub models: Option<Vec<ModelId>>,
    /// Share in the queue.
    pub weight: u32,
    /// Predictions that may wait.
    pub max_waiting: u32,
    /// Credits of a UTC day for all users of the plan together.
    pub pool_daily_credits: Option<MicroCredits>,
    /// Share of the queue for all users of the plan together, above 0 and at most 1.
    pub pool_waiting_share: f64,
}

/// What the vendor grants the key.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorKeyLimits {
    /// Requests in any minute.
    pub requests_per_minute: u32,
    /// Predictions at a time.
    pub concurrent_predictions: u32,
    /// Credits of a UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Requests a minute that others send with the same key.
    pub expected_other_requests_per_minute: u32,
    /// Predictions that may wait.
    pub max_waiting: u32,
    /// The longest wait, seconds.
    pub max_wait_secs: u32,
}

impl Policy {
    /// The plan that `grant` names, else `default`.
    #[must_use]
    pub fn plan_for(&self, grant: &Grant) -> Option<&Plan> {
        let named = grant.plan.as_deref().and_then(|name| self.plans.get(name));
        named.or_else(|| self.plans.get(DEFAULT_PLAN))
    }

    /// The models that the plan and the token both include, as `GET /v1/models` shows them.
    #[must_use]
    pub fn models_for(&self, grant: &Grant) -> Vec<(ModelId, Value)> {
        let allowed = self.models.iter().filter(|(model, _)| self.allows(grant, model));
        allowed.map(|(model, rules)| (model.clone(), rules.render(model))).collect()
    }

    /// Whether the plan and the token both include `model`, and there is a price for it.
    #[must_use]
    pub fn allows(&self, grant: &Grant, model: &ModelId) -> bool {
        let by_plan = self.plan_for(grant).is_some_and(|plan| includes(plan.models.as_deref(), model));
        self.models.contains_key(model) && by_plan && includes(grant.models.as_deref(), model)
    }
}

fn includes(list: Option<&[ModelId]>, model: &ModelId) -> bool {
    list.is_none_or(|list| list.contains(model))
}

impl Plan {
    /// The limits as `GET /v1/account` shows them.
    #[must_use]
    pub fn limits_view(&self) -> Value {
        json!({
            "requests_per_minute": self.requests_per_minute,
            "predictions_per_minute": self.predictions_per_minute,
            "concurrent_predictions": self.concurrent_predictions,
            "daily_credits": self.daily_credits.to_string(),
            "max_waiting": self.max_waiting,
        })
    }
}
