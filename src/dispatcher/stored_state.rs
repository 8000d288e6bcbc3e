//! The Dispatcher's state that is stored besides jobs, inputs and updates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::alert_log::Alerts;
use super::fair_queue::Deficits;
use super::health::Health;
use super::key_versions::KeyOfVersion;
use super::pauses::Pauses;
use super::rotation::Rotation;
use crate::limit::request_window::RequestWindow;
use crate::types::model::ModelId;
use crate::types::time::{UnixMillis, UnixSeconds};

/// The parts of the state. Each row of `state` has some of these members (`state_rows`); the build before stored one
/// document with all of them (`state_format_unchanged` pins it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// Vendor requests of the last minute.
    #[serde(default)]
    pub window: RequestWindow,
    /// The vendor's health.
    #[serde(default)]
    pub health: Health,
    /// Credits of the vendor key and of the plans' pools.
    #[serde(default)]
    pub accounts: Accounts,
    /// The deficits of the queue's entries.
    #[serde(default)]
    pub deficits: Deficits,
    /// The deficits of the users of each plan with `pool_weight` among themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pool_deficits: BTreeMap<String, Deficits>,
    /// Average run time of predictions, milliseconds. 0 before the first one has ended.
    #[serde(default)]
    pub average_run_ms: i64,
    /// Average run time of each model's predictions, milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub average_runs: BTreeMap<ModelId, i64>,
    /// The latest time that was seen. The clock never goes back (protocol 5).
    #[serde(default)]
    pub clock: UnixMillis,
    /// The vendor's models, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<ModelId>>,
    /// Time of the last fetch of the model list.
    #[serde(default)]
    pub models_asked_at: UnixMillis,
    /// All tokens that were issued up to this time are refused (protocol 7).
    #[serde(rename = "revoked_by", default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<UnixSeconds>,
    /// Pauses by operators.
    #[serde(default, skip_serializing_if = "Pauses::is_unused")]
    pub pauses: Pauses,
    /// The rotation of the vendor key, while a next key is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// The last versions of the Worker, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<KeyOfVersion>,
    /// The latest alerts.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    pub alerts: Alerts,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dispatcher::fair_queue::Entry;
    use crate::types::ids::UserKey;

    #[test]
    fn state_format_unchanged() {
        let mut state = StoredState {
            window: RequestWindow::default(),
            health: Health::default(),
            accounts: Accounts::default(),
            deficits: Deficits::from([(Entry::user(&UserKey::new("i", "s")), -2)]),
            pool_deficits: BTreeMap::new(),
            average_run_ms: 5,
            average_runs: BTreeMap::new(),
            clock: UnixMillis(3),
            models: Some(vec![ModelId::parse("acme/x").unwrap()]),
            models_asked_at: UnixMillis(4),
            revoked_before: Some(UnixSeconds(5)),
            pauses: Pauses::default(),
            rotation: None,
            versions: Vec::new(),
            alerts: Alerts::default(),
        };
        state.health.pause_key(UnixMillis(0));
        let user = UserKey::new("i", "s");
        let text = format!(
            r#"{{"window":{{"sent":[],"closed_until":0}},"health":{{"failures":0,"key_trouble":{{"probe_at":30000,"next_wait_ms":60000}},"slot_penalty_until":0,"creates_rest_until":0}},"accounts":[],"deficits":{{"{}":-2}},"average_run_ms":5,"clock":3,"models":["acme/x"],"models_asked_at":4,"revoked_by":5}}"#,
            user.as_str()
        );
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        assert_eq!(serde_json::from_str::<StoredState>(&text).unwrap(), state);
        assert_eq!(serde_json::from_str::<StoredState>("{}").unwrap(), StoredState::default());
        let model = ModelId::parse("acme/x").unwrap();
        let pooled = StoredState {
            deficits: Deficits::from([(Entry::pool("guest"), 3)]),
            pool_deficits: BTreeMap::from([("guest".to_owned(), Deficits::from([(Entry::user(&user), 4)]))]),
            average_runs: BTreeMap::from([(model.clone(), 5)]),
            ..StoredState::default()
        };
        let stored = serde_json::to_value(&pooled).unwrap();
        assert_eq!(
            (&stored["deficits"], &stored["pool_deficits"], &stored["average_runs"]),
            (&json!({"pool:guest": 3}), &json!({"guest": {user.as_str(): 4}}), &json!({"acme/x": 5}))
        );
        let mut state = StoredState::default();
        state.health.record_model_accepted(&model, UnixMillis(60_000));
        state.health.record_model_refusal(&model, "u", UnixMillis(6));
        let text = r#"{"failures":0,"slot_penalty_until":0,"creates_rest_until":0,"model_refused_to":{"acme/x":"u"},"model_accepted_at":{"acme/x":60000}}"#;
        assert_eq!(serde_json::to_string(&state.health).unwrap(), text);
        assert_eq!(serde_json::from_str::<Health>(text).unwrap(), state.health);
        state.health.record_model_accepted(&model, UnixMillis(119_999));
        state.health.record_model_refusal(&model, "u", UnixMillis(119_999));
        assert_eq!(serde_json::to_string(&state.health).unwrap(), text, "stored to the minute");
        let before = text.replace(
            r#""creates_rest_until":0"#,
            r#""creates_rest_until":0,"unknown_probe_at":9,"alerted_at":{"a":7}"#,
        );
        assert_eq!(serde_json::from_str::<Health>(&before).unwrap(), serde_json::from_str(text).unwrap());
    }
}
