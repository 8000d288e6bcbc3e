//! The responses that a request leaves for the case that the wasm instance ends before it has its own (worker.js).

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::outcome::Counted;
use crate::cloudflare::http::response::{self, Response};
use crate::cloudflare::objects::client;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::MILLIS_PER_SECOND;
use crate::messages::{LedgerCall, LedgerRequest, Rate};
use crate::oauth::{OAuthError, OAuthRefusal};
use crate::types::ids::JobId;
use crate::wire::rejection::{Code, Rejection};

/// The cause in the log.
const REASON: &str = "instance_ended";

fn not_admitted(context: &RequestContext<'_>) -> Response {
    Response::rejection(&Rejection::new(Code::LimiterUnavailable, REASON).retry_after(1), context.request_id)
}

/// 504: the prediction exists, or the vendor may have got the request. So the client does not simply repeat it.
fn timed_out(context: &RequestContext<'_>, job_id: Option<&JobId>, rate: Option<Rate>) -> Response {
    let rejection = Rejection::new(Code::UpstreamTimeout, REASON);
    let rejection = Rejection { job_id: job_id.cloned(), ..rejection };
    Response { rate, ..Response::rejection(&rejection, context.request_id) }
}

/// Leaves a 503 for a request that has had no effect yet: it may be repeated.
pub fn before_effects(context: &RequestContext<'_>) {
    response::leave_fallback(context, not_admitted(context));
}

/// Leaves the same in the token endpoint's error format (RFC 6749 section 5.2).
pub fn in_token_endpoint(context: &RequestContext<'_>) {
    let refusal = OAuthRefusal::new(OAuthError::Unavailable, REASON).retry_after(1);
    let response = Response::json_text(refusal.error.wire().status, refusal.body());
    response::leave_fallback(context, Response { retry_after_secs: refusal.retry_after_secs, ..response });
}

/// Leaves, while the caller's Ledger admits a create, a withdrawal: 503 if nothing of the create is left after it, else 504
/// with `details.job_id`.
///
/// # Errors
/// If the message or its Ledger cannot be had. Then the fallback stays a 503.
pub fn in_admission(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    requests_per_minute: u32,
    job_ids: &[JobId],
) -> Result<(), PlatformError> {
    let call = LedgerCall { caller: None, request: LedgerRequest::Withdraw { job_ids: job_ids.to_vec() } };
    let message = client::encode_message(&call, false)?;
    // The Ledger's count of the minute is lost with its reply, so no further request is promised.
    let reset = context.now.plus_millis(60 * MILLIS_PER_SECOND).seconds();
    let rate = Rate { limit: requests_per_minute, remaining: 0, reset };
    let responses = (not_admitted(context), timed_out(context, job_ids.first(), Some(rate)));
    let ledger = (client::ledgers(context.env)?, caller.grant.user.as_str(), message);
    response::leave_withdrawal(context, responses, ledger);
    Ok(())
}

/// Leaves a 504 for a create that the Ledger has admitted: the client follows the prediction, and nobody pays twice.
pub fn after_admission<T>(context: &RequestContext<'_>, admitted: &Counted<T>, job_id: &JobId) {
    response::leave_fallback(context, timed_out(context, Some(job_id), admitted.rate));
}

/// Leaves a 504 for a request that is being sent to the vendor.
pub fn while_sending<T>(context: &RequestContext<'_>, counted: &Counted<T>) {
    response::leave_fallback(context, timed_out(context, None, counted.rate));
}
