//! `GET /v1/predictions/{id}/stream`: relays the vendor's own stream to the prediction's owner. The stream passes
//! through the edge, never through an object, and needs a permit of the Dispatcher (protocol 4).

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::follower::{Followed, Follower, open_for_head};
use crate::cloudflare::http::ledger_client::{Permit, ask_permit, unexpected, vendor_refusal};
use crate::cloudflare::http::outcome::{Counted, Reply, RouteResult};
use crate::cloudflare::http::response::stream_lines;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::cloudflare::runtime::vendor_http::{self, Relay, RelayEnd};
use crate::messages::{Rate, StreamId};
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::prediction::Status;
use crate::types::time::UnixMillis;
use crate::vendor::reply::VendorReply;
use crate::vendor::request;
use crate::wire::rejection::{Code, Rejection};

/// Opens the vendor's stream:
///
/// 9. Ask the Ledger: 401, 404, 429, 503.
/// 10. Get a permit of the Dispatcher: 404, 503.
/// 11. Open the stream at the vendor: 502, 503, 504.
pub async fn open(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    // 9
    let stream = StreamId { id: context.request_id.clone(), vendor: Some(job_id.clone()), is_wait: false };
    if context.is_head() {
        return head(context, caller, job_id, stream).await;
    }
    let Counted { value: (follower, record), rate } = Follower::open(context, caller, job_id, stream).await?;
    let reject = |rejection| Counted { value: (), rate }.reject(rejection);
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
            // No vendor request was made.
            follower.end(true).await;
            return Err(reject(rejection));
        }
    };
    // 11
    let relay = match open_relay(context, caller, job_id, (&vendor_id, &permit), rate).await {
        Ok(relay) => relay,
        Err(rejection) => {
            follower.end(false).await;
            return Err(reject(rejection));
        }
    };
    let response = relay.response().map_err(|PlatformError| reject(unexpected()))?;
    let expires_at = caller.grant.expires_at.millis();
    wasm_bindgen_futures::spawn_local(watch_relay(relay, follower, expires_at));
    Ok(Reply::Open(response))
}

fn no_stream() -> Rejection {
    Rejection::new(Code::NotFound, "stream")
}

/// Responds to HEAD. The vendor's stream is not opened, because the platform would read it to its end and discard it.
async fn head(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    job_id: &JobId,
    stream: StreamId,
) -> RouteResult {
    let counted = open_for_head(context, caller, job_id, stream).await?;
    if counted.value.status != Status::Processing {
        return Err(counted.reject(no_stream()));
    }
    let lines = stream_lines(counted.rate, context.request_id, context.origin);
    let no_response = |PlatformError| counted.reject(unexpected());
    Ok(Reply::Open(platform::respond(200, &lines, None).map_err(no_response)?))
}

/// Watches a relayed stream until it ends, and stops it once the token has expired or is revoked.
async fn watch_relay(relay: Relay, mut follower: Follower, expires_at: UnixMillis) {
    let stop = async {
        while platform::now() < expires_at && !matches!(follower.next(expires_at).await, Followed::Ended) {}
        relay.stop();
        // The stream ends now.
        std::future::pending().await
    };
    if matches!(first_of(relay.end(), stop).await, RelayEnd::Leaked) {
        alerts::raise(Alert::VendorKeyInStream);
    }
    follower.end(false).await;
}

/// Awaits two futures until one of them is ready.
async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        ready => ready,
    })
    .await
}

/// Opens the vendor's stream. If the vendor refuses the key, the other one is tried, with a permit of its own.
async fn open_relay(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    job_id: &JobId,
    (vendor_id, permit): (&str, &Permit),
    rate: Option<Rate>,
) -> Result<Relay, Rejection> {
    let request = request::stream(context.deployment.config.upstream_url.as_str(), vendor_id);
    let lines = stream_lines(rate, context.request_id, context.origin);
    let forms = context.deployment.key_scan.forms().to_string();
    let key = context.deployment.key(permit.vendor_key_fingerprint.as_deref());
    let refused = match vendor_http::relay_stream(&request, key, &forms, &lines).await {
        Ok(relay) => return Ok(relay),
        Err(reply) => reply,
    };
    let refusal = |reply: &VendorReply| vendor_refusal(reply, platform::now());
    let other = context.deployment.other_key(key).filter(|_| refused.status() == Some(401));
    let other = other.ok_or_else(|| refusal(&refused))?;
    ask_permit(context, caller, Some(job_id.clone())).await?;
    vendor_http::relay_stream(&request, other, &forms, &lines).await.map_err(|reply| refusal(&reply))
}
