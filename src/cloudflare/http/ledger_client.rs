//! Sends messages to the caller's Ledger and to the Dispatcher for a request, and maps their refusals to error
//! responses.

use worker::Env;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::outcome::{Counted, RouteError};
use crate::cloudflare::objects::client::{self, ask_dispatcher};
use crate::cloudflare::runtime::platform::PlatformError;
use crate::cloudflare::runtime::sockets::LedgerSocket;
use crate::constants::{ACK_TIMEOUT_MILLIS, MILLIS_PER_SECOND, THROTTLE_DEFAULT_MILLIS};
use crate::messages::{
    Caller, DispatcherReply, DispatcherRequest, LedgerCall, LedgerEnvelope, LedgerRefusal, LedgerReply, LedgerRequest,
    ProofUse,
};
use crate::token::Grant;
use crate::types::ids::{JobId, UserKey};
use crate::types::time::UnixMillis;
use crate::vendor::reply::{VendorReply, is_error_envelope};
use crate::vendor::retry_after::retry_after_secs;
use crate::wire::rejection::{Challenge, Code, Rejection};

/// Sends a request to the caller's Ledger, which counts it. Fails closed: 503 without a reply in 2 s.
pub async fn ask_ledger(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    request: LedgerRequest,
) -> Result<Counted<LedgerReply>, RouteError> {
    let call = counted_call(context, caller, request)?;
    count(send(context.env, &caller.grant.user, &call).await?, caller)
}

/// Sends a request that opens a socket, as [`ask_ledger`] sends any other. Returns no socket if the Ledger opened none.
pub async fn open_socket(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    request: LedgerRequest,
) -> Result<(Counted<LedgerReply>, Option<LedgerSocket>), RouteError> {
    let call = counted_call(context, caller, request)?;
    let (envelope, socket) = client::open_socket(context.env, &caller.grant.user, &call).await.map_err(unavailable)?;
    Ok((count(envelope, caller)?, socket))
}

/// Sends a message that opens a socket, for a request that was counted before. The Ledger checks revocation again.
pub async fn reopen_socket(
    env: &Env,
    grant: &Grant,
    request: LedgerRequest,
) -> Result<(LedgerReply, Option<LedgerSocket>), Rejection> {
    let call = LedgerCall { caller: Some(caller_of(grant, None, None)), request };
    let (envelope, socket) = client::open_socket(env, &grant.user, &call).await.map_err(unavailable)?;
    Ok((accept(envelope.reply)?, socket))
}

fn counted_call(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    request: LedgerRequest,
) -> Result<LedgerCall, Rejection> {
    let limit = context.plan_of(caller)?.requests_per_minute;
    let sender = caller_of(&caller.grant, Some(limit), caller.proof.clone());
    Ok(LedgerCall { caller: Some(sender), request })
}

fn count(envelope: LedgerEnvelope, caller: &AuthenticatedCaller) -> Result<Counted<LedgerReply>, RouteError> {
    let LedgerEnvelope { rate, reply, .. } = envelope;
    match accept(reply) {
        Ok(value) => Ok(Counted { value, rate }),
        Err(rejection) => Err(RouteError { rejection: with_challenge(rejection, caller.challenge), rate }),
    }
}

/// Marks the proof of possession as used, on a route that needs nothing else from the Ledger. On these routes only
/// requests with a proof are counted, because each proof costs a row.
pub async fn use_proof(context: &RequestContext<'_>, caller: &AuthenticatedCaller) -> Result<(), Rejection> {
    let Some(proof) = caller.proof.clone() else { return Ok(()) };
    let sender = caller_of(&caller.grant, Some(context.plan_of(caller)?.requests_per_minute), Some(proof));
    let reply = ask_as(context.env, &caller.grant, sender, LedgerRequest::Check).await?;
    accept(reply).map(|_| ()).map_err(|rejection| with_challenge(rejection, caller.challenge))
}

/// Sends a request to a Ledger as a caller: the Ledger counts it, checks that the token is not revoked, and marks the
/// proof as used. Returns its reply as it is, also a refusal.
pub async fn ask_as(
    env: &Env,
    grant: &Grant,
    sender: Caller,
    request: LedgerRequest,
) -> Result<LedgerReply, Rejection> {
    Ok(send(env, &grant.user, &LedgerCall { caller: Some(sender), request }).await?.reply)
}

/// Sends a message to the caller's Ledger for a request that was counted before. The Ledger checks revocation again.
pub async fn ask_ledger_again(env: &Env, grant: &Grant, request: LedgerRequest) -> Result<LedgerReply, Rejection> {
    Ok(ask_with_freshness(env, grant, request).await?.0)
}

/// Sends a request as [`ask_ledger_again`] does. Returns the reply, and how long its queue positions stay fresh.
pub async fn ask_with_freshness(
    env: &Env,
    grant: &Grant,
    request: LedgerRequest,
) -> Result<(LedgerReply, Option<i64>), Rejection> {
    let call = LedgerCall { caller: Some(caller_of(grant, None, None)), request };
    let LedgerEnvelope { fresh_millis, reply, .. } = send(env, &grant.user, &call).await?;
    Ok((accept(reply)?, fresh_millis))
}

/// Sends a message to a Ledger in the name of no caller, so that it is handled even if the caller's token has been
/// revoked meanwhile.
pub async fn tell_ledger(env: &Env, user: &UserKey, request: LedgerRequest) -> Result<LedgerReply, Rejection> {
    accept(send(env, user, &LedgerCall { caller: None, request }).await?.reply)
}

