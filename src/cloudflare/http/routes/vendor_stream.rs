//! `GET /v1/predictions/{id}/stream`: relays the vendor's own stream to the prediction's owner. The stream passes
//! through the edge, never through an object, and needs a permit of the Dispatcher (protocol 4).

use worker::Env;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{
    Permit, ask_ledger, ask_ledger_again, ask_permit, tell_ledger, unexpected, vendor_refusal,
};
use crate::cloudflare::http::outcome::{Counted, Reply, RouteResult};
use crate::cloudflare::http::response::stream_lines;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::cloudflare::runtime::vendor_http::{self, Relay, RelayEnd};
use crate::constants::EVENT_POLL_MILLIS;
use crate::messages::{LedgerReply, LedgerRequest, Rate, StreamId};
use crate::token::Grant;
use crate::types::ids::JobId;
use crate::types::prediction::Status;
use crate::vendor::request;
use crate::wire::rejection::{Code, Rejection};

/// Opens the vendor's stream:
///
/// 9. Ask the Ledger: 401, 404, 429, 503.
/// 10. Get a permit of the Dispatcher: 404, 503.
/// 11. Open the stream at the vendor: 502, 503, 504.
pub async fn open(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    // 9
    let stream = StreamId { id: context.request_id.clone(), vendor: Some(job_id.clone()) };
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone() };
    let counted = ask_ledger(context, caller, watch.clone()).await?;
    let LedgerReply::Prediction(record) = &counted.value else { return Err(counted.reject(unexpected())) };
    if context.is_head() {
        return head(context, caller, stream, record.status, counted.rate).await;
    }
    // 10
    let permit = if record.status.is_terminal() {
        Err(no_stream())
    } else {
        ask_permit(context, caller, Some(job_id.clone())).await
    };
    let permit = permit.and_then(|permit| Ok((permit.vendor_id.clone().ok_or_else(no_stream)?, permit)));
    let (vendor_id, permit) = match permit {
        Ok(permit) => permit,
        Err(rejection) => {
            unwatch(context, caller, stream, true).await;
            return Err(counted.reject(rejection));
        }
    };
    // 11
    let relay = match open_relay(context, &vendor_id, &permit, counted.rate).await {
        Ok(relay) => relay,
        Err(rejection) => {
            unwatch(context, caller, stream, false).await;
            return Err(counted.reject(rejection));
        }
    };
    let response = relay.response().map_err(|PlatformError| counted.reject(unexpected()))?;
    let (env, grant) = (context.env.clone(), caller.grant.clone());
    wasm_bindgen_futures::spawn_local(async move {
        watch_relay(&env, &grant, &relay, &watch).await;
        let _ = tell_ledger(&env, &grant.user, LedgerRequest::Unwatch { stream, unopened: false }).await;
    });
    Ok(Reply::Open(response))
}

fn no_stream() -> Rejection {
    Rejection::new(Code::NotFound, "stream")
}

/// Responds to HEAD. The vendor's stream is not opened, because the platform would read it to its end and discard it.
async fn head(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    stream: StreamId,
    status: Status,
    rate: Option<Rate>,
) -> RouteResult {
    unwatch(context, caller, stream, true).await;
    let reject = |rejection| Counted { value: (), rate }.reject(rejection);
    if status != Status::Processing {
        return Err(reject(no_stream()));
    }
    let lines = stream_lines(rate, context.request_id, context.origin);
    Ok(Reply::Open(platform::respond(200, &lines, None).map_err(|PlatformError| reject(unexpected()))?))
}

/// Watches a relayed stream until it ends, and stops it once the token has expired or is revoked.
async fn watch_relay(env: &Env, grant: &Grant, relay: &Relay, watch: &LedgerRequest) {
    loop {
        match relay.ended_within(EVENT_POLL_MILLIS.1).await {
            RelayEnd::Running => {}
            RelayEnd::Ended => return,
            RelayEnd::Leaked => return log::alert("vendor_key_in_stream"),
        }
        let is_expired = platform::now() >= grant.expires_at.millis();
        if is_expired || ask_ledger_again(env, grant, watch.clone()).await.is_err_and(|rejection| ends(&rejection)) {
            relay.stop();
        }
    }
}

/// Returns whether a refused poll ends the stream. Any refusal does, except that of a Ledger that did not reply in
/// time.
fn ends(rejection: &Rejection) -> bool {
    rejection.code != Code::LimiterUnavailable
}

async fn open_relay(
    context: &RequestContext<'_>,
    vendor_id: &str,
    permit: &Permit,
    rate: Option<Rate>,
) -> Result<Relay, Rejection> {
    let request = request::stream(context.deployment.config.upstream_url.as_str(), vendor_id);
    let lines = stream_lines(rate, context.request_id, context.origin);
    let forms = context.deployment.key_scan.forms().to_string();
    let key = context.deployment.key(permit.vendor_key_fingerprint.as_deref());
    vendor_http::relay_stream(&request, key, &forms, &lines)
        .await
        .map_err(|reply| vendor_refusal(&reply, platform::now()))
}

/// Ends the stream's lease. If it is `unopened`, no vendor request was made, and the prediction may be streamed again
/// at once.
async fn unwatch(context: &RequestContext<'_>, caller: &AuthenticatedCaller, stream: StreamId, unopened: bool) {
    let _ = tell_ledger(context.env, &caller.grant.user, LedgerRequest::Unwatch { stream, unopened }).await;
}
