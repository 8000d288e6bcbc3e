//! `POLICY` (contract 4): plans, prices and input rules, and the check of a create against them.

mod body;
mod create;
mod fields;
mod input_rule;
mod model_rules;
mod parse;
mod plans;

pub use body::{BodyBounds, request_hash_of_batch, request_hash_of_create};
pub use create::{CheckedCreate, check_batch, check_create, check_named_create};
pub use input_rule::{InputRule, RULE_MEMBERS};
pub use model_rules::{MODEL_MEMBERS, ModelRules};
pub use parse::{KEY_MEMBERS, PLAN_MEMBERS, POLICY_MEMBERS, QUEUE_MEMBERS, parse_policy};
pub use plans::{GUEST_PLAN, Plan, Policy, VendorKeyLimits};
