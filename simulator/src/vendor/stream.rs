//! `GET /v1/predictions/:id/stream`: server-sent events. The vendor does not document their format.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::watch;

use super::error::HandlerResult;
use super::guard::CallerAccount;
use super::predictions::find;
use crate::app::App;
use crate::gauge::GaugeGuard;

/// The state of a stream between two events.
struct EventSource {
    app: Arc<App>,
    changes: watch::Receiver<u64>,
    account: String,
    id: String,
    first: bool,
    ended: bool,
    _open: GaugeGuard,
}

/// Streams `event: status` events with the prediction as JSON: one at once, one whenever any prediction ends, and one
/// every `stream_interval_ms`. The stream ends after a terminal status.
pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    find(&app, &account, &id)?;
    let (changes, open) = (app.changes(), app.streams.open());
    let source = EventSource { app, changes, account, id, first: true, ended: false, _open: open };
    let events = stream::unfold(source, |source| async move { source.next().await });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

impl EventSource {
    /// Returns the next event; `None` after a terminal status, or after a reset deleted the prediction.
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if self.ended {
            return None;
        }
        if !self.first {
            let interval = Duration::from_millis(self.app.world().settings.stream_interval_ms.max(1));
            // After a time-out the status is sent again, as after a change.
            let _ = tokio::time::timeout(interval, self.changes.changed()).await;
        }
        self.first = false;
        let prediction = find(&self.app, &self.account, &self.id).ok()?;
        self.ended = prediction.status.is_terminal();
        let event = format!("event: status\ndata: {}\n\n", self.app.render(&prediction));
        Some((Ok(Bytes::from(event)), self))
    }
}
