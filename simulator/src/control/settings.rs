//! `GET /settings` and `PUT /settings`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Problem;
use crate::accounts::KeyGrant;
use crate::app::App;
use crate::credits::Credits;
use crate::settings::Settings;
use crate::vendor::json_response;

/// The members of `PUT /settings` that are no settings of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    add: Vec<String>,
    revoke: Vec<String>,
}

/// The settings, without keys.
pub async fn read(State(app): State<Arc<App>>) -> Response {
    show(&app.world().settings)
}

/// Changes the settings that are named, all or none → the settings. Beside them: `"balance":"100"` for every
/// account, and `"keys":{"add":["sk_live_…@acct_2"],"revoke":["sk_live_…"]}`.
pub async fn change(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Problem> {
    let mut members: Map<String, Value> = serde_json::from_slice(&body).map_err(Problem::bad_request)?;
    let keys: Keys = take(&mut members, "keys")?.unwrap_or_default();
    let balance: Option<Credits> = take(&mut members, "balance")?;
    let grants: Option<Vec<KeyGrant>> = keys.add.iter().map(|key| KeyGrant::parse(key)).collect();
    let grants = grants.ok_or_else(|| Problem::bad_request("a key to add is malformed"))?;

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

fn take<T: for<'de> Deserialize<'de>>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, Problem> {
    members.remove(name).map(serde_json::from_value).transpose().map_err(Problem::bad_request)
}

fn merge(settings: &Settings, changes: Map<String, Value>) -> Result<Settings, Problem> {
    let mut merged = serde_json::to_value(settings).map_err(Problem::bad_request)?;
    if let Some(members) = merged.as_object_mut() {
        members.extend(changes);
    }
    serde_json::from_value(merged).map_err(Problem::bad_request)
}
