//! `GET /v1/predictions/{id}/stream`: the vendor's own stream, for the owner alone. From the vendor through the edge to the
//! client, never through an object, with a permit of the Dispatcher (protocol 4).

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::{Reply, stream_lines};
use crate::cloudflare::objects::client::{
    ask_ledger, ask_ledger_again, ask_permit, tell_ledger, unexpected, vendor_refusal,
};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, Relay, RelayEnd};
use crate::constants::EVENT_POLL_MILLIS;
use crate::messages::{LedgerReply, LedgerRequest, StreamId};
use crate::token::Grant;
use crate::types::ids::JobId;
use crate::types::prediction::Status;
use crate::vendor::request;
use crate::wire::rejection::{Code, Rejection};

/// Step 9: Ledger 401, 404, 429, 503 · 10 Dispatcher 404, 503 · 11 the vendor 502, 503, 504. Then the stream is open.
pub async fn open(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Reply, Rejection> {
    // 9
    let stream = StreamId { id: call.request_id.clone(), vendor: Some(job_id.clone()) };
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone() };
    let LedgerReply::Prediction(record) = ask_ledger(call, grant, watch.clone()).await? else {
        return Err(unexpected());
    };
    let nothing = || Rejection::new(Code::NotFound, "stream");
    if call.head.method == "HEAD" {
        // Nothing is opened: the platform would read the vendor's stream to its end, for nobody.
        unwatch(call, grant, stream, true).await;
        if record.status != Status::Processing {
            return Err(nothing());
        }
        let lines = stream_lines(call.rate.get(), call.request_id, call.origin);
        return Ok(Reply::Open(platform::respond(200, &lines, None).map_err(|_| unexpected())?));
    }
    // 10
    let permit =
        if record.status.is_terminal() { Err(nothing()) } else { ask_permit(call, Some(job_id.clone())).await };
    let permit = permit.and_then(|(vendor_id, key)| Ok((vendor_id.ok_or_else(nothing)?, key)));
    let (vendor_id, key) = match permit {
        Ok(permit) => permit,
        Err(rejection) => {
            unwatch(call, grant, stream, true).await;
            return Err(rejection);
        }
    };
    // 11
    let relay = match open_relay(call, &vendor_id, key.as_deref()).await {
        Ok(relay) => relay,
        Err(rejection) => {
            unwatch(call, grant, stream, false).await;
            return Err(rejection);
        }
    };
    let response = relay.response().map_err(|_| unexpected())?;
    let (env, grant) = (call.env.clone(), grant.clone());
    wasm_bindgen_futures::spawn_local(async move {
        loop {
            match relay.ended_within(EVENT_POLL_MILLIS.1).await {
                RelayEnd::Running => {}
                RelayEnd::Ended => break,
                RelayEnd::Leaked => {
                    log::alert("vendor_key_in_stream");
                    break;
                }
            }
            let is_over = platform::now() >= grant.expires_at.millis();
            if is_over || ask_ledger_again(&env, &grant, watch.clone()).await.is_err_and(|rejection| ends(&rejection)) {
                relay.stop();
            }
        }
        let _ = tell_ledger(&env, &grant.user, LedgerRequest::Unwatch { stream, unopened: false }).await;
    });
    Ok(Reply::Open(response))
}

/// Whether a refused look ends the stream: anything but an object that did not answer in time.
fn ends(rejection: &Rejection) -> bool {
    rejection.code != Code::LimiterUnavailable
}

async fn open_relay(call: &Call<'_>, vendor_id: &str, key: Option<&str>) -> Result<Relay, Rejection> {
    let request = request::stream(call.deployment.config.upstream_url.as_str(), vendor_id);
    let lines = stream_lines(call.rate.get(), call.request_id, call.origin);
    let forms = call.deployment.key_scan.forms().to_string();
    let key = call.deployment.key(key);
    platform::relay_stream(&request, key, &forms, &lines).await.map_err(|answer| vendor_refusal(&answer))
}

/// The stream's place is free again: at once if it is `unopened`, because the vendor was not asked for it.
async fn unwatch(call: &Call<'_>, grant: &Grant, stream: StreamId, unopened: bool) {
    let _ = tell_ledger(call.env, &grant.user, LedgerRequest::Unwatch { stream, unopened }).await;
}
