//! `GET /v1/predictions/:id/stream`: server-sent events. The vendor documents no format.

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

/// What a stream needs from event to event.
struct Watcher {
    app: Arc<App>,
    changes: watch::Receiver<u64>,
    account: String,
    id: String,
    first: bool,
    ended: bool,
    _open: GaugeGuard,
}

/// `event: status` with the prediction as JSON: at once, at each change, and every `stream_interval_ms` while it
/// runs. The stream ends after the terminal state.
pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(CallerAccount(account)): Extension<CallerAccount>,
    Path(id): Path<String>,
) -> HandlerResult {
    find(&app, &account, &id)?;
    let (changes, open) = (app.changes(), app.streams.open());
    let watcher = Watcher { app, changes, account, id, first: true, ended: false, _open: open };
    let events = stream::unfold(watcher, |watcher| async move { watcher.next().await });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

impl Watcher {
    /// The next event; `None` after the terminal state, or when the prediction was reset away.
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if self.ended {
            return None;
        }
        if !self.first {
            let interval = Duration::from_millis(self.app.world().settings.stream_interval_ms.max(1));
            // A time-out is as good as a change: the state is sent again.
            let _ = tokio::time::timeout(interval, self.changes.changed()).await;
        }
        self.first = false;
        let prediction = find(&self.app, &self.account, &self.id).ok()?;
        self.ended = prediction.status.is_terminal();
        let event = format!("event: status\ndata: {}\n\n", self.app.render(&prediction));
        Some((Ok(Bytes::from(event)), self))
    }
}
