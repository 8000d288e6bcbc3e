//! The namespaces of the Durable Objects, in the deployment's jurisdiction. No other file takes an object's binding.

use std::cell::OnceCell;

use wasm_bindgen::prelude::*;
use worker::Env;

use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::config::{Jurisdiction, StorageSettings};

mod js {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/placement.js")]
    extern "C" {
        #[wasm_bindgen(catch, js_name = placeObjects)]
        pub fn place_objects(
            namespace: &JsValue,
            jurisdiction: Option<&str>,
            location: Option<&str>,
        ) -> Result<JsValue, JsValue>;
        #[wasm_bindgen(catch, js_name = hasJurisdictions)]
        pub fn has_jurisdictions(namespace: &JsValue, jurisdiction: Option<&str>) -> Result<bool, JsValue>;
    }
}

const LEDGERS: &str = "LEDGER";
const DISPATCHERS: &str = "DISPATCHER";

thread_local! {
    static SETTINGS: OnceCell<Result<StorageSettings, PlatformError>> = const { OnceCell::new() };
    static IGNORES_JURISDICTION: OnceCell<bool> = const { OnceCell::new() };
}

/// Returns the settings of the storage. They are read apart from all others: a Ledger needs neither policy nor issuers.
///
/// # Errors
/// If one of them is wrong. Then no object is called: it could be the one of another jurisdiction.
pub fn storage_settings(env: &Env) -> Result<StorageSettings, PlatformError> {
    let read = || StorageSettings::read(&|name| platform::text_binding(env, name)).map_err(|_| PlatformError);
    SETTINGS.with(|cell| *cell.get_or_init(read))
}

/// Returns the namespace of the Ledgers. A Ledger is created near its user's first request.
pub fn ledgers(env: &Env) -> Result<JsValue, PlatformError> {
    let settings = storage_settings(env)?;
    place(env, LEDGERS, settings.jurisdiction, None)
}

/// Returns the namespace of the Dispatcher. Whoever calls it first decides where it is created, also the cron trigger,
/// which the platform runs anywhere: so each caller passes the same location.
pub fn dispatchers(env: &Env) -> Result<JsValue, PlatformError> {
    let settings = storage_settings(env)?;
    place(env, DISPATCHERS, settings.jurisdiction, settings.dispatcher_location.map(Into::into))
}

fn place(
    env: &Env,
    binding: &str,
    jurisdiction: Option<Jurisdiction>,
    location: Option<&'static str>,
) -> Result<JsValue, PlatformError> {
    let namespace = platform::binding(env, binding)?;
    if jurisdiction.is_none() && location.is_none() {
        return Ok(namespace);
    }
    Ok(js::place_objects(&namespace, jurisdiction.map(Into::into), location)?)
}

/// Returns whether the deployment has a jurisdiction that this runtime cannot keep: workerd outside of Cloudflare's
/// network. The first time, a warning is logged.
pub fn ignores_jurisdiction(env: &Env) -> bool {
    IGNORES_JURISDICTION.with(|cell| {
        *cell.get_or_init(|| {
            let Ok(StorageSettings { jurisdiction: Some(jurisdiction), .. }) = storage_settings(env) else {
                return false;
            };
            let Ok(namespace) = platform::binding(env, LEDGERS) else { return false };
            let is_ignored = matches!(js::has_jurisdictions(&namespace, Some(jurisdiction.into())), Ok(false));
            if is_ignored {
                log::warn("jurisdiction_ignored");
            }
            is_ignored
        })
    })
}
