//! A parsed `POLICY`: what each plan may do, and what the vendor allows the key.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::constants::{MILLIS_PER_SECOND, STATE_CHECK_SLACK_MILLIS};
use crate::messages::LimitOverride;
use crate::policy::model_rules::ModelRules;
use crate::token::Grant;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;
use crate::wire::rejection::{Code, Rejection};

/// The plan of a user whose token names no plan, or an unknown one.
pub const DEFAULT_PLAN: &str = "default";

/// The plan of guests, who share its pools.
pub const GUEST_PLAN: &str = "guest";

/// A parsed and complete `POLICY`. Only [`parse_policy`](crate::policy::parse_policy) makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The plans by name. `default` is always there.
    pub plans: BTreeMap<String, Plan>,
    /// The price table. A model without a row is refused.
    pub models: BTreeMap<ModelId, ModelRules>,
    /// The limits of the vendor key.
    pub key: VendorKeyLimits,
    /// The largest number of items in an array input, over all models.
    pub most_items: u32,
}

/// A plan: the limits of each of its users, and of all of them together.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The name of the plan.
    pub name: String,
    /// Requests of a user in any minute.
    pub requests_per_minute: u32,
    /// Creates of a user in any minute.
    pub predictions_per_minute: u32,
    /// Running predictions of a user at a time.
    pub concurrent_predictions: u32,
    /// Credits of a user in a UTC day.
    pub daily_credits: MicroCredits,
    /// The models that the plan includes, or `None` for all of them.
    pub models: Option<Vec<ModelId>>,
    /// Weight of a user in the fair queue.
    pub weight: u32,
    /// Waiting predictions of a user.
    pub max_waiting: u32,
    /// Files of a user.
    pub max_files: u32,
    /// Bytes of a user's files together.
    pub max_file_bytes: u64,
    /// Credits of a UTC day for all users of the plan together.
    pub pool_daily_credits: Option<MicroCredits>,
    /// Largest part of the queue for all users of the plan together, above 0 and at most 1.
    pub pool_waiting_share: f64,
    /// Weight in the fair queue of all users of the plan together. `None`: each user has its own.
    pub pool_weight: Option<u32>,
    /// Running predictions of all users of the plan together at a time.
    pub pool_concurrent_predictions: Option<u32>,
}

/// The limits of the vendor key, as the vendor grants them, and of the queue in front of it.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorKeyLimits {
    /// Requests in any minute.
    pub requests_per_minute: u32,
    /// Predictions at a time.
    pub concurrent_predictions: u32,
    /// Credits of a UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Requests a minute that other programs send with the same key.
    pub expected_other_requests_per_minute: u32,
    /// Waiting predictions of all users.
    pub max_waiting: u32,
    /// Longest wait of a prediction, in seconds.
    pub max_wait_secs: u32,
}

impl Policy {
    /// Returns the plan that `grant` names, or else `default`.
    #[must_use]
    pub fn plan_for(&self, grant: &Grant) -> Option<&Plan> {
        let named = grant.plan.as_deref().and_then(|name| self.plans.get(name));
        named.or_else(|| self.plans.get(DEFAULT_PLAN))
    }

    /// Returns the plan that `grant` names, or else `default`.
    ///
    /// # Errors
    /// Never with a parsed policy, which always has the plan `default`.
    pub fn limits_for(&self, grant: &Grant) -> Result<&Plan, Rejection> {
        self.plan_for(grant).ok_or_else(|| Rejection::new(Code::Misconfigured, "plan"))
    }

    /// Returns the longest time from a create until its prediction has surely ended, in milliseconds: until its slot is
    /// given up, and some slack.
    #[must_use]
    pub fn longest_life_millis(&self) -> i64 {
        self.longest_slot_millis().saturating_add(STATE_CHECK_SLACK_MILLIS)
    }

    /// Returns the longest time from a create until its slot is given up, in milliseconds: the longest wait, then twice the
    /// longest run.
    #[must_use]
    pub fn longest_slot_millis(&self) -> i64 {
        let longest_run = self.models.values().map(|rules| rules.max_seconds).max().unwrap_or_default();
        let secs = i64::from(self.key.max_wait_secs).saturating_add(i64::from(longest_run).saturating_mul(2));
        secs.saturating_mul(MILLIS_PER_SECOND)
    }

    /// Returns the models that the plan and the token both include, as `GET /v1/models` shows them.
    #[must_use]
    pub fn models_for(&self, grant: &Grant) -> Vec<(ModelId, Value)> {
        let allowed = self.models.iter().filter(|(model, _)| self.allows(grant, model));
        allowed.map(|(model, rules)| (model.clone(), rules.render(model))).collect()
    }

    /// Returns whether the plan and the token both include `model`, and `POLICY` has a price for it.
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
    /// Replaces limits by a user's own.
    pub fn replace_limits(&mut self, own: &LimitOverride) {
        self.requests_per_minute = own.requests_per_minute.unwrap_or(self.requests_per_minute);
        self.predictions_per_minute = own.predictions_per_minute.unwrap_or(self.predictions_per_minute);
        self.concurrent_predictions = own.concurrent_predictions.unwrap_or(self.concurrent_predictions);
        self.daily_credits = own.daily_credits.unwrap_or(self.daily_credits);
        self.max_waiting = own.max_waiting.unwrap_or(self.max_waiting);
        self.max_files = own.max_files.unwrap_or(self.max_files);
        self.max_file_bytes = own.max_file_bytes.unwrap_or(self.max_file_bytes);
    }

    /// Returns the limits of a user as `GET /v1/account` shows them.
    #[must_use]
    pub fn limits_view(&self) -> Value {
        json!({
            "requests_per_minute": self.requests_per_minute,
            "predictions_per_minute": self.predictions_per_minute,
            "concurrent_predictions": self.concurrent_predictions,
            "daily_credits": self.daily_credits.to_string(),
            "max_waiting": self.max_waiting,
            "max_files": self.max_files,
            "max_file_bytes": self.max_file_bytes,
        })
    }
}
