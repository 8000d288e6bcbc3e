//! `GET /v1/predictions/{id}/events`: server-sent events, held by the edge, which looks at the Ledger every few seconds
//! (protocol 1). Each look checks revocation again and keeps the stream's place among the four that a user may have.

use std::rc::Rc;

use worker::Env;

use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::{Reply, stream_lines};
use crate::cloudflare::objects::client::{ask_ledger, ask_ledger_again, limiter_unavailable, tell_ledger, unexpected};
use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, OpenStream, PlatformError};
use crate::constants::{EVENT_HEARTBEAT_MILLIS, EVENT_STREAM_MAX_MILLIS};
use crate::ledger::event_wait_millis;
use crate::messages::{LedgerReply, LedgerRequest, StreamId};
use crate::parse::digits::parse_digits;
use crate::token::Grant;
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, QueuePosition};
use crate::types::time::UnixMillis;
use crate::wire::rejection::{Code, Rejection};

/// Step 9: Ledger 401, 404, 429, 503. Then the stream is open.
pub async fn open(call: &Call<'_>, grant: &Grant, job_id: &JobId) -> Result<Reply, Rejection> {
    let stream = StreamId { id: call.request_id.clone(), vendor: None };
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone() };
    let LedgerReply::Prediction(record) = ask_ledger(call, grant, watch).await? else { return Err(unexpected()) };
    let lines = stream_lines(call.rate.get(), call.request_id, call.origin);
    let no_response = |_: PlatformError| limiter_unavailable("no_response");
    if call.head.method == "HEAD" {
        let _ = tell_ledger(call.env, &grant.user, LedgerRequest::Unwatch { stream, unopened: false }).await;
        return Ok(Reply::Open(platform::respond(200, &lines, None).map_err(no_response)?));
    }
    let (response, out) = OpenStream::open(&lines).map_err(no_response)?;
    let mut events = Events {
        env: call.env.clone(),
        deployment: Rc::clone(call.deployment),
        grant: grant.clone(),
        stream,
        base: call.base.to_owned(),
        opened_at: call.now,
        written_at: call.now,
        shown: last_seen(call.head.last_event_id.as_deref(), &record),
        out,
    };
    wasm_bindgen_futures::spawn_local(async move {
        events.run(*record).await;
        let (env, user, stream) = (&events.env, &events.grant.user, events.stream.clone());
        let _ = tell_ledger(env, user, LedgerRequest::Unwatch { stream, unopened: false }).await;
    });
    Ok(Reply::Open(response))
}

/// What the client has already, by its `Last-Event-ID`.
fn last_seen(last_event_id: Option<&str>, record: &PredictionRecord) -> Option<(u64, Option<QueuePosition>)> {
    let seen = parse_digits::<u64>(last_event_id?)?;
    (seen >= record.sequence).then_some((record.sequence, record.queue))
}

struct Events {
    env: Env,
    deployment: Rc<Deployment>,
    grant: Grant,
    stream: StreamId,
    base: String,
    opened_at: UnixMillis,
    written_at: UnixMillis,
    /// Number and place of what was written last.
    shown: Option<(u64, Option<QueuePosition>)>,
    out: OpenStream,
}

impl Events {
    /// Until the prediction has ended, five minutes are over, the token ends or is revoked, or the client has gone.
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
                // It may answer the next look.
                Err(rejection) if rejection.code == Code::LimiterUnavailable => {}
                Ok(_) | Err(_) => return,
            }
            // The look took its time: nothing is written once the token has ended.
            if platform::now() >= ends_at {
                return;
            }
        }
    }

    /// Writes what is new, or a comment that keeps the connection open and finds out whether it still is.
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
        let data = record.render(&self.base);
        if self.deployment.key_scan.finds_in(&data) {
            log::alert("vendor_key_in_answer");
            return Err(PlatformError);
        }
        self.shown = Some(present);
        self.written_at = now;
        self.out.write(&format!("event: status\nid: {}\ndata: {data}\n\n", record.sequence)).await
    }
}
