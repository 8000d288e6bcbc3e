//! Sends requests of the operator's API to the Dispatcher.

use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::constants::ACK_TIMEOUT_MILLIS;
use crate::messages::{DispatcherReply, DispatcherRequest, OperatorReply, OperatorRequest};
use crate::wire::rejection::Rejection;

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
