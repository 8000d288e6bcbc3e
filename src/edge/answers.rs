//! Calls of the objects, and what their refusals are on the wire.

use wasm_bindgen::JsValue;
use worker::Env;

use super::platform::{self, PlatformError};
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::ids::UserKey;
use crate::messages::{DispatcherReply, DispatcherRequest, LedgerRefusal, LedgerReply, LedgerRequest};
use crate::rejection::{Code, Rejection};

/// The one Dispatcher's name.
pub const DISPATCHER_NAME: &str = "main";

/// The binding of the Ledgers.
pub fn ledgers(env: &Env) -> Result<JsValue, PlatformError> {
    platform::binding(env, "LEDGER")
}

/// Asks a user's Ledger. Fails closed: no answer in 2 s, or one that makes no sense, is 503.
pub async fn ask_ledger(env: &Env, user: &UserKey, request: &LedgerRequest) -> Result<LedgerReply, Rejection> {
    let unavailable = || limiter_unavailable("ledger_unavailable");
    let message = serde_json::to_string(request).map_err(|_| unavailable())?;
    let namespace = ledgers(env).map_err(|_| unavailable())?;
    let reply = platform::call_object(&namespace, user.as_str(), &message, ACK_TIMEOUT_MILLIS).await;
    match reply.map_err(|_| unavailable())? {
        LedgerReply::Refused(refusal) => Err(rejection(refusal)),
        reply => Ok(reply),
    }
}

/// Asks the Dispatcher.
pub async fn ask_dispatcher(
    env: &Env,
    request: &DispatcherRequest,
    timeout_millis: i64,
) -> Result<DispatcherReply, PlatformError> {
    let message = serde_json::to_string(request).map_err(|_| PlatformError)?;
    let namespace = platform::binding(env, "DISPATCHER")?;
    platform::call_object(&namespace, DISPATCHER_NAME, &message, timeout_millis).await
}

/// Makes the Dispatcher look whether work is due. Its answer does not matter.
pub async fn tick_dispatcher(env: &Env) {
    let _ = ask_dispatcher(env, &DispatcherRequest::Tick, ACK_TIMEOUT_MILLIS).await;
}

/// 503, try again in a second.
pub fn limiter_unavailable(reason: &'static str) -> Rejection {
    Rejection::new(Code::LimiterUnavailable, reason).retry_after(1)
}

/// What a Ledger's refusal is on the wire.
fn rejection(refusal: LedgerRefusal) -> Rejection {
    match refusal {
        LedgerRefusal::NotFound => Rejection::new(Code::NotFound, "prediction"),
        LedgerRefusal::NotEnded => Rejection::new(Code::NotEnded, "prediction_runs"),
        LedgerRefusal::InsufficientCredits => Rejection::new(Code::InsufficientCredits, "credits"),
        LedgerRefusal::QueueFull { retry_after_secs } => {
            Rejection::new(Code::QueueFull, "no_slot").retry_after(retry_after_secs)
        }
        LedgerRefusal::UpstreamUnavailable { retry_after_secs } => {
            Rejection::new(Code::UpstreamUnavailable, "vendor_rests").retry_after(retry_after_secs)
        }
        LedgerRefusal::Unavailable => limiter_unavailable("dispatcher_unavailable"),
    }
}
