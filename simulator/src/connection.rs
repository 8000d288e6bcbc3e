//! Serves connections so that a handler can take over its own socket: what a fault needs, since HTTP libraries
//! refuse to write a broken answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_service::Service;

use crate::faults::Script;

/// Pause after a failed accept (too many open files, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A handler's way to its socket; an extension of every request.
#[derive(Clone, Debug)]
pub struct Takeover {
    scripts: mpsc::Sender<Script>,
}

impl Takeover {
    /// Stops HTTP on this connection and plays `script` on the bare socket, which is closed afterwards. Never
    /// returns: the connection ends, and this handler with it.
    pub async fn play(&self, script: Script) -> Response {
        // An error means that the connection is gone already, and so is whoever waits for an answer.
        let _ = self.scripts.send(script).await;
        std::future::pending().await
    }
}

/// How many of something are open now, and were at most.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicU64,
    max: AtomicU64,
}

/// Counts as one open thing until it is dropped.
#[derive(Debug)]
pub struct Open(Arc<Counts>);

impl Gauge {
    /// Opens one.
    pub fn open(&self) -> Open {
        let open = self.counts.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.max.fetch_max(open, Ordering::SeqCst);
        Open(Arc::clone(&self.counts))
    }

    /// Open now, and at most.
    pub fn read(&self) -> (u64, u64) {
        (self.counts.open.load(Ordering::SeqCst), self.counts.max.load(Ordering::SeqCst))
    }

    /// Starts the maximum anew from what is open now.
    pub fn reset_max(&self) {
        self.counts.max.store(self.counts.open.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Accepts connections until the task is aborted.
pub async fn serve(listener: TcpListener, router: Router, connections: Gauge) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(serve_one(socket, router.clone(), connections.open()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_one(socket: TcpStream, router: Router, _open: Open) {
    // Without it, small chunks of a stream would wait for the peer's acknowledgement.
    let _ = socket.set_nodelay(true);
    let (scripts, mut takeovers) = mpsc::channel(1);
    let takeover = Takeover { scripts };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(takeover.clone());
        let mut router = router.clone();
        async move { router.call(request.map(Body::new)).await.map_err(|never: Infallible| never) }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // A peer that vanished or sent nonsense: nothing to do about it.
        _ = &mut connection => {}
        Some(script) = takeovers.recv() => script.play(connection.into_parts().io.into_inner()).await,
    }
}
