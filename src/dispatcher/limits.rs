//! The limits of the vendor key and of the plans' pools, from the configuration.

use std::collections::BTreeMap;

use super::accounts::KEY_ACCOUNT;
use crate::constants::STORED_INPUT_BYTES_MAX;
use crate::policy::{Plan, Policy};
use crate::types::credits::MicroCredits;
use crate::vendor::output::OutputRule;

/// The limits of the vendor key, and the pools of the plans.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatcherLimits {
    /// Vendor requests in any minute: the vendor's limit minus the requests of other users of the key.
    pub requests_per_minute: usize,
    /// Vendor requests in any minute that other users of the key are expected to make.
    pub expected_other_requests: usize,
    /// Slots: predictions at the vendor at once.
    pub concurrent_predictions: usize,
    /// Credits per UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Waiting predictions.
    pub max_waiting: usize,
    /// Longest wait for a slot, milliseconds.
    pub max_wait_millis: i64,
    /// The pools, by the plan's name.
    pub pools: BTreeMap<String, Pool>,
    /// Fingerprint of the vendor key that creates are sent with.
    pub key_fingerprint: String,
    /// Fingerprint of the second vendor key, if one is configured.
    pub other_key_fingerprint: Option<String>,
    /// The rule for output URLs.
    pub outputs: OutputRule,
    /// Longest time from a create until its slot is given up, milliseconds.
    pub longest_slot_millis: i64,
    /// True if alerts are sent to a receiver: `ALERT_WEBHOOK_URL`.
    pub sends_alerts: bool,
}

/// The limits that all users of a plan share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// Credits per UTC day.
    pub daily_credits: Option<MicroCredits>,
    /// Waiting predictions.
    pub max_waiting: usize,
    /// Stored inputs, bytes.
    pub max_input_bytes: usize,
    /// Weight in the turns, if all users of the plan are one entry in them.
    pub weight: Option<u32>,
    /// Predictions at the vendor at once.
    pub concurrent_predictions: Option<usize>,
}

impl DispatcherLimits {
    /// Returns the accounts on which a job of a plan is booked: the vendor key's, and that of the plan's pool if it has
    /// daily credits. Nobody asks for what other plans spend.
    pub(super) fn accounts_of<'a>(&self, plan: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        std::iter::once(KEY_ACCOUNT).chain(has_account(&self.pools, plan).then_some(plan))
    }

    /// Returns the limits that a policy sets. The caller adds the keys' fingerprints and the rule for outputs.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let key = &policy.key;
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let own = key.requests_per_minute.saturating_sub(key.expected_other_requests_per_minute).max(1);
        let pool = |plan: &Plan| Pool {
            daily_credits: plan.pool_daily_credits,
            max_waiting: share_of(key.max_waiting, plan.pool_waiting_share),
            max_input_bytes: share_of(STORED_INPUT_BYTES_MAX, plan.pool_waiting_share),
            weight: plan.pool_weight,
            concurrent_predictions: plan.pool_concurrent_predictions.map(count),
        };
        Self {
            longest_slot_millis: policy.longest_slot_millis(),
            sends_alerts: false,
            requests_per_minute: count(own),
            expected_other_requests: count(key.expected_other_requests_per_minute),
            concurrent_predictions: count(key.concurrent_predictions),
            daily_credits: key.daily_credits,
            max_waiting: count(key.max_waiting),
            max_wait_millis: i64::from(key.max_wait_secs).saturating_mul(1_000),
            pools: policy.plans.iter().map(|(name, plan)| (name.clone(), pool(plan))).collect(),
            key_fingerprint: String::new(),
            other_key_fingerprint: None,
            outputs: OutputRule::default(),
        }
    }
}

/// Returns whether all users of a plan share daily credits, so that the plan has an account.
pub(super) fn has_account(pools: &BTreeMap<String, Pool>, plan: &str) -> bool {
    pools.get(plan).is_some_and(|pool| pool.daily_credits.is_some())
}

/// Returns the whole part of `share` × `all`. The share is above 0 and at most 1.
fn share_of(all: u32, share: f64) -> usize {
    let exact = (f64::from(all) * share).floor();
    #[allow(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ..= u32::MAX, and whole"
    )]
    let whole = exact as usize;
    whole
}
