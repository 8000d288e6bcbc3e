//! Fetches the key sets that issuers publish at a `jwks_url`: from the cache of this data center, else from the
//! identity provider (protocol 8).

use std::sync::Arc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform;
use crate::constants::{KEY_SET_FETCH_MILLIS, KEY_SET_FRESH_MILLIS, KEY_SET_MAX_BYTES, KEY_SET_POLL_MILLIS};
use crate::token::{FetchDecision, RemoteKeys};
use crate::types::alert::Alert;
use crate::types::time::UnixMillis;
use crate::vendor::request::USER_AGENT;

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/http/key_sets.js")]
    extern "C" {
        #[wasm_bindgen(js_name = keptKeySet)]
        pub fn kept_key_set(url: &str, max_bytes: u32) -> Promise;
        #[wasm_bindgen(js_name = keepKeySet)]
        pub fn keep_key_set(url: &str, bytes: &[u8], fresh_at: &str, seconds: u32) -> Promise;
        #[wasm_bindgen(js_name = fetchKeySet)]
        pub fn fetch_key_set(url: &str, user_agent: &str, timeout: u32, max_bytes: u32) -> Promise;
    }
}

/// Fetches the keys of a token's issuer before the token is verified, unless those in memory are fresh. Returns after
/// [`KEY_SET_FETCH_MILLIS`] at the latest. Verification then finds that the keys are missing.
pub async fn ensure_fresh(context: &RequestContext<'_>, keys: &Arc<RemoteKeys>, kid: Option<String>) {
    let give_up = context.now.plus_millis(KEY_SET_FETCH_MILLIS);
    loop {
        let now = platform::now();
        match keys.decide_fetch(kid.as_deref(), now) {
            // Under `wait_until`: this request's client may disconnect while other requests wait for the same keys.
            FetchDecision::Fetch => {
                keys.start_fetch(now);
                context.execution.wait_until(load(Arc::clone(keys), kid.clone(), now));
            }
            // Poll, and never await another request's promise: the platform ends a promise with the request that made
            // it.
            FetchDecision::Wait if now < give_up => platform::sleep(KEY_SET_POLL_MILLIS).await,
            FetchDecision::Wait | FetchDecision::Proceed => return,
        }
    }
}

async fn load(keys: Arc<RemoteKeys>, kid: Option<String>, now: UnixMillis) {
    if keys.is_stale(now)
        && let Some((bytes, fresh_at)) = kept(keys.url()).await
        && now.millis_since(fresh_at) < KEY_SET_FRESH_MILLIS
        && keys.replace_keys(&bytes, fresh_at.min(now))
        && keys.has_key(kid.as_deref())
    {
        return keys.finish_fetch();
    }
    let bytes = fetch(keys.url()).await;
    let is_good = bytes.as_ref().is_some_and(|bytes| keys.replace_keys(bytes, now));
    keys.finish_fetch();
    match bytes {
        Some(bytes) if is_good => {
            let seconds = u32::try_from(UnixMillis(KEY_SET_FRESH_MILLIS).seconds().0).unwrap_or_default();
            let _ = wait(js::keep_key_set(keys.url(), &bytes, &now.0.to_string(), seconds)).await;
        }
        _ => alerts::raise(Alert::KeySetUnavailable),
    }
}

async fn kept(url: &str) -> Option<(Vec<u8>, UnixMillis)> {
    let copy: Array = wait(js::kept_key_set(url, max_bytes())).await.ok()?.dyn_into().ok()?;
    let bytes: Uint8Array = copy.get(0).dyn_into().ok()?;
    Some((bytes.to_vec(), UnixMillis(copy.get(1).as_string()?.parse().ok()?)))
}

async fn fetch(url: &str) -> Option<Vec<u8>> {
    let timeout = u32::try_from(KEY_SET_FETCH_MILLIS).unwrap_or_default();
    let bytes = wait(js::fetch_key_set(url, USER_AGENT, timeout, max_bytes())).await.ok()?;
    bytes.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
}

fn max_bytes() -> u32 {
    u32::try_from(KEY_SET_MAX_BYTES).unwrap_or(u32::MAX)
}