/// Returns the caller of a message. `requests_per_minute` is absent if the request was counted before.
pub fn caller_of(grant: &Grant, requests_per_minute: Option<u32>, proof: Option<ProofUse>) -> Caller {
    Caller { issued_at: grant.issued_at, jti: grant.jti.clone(), requests_per_minute, is_repeat: false, proof }
}

async fn send(env: &Env, user: &UserKey, call: &LedgerCall) -> Result<LedgerEnvelope, Rejection> {
    client::ask_ledger(env, user, call).await.map_err(unavailable)
}

fn unavailable(PlatformError: PlatformError) -> Rejection {
    limiter_unavailable("ledger_unavailable")
}

fn accept(reply: LedgerReply) -> Result<LedgerReply, Rejection> {
    match reply {
        // The handler of the create maps this refusal, because it knows which parameter names the file.
        LedgerReply::Refused(LedgerRefusal::UnknownFile { .. }) => Ok(reply),
        LedgerReply::Refused(refusal) => Err(rejection_of(refusal)),
        reply => Ok(reply),
    }
}

/// Sets the caller's challenge, unless the refusal has its own.
fn with_challenge(rejection: Rejection, challenge: Challenge) -> Rejection {
    match rejection.challenge {
        Challenge::Bearer => rejection.challenge(challenge),
        _ => rejection,
    }
}

/// Returns the refusal for an object's reply that does not fit its request.
pub fn unexpected() -> Rejection {
    limiter_unavailable("ledger_reply")
}

/// Returns a 503 that asks for a retry after a second.
pub fn limiter_unavailable(reason: &'static str) -> Rejection {
    Rejection::new(Code::LimiterUnavailable, reason).retry_after(1)
}

/// The Dispatcher's permission for one vendor request that the edge sends itself.
pub struct Permit {
    /// The vendor's id of the prediction whose stream is opened.
    pub vendor_id: Option<String>,
    /// The fingerprint of the vendor key to use.
    pub vendor_key_fingerprint: Option<String>,
}

/// Asks the Dispatcher whether the edge may send the vendor one request: for a stream of this prediction, or for a file.
/// Users take turns.
pub async fn ask_permit(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    job_id: Option<JobId>,
) -> Result<Permit, Rejection> {
    let (user, weight) = (Some(caller.grant.user.clone()), Some(context.plan_of(caller)?.weight));
    let request = DispatcherRequest::Permit { job_id, user, weight };
    match ask_dispatcher(context.env, &request, ACK_TIMEOUT_MILLIS).await {
        Ok(DispatcherReply::Permit { vendor_id, vendor_key_fingerprint }) => {
            Ok(Permit { vendor_id, vendor_key_fingerprint })
        }
        Ok(DispatcherReply::Wait { retry_after_secs }) => {
            Err(Rejection::new(Code::UpstreamUnavailable, "vendor_requests").retry_after(retry_after_secs))
        }
        // The prediction has ended, or is not running yet.
        Ok(DispatcherReply::Jobs(_)) => Err(Rejection::new(Code::NotFound, "stream")),
        Ok(_) | Err(_) => Err(limiter_unavailable("dispatcher_unavailable")),
    }
}

/// Maps the vendor's unsuccessful reply to a request that the edge itself sent to an error response. A 2xx with the
/// vendor's error envelope is a refusal.
pub fn vendor_refusal(answer: &VendorReply, now: UnixMillis) -> Rejection {
    let VendorReply::Response(response) = answer else {
        return match answer {
            VendorReply::TimedOut => Rejection::new(Code::UpstreamTimeout, "vendor_silent"),
            _ => Rejection::new(Code::UpstreamError, "vendor_broken"),
        };
    };
    match response.status {
        429 | 503 => {
            let secs = response.retry_after.as_deref().and_then(|text| retry_after_secs(text, now));
            let secs = secs.unwrap_or_else(|| THROTTLE_DEFAULT_MILLIS.div_euclid(MILLIS_PER_SECOND));
            let rejection = Rejection::new(Code::UpstreamUnavailable, "vendor_throttled");
            rejection.retry_after(u32::try_from(secs).unwrap_or(u32::MAX))
        }
        300..=499 => Rejection::new(Code::UpstreamRejected, "vendor_refused"),
        200..=299 if is_error_envelope(&response.body) => Rejection::new(Code::UpstreamRejected, "vendor_refused"),
        200..=299 => Rejection::new(Code::UpstreamError, "vendor_unreadable"),
        _ => Rejection::new(Code::UpstreamError, "vendor_failed"),
    }
}

/// Maps a Ledger's refusal to an error response.
fn rejection_of(refusal: LedgerRefusal) -> Rejection {
    let wait = |code, reason, secs| Rejection::new(code, reason).retry_after(secs);
    match refusal {
        LedgerRefusal::NotFound => Rejection::new(Code::NotFound, "owned"),
        LedgerRefusal::NotEnded => Rejection::new(Code::NotEnded, "prediction_runs"),
        LedgerRefusal::Revoked => Rejection::new(Code::InvalidToken, "revoked"),
        LedgerRefusal::ProofUsed => Rejection::new(Code::InvalidToken, "proof_used").challenge(Challenge::NewProof),
        LedgerRefusal::InProgress => wait(Code::IdempotencyInProgress, "idempotency", 1),
        LedgerRefusal::KeyMismatch => Rejection::new(Code::IdempotencyMismatch, "idempotency"),
        LedgerRefusal::UnknownFile { .. } => Rejection::new(Code::InvalidParameter, "file"),
        LedgerRefusal::FileLimitReached => Rejection::new(Code::FileLimitReached, "files"),
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
