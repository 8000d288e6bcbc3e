//! Fallback responses. A request leaves one with worker.js, which sends it if the wasm instance ends before the request
//! has its own response.

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::outcome::Counted;
use crate::cloudflare::http::response::{self, Response};
use crate::cloudflare::objects::client;
use crate::cloudflare::objects::namespaces::ledgers;
use crate::cloudflare::runtime::platform::PlatformError;
use crate::constants::MILLIS_PER_SECOND;
use crate::messages::{LedgerCall, LedgerRequest, Rate};
use crate::oauth::{OAuthError, OAuthRefusal};
use crate::types::ids::JobId;
use crate::wire::rejection::{Code, Rejection};

/// The reason in the log.
const REASON: &str = "instance_ended";

fn not_admitted() -> Response {
    Response::rejection(Rejection::new(Code::LimiterUnavailable, REASON).retry_after(1))
}

/// Returns the 504 for a request that may have had an effect: the prediction exists, or the vendor may have received
/// the request. With a 504, the client does not simply repeat it.
fn timed_out(job_id: Option<&JobId>, rate: Option<Rate>) -> Response {
    let rejection = Rejection::new(Code::UpstreamTimeout, REASON);
    let rejection = Rejection { job_id: job_id.cloned(), ..rejection };
    Response { rate, ..Response::rejection(rejection) }
}

/// Leaves a 503 for a request that has had no effect yet. The client may repeat it.
pub fn before_effects(context: &RequestContext<'_>) {
    response::leave_fallback(context, not_admitted());
}

/// Leaves the 503 of [`before_effects`] in the token endpoint's error format (RFC 6749 section 5.2).
pub fn in_token_endpoint(context: &RequestContext<'_>) {
    let refusal = OAuthRefusal::new(OAuthError::Unavailable, REASON).retry_after(1);
    let response = Response::json_text(refusal.error.wire().status, refusal.body());
    response::leave_fallback(context, Response { retry_after_secs: refusal.retry_after_secs, ..response });
}

/// Leaves a withdrawal while the caller's Ledger admits a create. worker.js responds 503 if the withdrawal removes the
/// whole create, else 504 with `details.job_id`.
///
/// # Errors
/// If the message cannot be encoded or the Ledgers' binding is missing. The fallback then stays a 503.
pub fn in_admission(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    requests_per_minute: u32,
    job_ids: &[JobId],
) -> Result<(), PlatformError> {
    let call = LedgerCall { caller: None, request: LedgerRequest::Withdraw { job_ids: job_ids.to_vec() } };
    let message = client::encode_message(&call, false)?;
    // The Ledger's request count for this minute is lost with its reply, so the response reports no remaining requests.
    let reset = context.now.plus_millis(60 * MILLIS_PER_SECOND).seconds();
    let rate = Rate { limit: requests_per_minute, remaining: 0, reset };
    let responses = (not_admitted(), timed_out(job_ids.first(), Some(rate)));
    let ledger = (ledgers(context.env)?, caller.grant.user.as_str(), message);
    response::leave_withdrawal(context, responses, ledger);
    Ok(())
}

/// Leaves a 504 for a create that the Ledger has admitted. The client follows the existing prediction, so the user does
/// not pay twice.
pub fn after_admission<T>(context: &RequestContext<'_>, admitted: &Counted<T>, job_id: &JobId) {
    response::leave_fallback(context, timed_out(Some(job_id), admitted.rate));
}

/// Leaves a 504 for a request that is being sent to the vendor.
pub fn while_sending<T>(context: &RequestContext<'_>, counted: &Counted<T>) {
    response::leave_fallback(context, timed_out(None, counted.rate));
}
