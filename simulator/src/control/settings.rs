//! `GET /settings` and `PUT /settings`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ControlError;
use crate::accounts::AccountKey;
use crate::app::App;
use crate::credits::Credits;
use crate::response::json_response;
use crate::settings::Settings;

/// The member `keys` of `PUT /settings`, which changes the accounts and not the settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    add: Vec<String>,
    revoke: Vec<String>,
}

/// Returns the settings, without keys.
pub async fn read(State(app): State<Arc<App>>) -> Response {
    show(&app.world().settings)
}

/// Changes the named settings, all or none → the settings. Also accepts `"balance":"100"`, which sets the balance of
/// every account, and `"keys":{"add":["sk_live_…@acct_2"],"revoke":["sk_live_…"]}`.
pub async fn change(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ControlError> {
    let mut members: Map<String, Value> = serde_json::from_slice(&body).map_err(ControlError::bad_request)?;
    let keys: Keys = take(&mut members, "keys")?.unwrap_or_default();
    let balance: Option<Credits> = take(&mut members, "balance")?;
    let grants: Option<Vec<AccountKey>> = keys.add.iter().map(|key| AccountKey::parse(key)).collect();
    let grants = grants.ok_or_else(|| ControlError::bad_request("a key to add is malformed"))?;

    let mut world = app.world();
    world.settings = merge(&world.settings, members)?;
    grants.into_iter().for_each(|grant| world.accounts.add_key(grant));
    keys.revoke.iter().for_each(|key| world.accounts.revoke_key(key));
    if let Some(balance) = balance {
        world.accounts.set_balances(balance);
    }
    Ok(show(&world.settings))
}

fn show(settings: &Settings) -> Response {
    json_response(&serde_json::to_value(settings).unwrap_or_default())
}

fn take<T: for<'de> Deserialize<'de>>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, ControlError> {
    members.remove(name).map(serde_json::from_value).transpose().map_err(ControlError::bad_request)
}

fn merge(settings: &Settings, changes: Map<String, Value>) -> Result<Settings, ControlError> {
    let mut merged = serde_json::to_value(settings).map_err(ControlError::bad_request)?;
    if let Some(members) = merged.as_object_mut() {
        members.extend(changes);
    }
    serde_json::from_value(merged).map_err(ControlError::bad_request)
}
