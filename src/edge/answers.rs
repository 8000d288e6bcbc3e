//! Calls of the objects, and what their refusals are on the wire.

use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::Env;

use super::handler::Call;
use super::platform::{self, PlatformError};
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::ids::{JobId, UserKey};
use crate::messages::{
    Caller, DispatcherReply, DispatcherRequest, LedgerAnswer, LedgerCall, LedgerRefusal, LedgerReply, LedgerRequest,
};
use crate::rejection::{Code, Rejection};
use crate::token::Grant;
use crate::upstream::answer::Answer as VendorAnswer;

/// The one Dispatcher's name.
pub const DISPATCHER_NAME: &str = "main";

/// The binding of the Ledgers.
pub fn ledgers(env: &Env) -> Result<JsValue, PlatformError> {
    platform::binding(env, "LEDGER")
}

/// Asks the caller's Ledger, and counts the request. Fails closed: no answer in 2 s, or one that makes no sense, is 503.
pub async fn ask_ledger(call: &Call<'_>, grant: &Grant, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    let plan = call.deployment.config.policy.limits_for(grant)?;
    let caller = Caller { requests_per_minute: Some(plan.requests_per_minute), ..caller(grant) };
    let answer = send(call.env, &grant.user, &LedgerCall { caller: Some(caller), ask }).await?;
    call.rate.set(answer.rate);
    accepted(answer.reply)
}

/// Asks the caller's Ledger on behalf of a request that was counted before. Revocation is checked again.
pub async fn ask_ledger_again(env: &Env, grant: &Grant, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    let answer = send(env, &grant.user, &LedgerCall { caller: Some(caller(grant)), ask }).await?;
    accepted(answer.reply)
}

/// Tells a Ledger what must reach it whatever became of the caller's token.
pub async fn tell_ledger(env: &Env, user: &UserKey, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    accepted(send(env, user, &LedgerCall { caller: None, ask }).await?.reply)
}

fn caller(grant: &Grant) -> Caller {
    Caller { issued_at: grant.issued_at, jti: grant.jti.clone(), requests_per_minute: None }
}

async fn send(env: &Env, user: &UserKey, call: &LedgerCall) -> Result<LedgerAnswer, Rejection> {
    let unavailable = || limiter_unavailable("ledger_unavailable");
    let message = message(call, call.ask.holds_content()).map_err(|_| unavailable())?;
    let namespace = ledgers(env).map_err(|_| unavailable())?;
    let answer = platform::call_object(&namespace, user.as_str(), &message, ACK_TIMEOUT_MILLIS).await;
    answer.map_err(|_| unavailable())
}

/// A message's text. One that holds what users wrote starts with a space: `platform.js` keeps it out of URLs.
pub fn message<T: Serialize>(message: &T, holds_content: bool) -> Result<String, PlatformError> {
    let text = serde_json::to_string(message).map_err(|_| PlatformError)?;
    Ok(if holds_content { format!(" {text}") } else { text })
}

fn accepted(reply: LedgerReply) -> Result<LedgerReply, Rejection> {
    match reply {
        // The caller knows which file that is.
        LedgerReply::Refused(LedgerRefusal::UnknownFile { .. }) => Ok(reply),
        LedgerReply::Refused(refusal) => Err(rejection(refusal)),
        reply => Ok(reply),
    }
}

/// A reply that does not fit the question.
pub fn unexpected() -> Rejection {
    limiter_unavailable("ledger_reply")
}

/// Asks the Dispatcher.
pub async fn ask_dispatcher(
    env: &Env,
    request: &DispatcherRequest,
    timeout_millis: i64,
) -> Result<DispatcherReply, PlatformError> {
    let message = message(request, matches!(request, DispatcherRequest::Enqueue { .. }))?;
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

/// May the edge send the vendor one request of its own? The vendor's id of the prediction, and the key to use.
pub async fn ask_permit(call: &Call<'_>, job_id: Option<JobId>) -> Result<(Option<String>, Option<String>), Rejection> {
    match ask_dispatcher(call.env, &DispatcherRequest::Permit { job_id }, ACK_TIMEOUT_MILLIS).await {
        Ok(DispatcherReply::Permit { vendor_id, key }) => Ok((vendor_id, key)),
        Ok(DispatcherReply::Wait { retry_after_secs }) => {
            Err(Rejection::new(Code::UpstreamUnavailable, "vendor_requests").retry_after(retry_after_secs))
        }
        // It has ended meanwhile, or does not run yet.
        Ok(DispatcherReply::Jobs(_)) => Err(Rejection::new(Code::NotFound, "stream")),
        Ok(_) | Err(_) => Err(limiter_unavailable("dispatcher_unavailable")),
    }
}

/// What a vendor answer to a request of the edge's own is on the wire, where it is no success.
pub fn vendor_refusal(answer: &VendorAnswer) -> Rejection {
    let VendorAnswer::Response(response) = answer else {
        return match answer {
            VendorAnswer::TimedOut => Rejection::new(Code::UpstreamTimeout, "vendor_silent"),
            _ => Rejection::new(Code::UpstreamError, "vendor_broken"),
        };
    };
    match response.status {
        429 | 503 => {
            let secs = response.retry_after.as_deref().and_then(|text| text.trim().parse().ok()).unwrap_or(5_u32);
            Rejection::new(Code::UpstreamUnavailable, "vendor_throttled").retry_after(secs.clamp(1, 3_600))
        }
        300..=499 => Rejection::new(Code::UpstreamRejected, "vendor_refused"),
        _ => Rejection::new(Code::UpstreamError, "vendor_failed"),
    }
}

/// What a Ledger's refusal is on the wire.
fn rejection(refusal: LedgerRefusal) -> Rejection {
    let wait = |code, reason, secs| Rejection::new(code, reason).retry_after(secs);
    match refusal {
        LedgerRefusal::NotFound => Rejection::new(Code::NotFound, "owned"),
        LedgerRefusal::NotEnded => Rejection::new(Code::NotEnded, "prediction_runs"),
        LedgerRefusal::Revoked => Rejection::new(Code::InvalidToken, "revoked"),
        LedgerRefusal::InProgress => wait(Code::IdempotencyInProgress, "idempotency", 1),
        LedgerRefusal::KeyMismatch => Rejection::new(Code::IdempotencyMismatch, "idempotency"),
        LedgerRefusal::UnknownFile { .. } => Rejection::new(Code::InvalidParameter, "file"),
        LedgerRefusal::RateLimited { retry_after_secs } => wait(Code::RateLimited, "rate", retry_after_secs),
        LedgerRefusal::InsufficientCredits => Rejection::new(Code::InsufficientCredits, "credits"),
        LedgerRefusal::TooManyPredictions { retry_after_secs } => {
            wait(Code::TooManyPredictions, "max_waiting", retry_after_secs)
        }
        LedgerRefusal::QueueFull { retry_after_secs } => wait(Code::QueueFull, "queue", retry_after_secs),
        LedgerRefusal::UpstreamUnavailable { retry_after_secs } => {
            wait(Code::UpstreamUnavailable, "vendor_rests", retry_after_secs)
        }
        LedgerRefusal::Unavailable => limiter_unavailable("dispatcher_unavailable"),
    }
}
