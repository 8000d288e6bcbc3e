//! Sends messages to the Durable Objects. Used by the edge and by the objects themselves.

use std::cell::Cell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::cloudflare::objects::namespaces::{dispatchers, ledgers};
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::driver::wait;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::cloudflare::runtime::sockets::LedgerSocket;
use crate::constants::{ACK_TIMEOUT_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, REVOKED_POLL_MILLIS};
use crate::ledger::{RevokedBefore, RevokedStep};
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerCall, LedgerEnvelope};
use crate::types::ids::UserKey;
use crate::types::time::{UnixMillis, UnixSeconds};

mod js {
    use js_sys::Promise;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(raw_module = "../../src/cloudflare/runtime/object_channel.js")]
    extern "C" {
        #[wasm_bindgen(js_name = callObject)]
        pub fn call_object(namespace: &JsValue, name: &str, message: &str, timeout: i32) -> Promise;
    }
}

/// The name of the one Dispatcher of a deployment.
pub const DISPATCHER_NAME: &str = "main";

thread_local! {
    static REVOKED: Cell<RevokedBefore> = const { Cell::new(RevokedBefore::UNKNOWN) };
}

/// Changes this isolate's copy of the revoked-before time.
fn update_revoked(change: impl FnOnce(&mut RevokedBefore)) {
    let mut copy = REVOKED.get();
    change(&mut copy);
    REVOKED.set(copy);
}

/// Returns the time up to which all tokens are revoked, as far as this isolate knows: a token that it covers is refused
/// without asking anybody. It never goes back.
pub fn known_revoked_by() -> Option<UnixSeconds> {
    REVOKED.get().known()
}

/// Returns the time up to which all tokens are revoked, as known for a read (protocol 7): the Dispatcher is asked before
/// the isolate's first answer and every 30 s. While it does not reply, its last answer counts. Fails before the first
/// answer.
pub async fn revoked_by(env: &Env, now: UnixMillis) -> Result<Option<UnixSeconds>, PlatformError> {
    let (mut at, give_up) = (now, now.plus_millis(DISPATCHER_ACK_TIMEOUT_MILLIS));
    loop {
        match REVOKED.get().decide(at) {
            RevokedStep::Use(time) => return Ok(time),
            RevokedStep::Ask => {
                let asked = revoked_by_now(env, at).await;
                return asked
                    .or_else(|error| if REVOKED.get().has_heard() { Ok(known_revoked_by()) } else { Err(error) });
            }
            // Another request's promise is not ours to wait for: the platform ends it with its request.
            RevokedStep::Wait if at < give_up => platform::sleep(REVOKED_POLL_MILLIS).await,
            RevokedStep::Wait | RevokedStep::Refuse => return Err(PlatformError),
        }
        at = platform::now();
    }
}

/// Returns when an open stream asks [`revoked_by`] again. So each revocation ends it within 30 s, however many streams
/// the isolate holds.
pub fn revoked_by_is_fresh_until(now: UnixMillis) -> UnixMillis {
    REVOKED.get().fresh_until(now)
}

/// Asks the Dispatcher for the revoked-before time now: for a token exchange, whose new token would outlive the
/// revocation. Fails if the Dispatcher does not reply.
pub async fn revoked_by_now(env: &Env, now: UnixMillis) -> Result<Option<UnixSeconds>, PlatformError> {
    update_revoked(|copy| copy.start(now));
    let reply = ask_dispatcher(env, &DispatcherRequest::Revoked, DISPATCHER_ACK_TIMEOUT_MILLIS).await;
    if let Ok(DispatcherReply::Revoked(time)) = reply {
        update_revoked(|copy| copy.hear(time, now));
        return Ok(known_revoked_by());
    }
    update_revoked(|copy| copy.miss(platform::now()));
    Err(PlatformError)
}

/// Remembers that all tokens issued up to `time` are revoked: the Dispatcher has refused what this isolate would have let
/// pass, or has acknowledged the revocation. The next request asks it for the whole truth.
pub fn remember_revoked(time: UnixSeconds) {
    update_revoked(|copy| copy.remember(time));
}

/// Sends a message to a user's Ledger. Fails if it does not acknowledge in time (protocol 1); it may still act.
pub async fn ask_ledger(env: &Env, user: &UserKey, call: &LedgerCall) -> Result<LedgerEnvelope, PlatformError> {
    let message = encode_message(call, call.request.holds_content())?;
    call_object(&ledgers(env)?, user.as_str(), &message, ACK_TIMEOUT_MILLIS).await
}

/// Sends a message that opens a socket to a user's Ledger. Fails if it does not reply in time. Returns no socket if the
/// Ledger refused, or if its build is older than sockets.
pub async fn open_socket(
    env: &Env,
    user: &UserKey,
    call: &LedgerCall,
) -> Result<(LedgerEnvelope, Option<LedgerSocket>), PlatformError> {
    let message = encode_message(call, false)?;
    let (reply, socket) =
        LedgerSocket::open(&ledgers(env)?, user.as_str(), &message, to_timeout(ACK_TIMEOUT_MILLIS)).await?;
    Ok((serde_json::from_str(&reply).map_err(|_| PlatformError)?, socket))
}

fn to_timeout(millis: i64) -> i32 {
    i32::try_from(millis).unwrap_or(i32::MAX)
}

/// Returns the text of a message. It starts with a space if the message holds content, which is what users wrote or
/// got: object_channel.js keeps such a message out of URLs, which the platform may log.
pub fn encode_message<T: Serialize>(message: &T, holds_content: bool) -> Result<String, PlatformError> {
    let text = serde_json::to_string(message).map_err(|_| PlatformError)?;
    Ok(if holds_content { format!(" {text}") } else { text })
}

/// Sends a message to the Dispatcher. Fails if it does not reply within `timeout_millis`; it may still act.
pub async fn ask_dispatcher(
    env: &Env,
    request: &DispatcherRequest,
    timeout_millis: i64,
) -> Result<DispatcherReply, PlatformError> {
    let message = encode_message(request, request.holds_content())?;
    call_object(&dispatchers(env)?, DISPATCHER_NAME, &message, timeout_millis).await
}

/// Hands the alerts of this isolate over to the Dispatcher, if there are any. Nobody awaits it.
pub fn hand_over_alerts(env: &Env) -> Option<impl Future<Output = ()> + use<>> {
    let alerts = alerts::take();
    if alerts.is_empty() {
        return None;
    }
    let env = env.clone();
    Some(async move {
        let request = DispatcherRequest::Alerts { alerts };
        let reply = ask_dispatcher(&env, &request, ACK_TIMEOUT_MILLIS).await;
        if let (false, DispatcherRequest::Alerts { alerts }) = (matches!(reply, Ok(DispatcherReply::Done)), request) {
            alerts::put_back(alerts);
        }
    })
}

/// Makes the Dispatcher look for due work. Its reply does not matter.
pub async fn tick_dispatcher(env: &Env) {
    let _ = ask_dispatcher(env, &DispatcherRequest::Tick, ACK_TIMEOUT_MILLIS).await;
}

/// Sends a message to an object and reads its reply: both JSON. Fails if there is none within `timeout_millis`.
pub async fn call_object<R: DeserializeOwned>(
    namespace: &JsValue,
    name: &str,
    message: &str,
    timeout_millis: i64,
) -> Result<R, PlatformError> {
    let reply = wait(js::call_object(namespace, name, message, to_timeout(timeout_millis))).await?;
    let text = reply.as_string().ok_or(PlatformError)?;
    serde_json::from_str(&text).map_err(|_| PlatformError)
}
