//! `GET /v1/predictions/{id}/events`: server-sent events. The edge holds the stream and polls the Ledger every few
//! seconds (protocol 1). Each poll checks revocation again and renews the stream's lease. A user has at most four
//! leases.

use std::rc::Rc;

use worker::Env;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{
    ask_ledger, ask_ledger_again, limiter_unavailable, tell_ledger, unexpected,
};
use crate::cloudflare::http::outcome::{Reply, RouteResult};
use crate::cloudflare::http::response::stream_lines;
use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::event_stream::OpenStream;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{EVENT_HEARTBEAT_MILLIS, EVENT_STREAM_MAX_MILLIS};
use crate::ledger::event_wait_millis;
use crate::messages::{LedgerReply, LedgerRequest, StreamId};
use crate::parse::digits::parse_digits;
use crate::token::Grant;
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, QueuePosition};
use crate::types::time::UnixMillis;
use crate::wire::rejection::Code;

/// Opens the stream after step 9, the Ledger: 401, 404, 429, 503.
pub async fn open(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    let stream = StreamId { id: context.request_id.clone(), vendor: None };
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone() };
    let counted = ask_ledger(context, caller, watch).await?;
    let reject = |rejection| counted.reject(rejection);
    let LedgerReply::Prediction(record) = &counted.value else { return Err(reject(unexpected())) };
    let record = record.as_ref().clone();
    let lines = stream_lines(counted.rate, context.request_id, context.origin);
    let no_response = |PlatformError| reject(limiter_unavailable("no_response"));
    let user = &caller.grant.user;
    if context.is_head() {
        let _ = tell_ledger(context.env, user, LedgerRequest::Unwatch { stream, unopened: false }).await;
        return Ok(Reply::Open(platform::respond(200, &lines, None).map_err(no_response)?));
    }
    let (response, out) = OpenStream::open(&lines).map_err(no_response)?;
    let mut events = Events {
        env: context.env.clone(),
        deployment: Rc::clone(context.deployment),
        grant: caller.grant.clone(),
        stream,
        base_url: context.base_url.to_owned(),
        opened_at: context.now,
        written_at: context.now,
        shown: last_seen(context.head.last_event_id.as_deref(), &record),
        out,
    };
    wasm_bindgen_futures::spawn_local(async move {
        events.run(record).await;
        let (env, user, stream) = (&events.env, &events.grant.user, events.stream.clone());
        let _ = tell_ledger(env, user, LedgerRequest::Unwatch { stream, unopened: false }).await;
    });
    Ok(Reply::Open(response))
}

/// Returns the sequence number and queue position that the client has already seen, by its `Last-Event-ID`.
fn last_seen(last_event_id: Option<&str>, record: &PredictionRecord) -> Option<(u64, Option<QueuePosition>)> {
    let seen = parse_digits::<u64>(last_event_id?)?;
    (seen >= record.sequence).then_some((record.sequence, record.queue))
}

struct Events {
    env: Env,
    deployment: Rc<Deployment>,
    grant: Grant,
    stream: StreamId,
    base_url: String,
    opened_at: UnixMillis,
    written_at: UnixMillis,
    /// Sequence number and queue position of the last event.
    shown: Option<(u64, Option<QueuePosition>)>,
    out: OpenStream,
}

impl Events {
    /// Writes events until the prediction ends, the token expires or is revoked, the client disconnects, or five
    /// minutes have passed.
    async fn run(&mut self, mut record: PredictionRecord) {
        let ends_at = self.opened_at.plus_millis(EVENT_STREAM_MAX_MILLIS).min(self.grant.expires_at.millis());
        loop {
            if self.show(&record).await.is_err() || record.status.is_terminal() {
                return;
            }
            platform::sleep(event_wait_millis(platform::now(), self.opened_at, self.written_at, ends_at)).await;
            if platform::now() >= ends_at {
                return;
            }
            let watch = LedgerRequest::Watch { job_id: record.job_id.clone(), stream: self.stream.clone() };
            match ask_ledger_again(&self.env, &self.grant, watch).await {
                Ok(LedgerReply::Prediction(present)) => record = *present,
                // The Ledger did not reply: it may reply to the next poll.
                Err(rejection) if rejection.code == Code::LimiterUnavailable => {}
                Ok(_) | Err(_) => return,
            }
            // The token may have expired during the poll. Nothing is written after that.
            if platform::now() >= ends_at {
                return;
            }
        }
    }

    /// Writes an event if the record has changed, else a heartbeat comment if one is due. Fails if the client has
    /// disconnected, or if the event would contain the vendor key.
    async fn show(&mut self, record: &PredictionRecord) -> Result<(), PlatformError> {
        let present = (record.sequence, record.queue);
        let now = platform::now();
        if self.shown == Some(present) {
            if now.millis_since(self.written_at) < EVENT_HEARTBEAT_MILLIS {
                return Ok(());
            }
            self.written_at = now;
            return self.out.write(": heartbeat\n\n").await;
        }
        let data = record.render(&self.base_url);
        if self.deployment.key_scan.finds_in(&data) {
            log::alert("vendor_key_in_answer");
            return Err(PlatformError);
        }
        self.shown = Some(present);
        self.written_at = now;
        self.out.write(&format!("event: status\nid: {}\ndata: {data}\n\n", record.sequence)).await
    }
}
