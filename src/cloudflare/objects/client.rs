//! Calls of the objects, and what their refusals are on the wire.

use std::cell::Cell;

use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::Env;

use crate::cloudflare::http::context::Call;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{ACK_TIMEOUT_MILLIS, DISPATCHER_ACK_TIMEOUT_MILLIS, REVOKED_FRESH_MILLIS, REVOKED_RETRY_MILLIS};
use crate::messages::{
    Caller, DispatcherReply, DispatcherRequest, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply, LedgerRequest,
    ProofUse,
};
use crate::parse::digits::parse_digits;
use crate::token::Grant;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::{UnixMillis, UnixSeconds};
use crate::vendor::reply::VendorReply;
use crate::wire::rejection::{Challenge, Code, Rejection};

/// The one Dispatcher's name.
pub const DISPATCHER_NAME: &str = "main";

/// The binding of the Ledgers.
pub fn ledgers(env: &Env) -> Result<JsValue, PlatformError> {
    platform::binding(env, "LEDGER")
}

thread_local! {
    /// Tokens issued by then are refused, and from when on that is asked for again.
    static REVOKED: Cell<(UnixMillis, Option<UnixSeconds>)> = const { Cell::new((UnixMillis(0), None)) };
}

/// By when a token must not have been issued, whoever has it, as a read may be told: asked for before the first answer of
/// an isolate and every half minute (protocol 7). While the Dispatcher does not answer, what it said last stands.
pub async fn revoked_by(env: &Env, now: UnixMillis) -> Option<UnixSeconds> {
    let (again_at, known) = REVOKED.get();
    if now < again_at {
        return known;
    }
    if again_at > UnixMillis(0) {
        // Others go on with what is known while this one asks; before the first answer nobody does.
        REVOKED.set((now.plus_millis(REVOKED_RETRY_MILLIS), known));
    }
    match revoked_by_now(env, now).await {
        Ok(revoked_by) => revoked_by,
        Err(PlatformError) => {
            REVOKED.set((now.plus_millis(REVOKED_RETRY_MILLIS), known));
            known
        }
    }
}

/// The same at this moment: for what would outlive a revocation. Fails where the Dispatcher does not answer.
pub async fn revoked_by_now(env: &Env, now: UnixMillis) -> Result<Option<UnixSeconds>, PlatformError> {
    match ask_dispatcher(env, &DispatcherRequest::Revoked, DISPATCHER_ACK_TIMEOUT_MILLIS).await? {
        DispatcherReply::Revoked(said) => {
            let revoked_by = REVOKED.get().1.max(said);
            REVOKED.set((now.plus_millis(REVOKED_FRESH_MILLIS), revoked_by));
            Ok(revoked_by)
        }
        _ => Err(PlatformError),
    }
}

/// The Dispatcher knows more than this isolate: the next request asks.
pub fn forget_revoked() {
    REVOKED.set((UnixMillis(0), REVOKED.get().1));
}

/// Asks the caller's Ledger, and counts the request. Fails closed: no answer in 2 s, or one that makes no sense, is 503.
pub async fn ask_ledger(call: &Call<'_>, grant: &Grant, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    let plan = call.deployment.config.policy.limits_for(grant)?;
    let caller = Caller {
        requests_per_minute: Some(plan.requests_per_minute),
        proof: call.proof.borrow().clone(),
        ..caller(grant)
    };
    let answer = send(call.env, &grant.user, &LedgerCall { caller: Some(caller), request: ask }).await?;
    call.rate.set(answer.rate);
    accepted(answer.reply).map_err(|rejection| with_callers_challenge(call, rejection))
}

/// Uses the proof of a request that needs nothing else of the Ledger, and counts it there: it costs a row.
pub async fn use_proof(call: &Call<'_>, grant: &Grant) -> Result<(), Rejection> {
    let Some(proof) = call.proof.borrow().clone() else { return Ok(()) };
    let plan = call.deployment.config.policy.limits_for(grant)?;
    let reply = check(call.env, grant, Some(plan.requests_per_minute), Some(proof)).await?;
    accepted(reply).map(|_| ()).map_err(|rejection| with_callers_challenge(call, rejection))
}

/// Asks the Ledger whether a token is revoked; counts the request where it is one of a minute's, and uses its proof.
pub async fn check(
    env: &Env,
    grant: &Grant,
    requests_per_minute: Option<u32>,
    proof: Option<ProofUse>,
) -> Result<LedgerReply, Rejection> {
    let caller = Caller { requests_per_minute, proof, ..caller(grant) };
    Ok(send(env, &grant.user, &LedgerCall { caller: Some(caller), request: LedgerRequest::Check }).await?.reply)
}

/// A refusal with what this caller is asked for, if it does not say so itself.
fn with_callers_challenge(call: &Call<'_>, rejection: Rejection) -> Rejection {
    match rejection.challenge {
        Challenge::Bearer => rejection.challenge(call.challenge.get()),
        _ => rejection,
    }
}

/// Asks the caller's Ledger on behalf of a request that was counted before. Revocation is checked again.
pub async fn ask_ledger_again(env: &Env, grant: &Grant, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    let answer = send(env, &grant.user, &LedgerCall { caller: Some(caller(grant)), request: ask }).await?;
    accepted(answer.reply)
}

/// Tells a Ledger what must reach it whatever became of the caller's token.
pub async fn tell_ledger(env: &Env, user: &UserKey, ask: LedgerRequest) -> Result<LedgerReply, Rejection> {
    accepted(send(env, user, &LedgerCall { caller: None, request: ask }).await?.reply)
}

fn caller(grant: &Grant) -> Caller {
    Caller { issued_at: grant.issued_at, jti: grant.jti.clone(), requests_per_minute: None, proof: None }
}

async fn send(env: &Env, user: &UserKey, call: &LedgerCall) -> Result<LedgerEnvelope, Rejection> {
    let unavailable = || limiter_unavailable("ledger_unavailable");
    let message = message(call, call.request.holds_content()).map_err(|_| unavailable())?;
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
        Ok(DispatcherReply::Permit { vendor_id, vendor_key_fingerprint }) => Ok((vendor_id, vendor_key_fingerprint)),
        Ok(DispatcherReply::Wait { retry_after_secs }) => {
            Err(Rejection::new(Code::UpstreamUnavailable, "vendor_requests").retry_after(retry_after_secs))
        }
        // It has ended meanwhile, or does not run yet.
        Ok(DispatcherReply::Jobs(_)) => Err(Rejection::new(Code::NotFound, "stream")),
        Ok(_) | Err(_) => Err(limiter_unavailable("dispatcher_unavailable")),
    }
}

/// What a vendor answer to a request of the edge's own is on the wire, where it is no success.
pub fn vendor_refusal(answer: &VendorReply) -> Rejection {
    let VendorReply::Response(response) = answer else {
        return match answer {
            VendorReply::TimedOut => Rejection::new(Code::UpstreamTimeout, "vendor_silent"),
            _ => Rejection::new(Code::UpstreamError, "vendor_broken"),
        };
    };
    match response.status {
        429 | 503 => {
            let secs = response.retry_after.as_deref().and_then(|text| parse_digits(text.trim())).unwrap_or(5_u32);
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
        LedgerRefusal::ProofUsed => Rejection::new(Code::InvalidToken, "proof_used").challenge(Challenge::NewProof),
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
            wait(Code::UpstreamUnavailable, "vendor_paused", retry_after_secs)
        }
        LedgerRefusal::Unavailable => limiter_unavailable("dispatcher_unavailable"),
    }
}
