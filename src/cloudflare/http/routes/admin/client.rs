//! Sends requests of the operator's API to the Dispatcher.

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::messages::{DispatcherReply, DispatcherRequest, OperatorRefusal, OperatorReply, OperatorRequest};
use crate::wire::rejection::{Code, Rejection};

/// Sends a request of the operator's API to the Dispatcher.
///
/// # Errors
/// 503 if it does not reply, or is of a build that does not know the request.
pub async fn ask(context: &RequestContext<'_>, request: OperatorRequest) -> Result<OperatorReply, Rejection> {
    let request = DispatcherRequest::Operator(Box::new(request));
    match ask_dispatcher(context.env, &request, ACK_TIMEOUT_MILLIS).await {
        Ok(DispatcherReply::Operator(reply)) => Ok(*reply),
        Ok(_) | Err(_) => Err(limiter_unavailable("dispatcher_unavailable")),
    }
}

/// Returns the error response for a reply that says that nothing was done.
pub fn refused(reply: &OperatorReply) -> Rejection {
    match reply {
        OperatorReply::Refused(OperatorRefusal::NotFound) => Rejection::new(Code::NotFound, "operator"),
        OperatorReply::Refused(OperatorRefusal::NotEnded) => Rejection::new(Code::NotEnded, "operator"),
        OperatorReply::Refused(OperatorRefusal::TooMany { retry_after_secs }) => {
            Rejection::new(Code::RateLimited, "operator").retry_after(*retry_after_secs)
        }
        _ => limiter_unavailable("dispatcher_reply"),
    }
}
