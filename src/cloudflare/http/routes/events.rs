//! `GET /v1/predictions/{id}/events`: server-sent events. The edge holds the stream and follows the prediction
//! ([`Follower`]). Heartbeats and the stream's end are timers of the edge. A user has at most four event streams.

use std::rc::Rc;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::follower::{Followed, Follower, open_for_head};
use crate::cloudflare::http::ledger_client::limiter_unavailable;
use crate::cloudflare::http::outcome::{Reply, RouteResult};
use crate::cloudflare::http::response::stream_lines;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::Deployment;
use crate::cloudflare::runtime::event_stream::OpenStream;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::constants::{EVENT_HEARTBEAT_MILLIS, EVENT_STREAM_MAX_MILLIS};
use crate::messages::StreamId;
use crate::parse::digits::parse_digits;
use crate::types::alert::Alert;
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, QueuePosition};
use crate::types::time::UnixMillis;

/// Opens the stream after step 9, the Ledger: 401, 404, 429, 503.
pub async fn open(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId) -> RouteResult {
    let stream = StreamId { id: context.request_id.clone(), vendor: None, is_wait: false };
    if context.is_head() {
        return head(context, caller, job_id, stream).await;
    }
    let counted = Follower::open(context, caller, job_id, stream).await?;
    let lines = stream_lines(counted.rate, context.request_id, context.origin);
    let no_response = |PlatformError| limiter_unavailable("no_response");
    let (response, out) = OpenStream::open(&lines).map_err(|error| counted.reject(no_response(error)))?;
    let (follower, record) = counted.value;
    let events = Events {
        deployment: Rc::clone(context.deployment),
        follower,
        base_url: context.base_url.to_owned(),
        ends_at: context.now.plus_millis(EVENT_STREAM_MAX_MILLIS).min(caller.grant.expires_at.millis()),
        written_at: context.now,
        shown: last_seen(context.head.last_event_id.as_deref(), &record),
        out,
    };
    wasm_bindgen_futures::spawn_local(events.run(record));
    Ok(Reply::Open(response))
}

/// Responds to HEAD: the head of the stream that a GET would open, without a socket.
async fn head(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    job_id: &JobId,
    stream: StreamId,
) -> RouteResult {
    let counted = open_for_head(context, caller, job_id, stream).await?;
    let lines = stream_lines(counted.rate, context.request_id, context.origin);
    let no_response = |PlatformError| counted.reject(limiter_unavailable("no_response"));
    Ok(Reply::Open(platform::respond(200, &lines, None).map_err(no_response)?))
}

/// Returns the sequence number and queue position that the client has already seen, by its `Last-Event-ID`.
fn last_seen(last_event_id: Option<&str>, record: &PredictionRecord) -> Option<(u64, Option<QueuePosition>)> {
    let seen = parse_digits::<u64>(last_event_id?)?;
    (seen >= record.sequence).then_some((record.sequence, record.queue))
}

struct Events {
    deployment: Rc<Deployment>,
    follower: Follower,
    base_url: String,
    /// Five minutes after the stream was opened, or the token's expiry if that is earlier.
    ends_at: UnixMillis,
    written_at: UnixMillis,
    /// Sequence number and queue position of the last event.
    shown: Option<(u64, Option<QueuePosition>)>,
    out: OpenStream,
}

impl Events {
    /// Writes events until the prediction ends, the stream's time is over, the token is revoked, or the client
    /// disconnects.
    async fn run(mut self, record: PredictionRecord) {
        let _ = self.write_all(record).await;
        let Self { follower, out, .. } = self;
        drop(out);
        follower.end(false).await;
    }

    /// Fails if the client has disconnected, or if an event would contain the vendor key.
    async fn write_all(&mut self, mut record: PredictionRecord) -> Result<(), PlatformError> {
        loop {
            self.show(&record).await?;
            if record.status.is_terminal() {
                return Ok(());
            }
            let heartbeat_at = self.written_at.plus_millis(EVENT_HEARTBEAT_MILLIS);
            match self.follower.next(heartbeat_at.min(self.ends_at)).await {
                Followed::Record(present) => record = *present,
                Followed::Nothing => {}
                Followed::Ended => return Ok(()),
            }
            // The token may have expired. Nothing is written after that.
            if platform::now() >= self.ends_at {
                return Ok(());
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
            alerts::raise(Alert::VendorKeyInAnswer);
            return Err(PlatformError);
        }
        self.shown = Some(present);
        self.written_at = now;
        self.out.write(&format!("event: status\nid: {}\ndata: {data}\n\n", record.sequence)).await
    }
}
