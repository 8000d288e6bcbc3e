//! Serves HTTP/1 connections and lets a handler take over its own socket. Faults need the socket because HTTP libraries
//! refuse to write a broken response.

use std::convert::Infallible;
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
use crate::gauge::{Gauge, GaugeGuard};

/// Pause after a failed accept, which is mostly "too many open files", so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A handler's way to its socket; an extension of every request.
#[derive(Clone, Debug)]
pub struct Takeover {
    scripts: mpsc::Sender<Script>,
}

impl Takeover {
    /// Stops HTTP on this connection, plays `script` on the bare socket and closes it. Never returns: the handler is
    /// dropped together with the connection.
    pub async fn play(&self, script: Script) -> Response {
        // An error means that the connection is closed already, so no client waits for a response.
        let _ = self.scripts.send(script).await;
        std::future::pending().await
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

async fn serve_one(socket: TcpStream, router: Router, _open: GaugeGuard) {
    // Nagle's algorithm would hold small chunks of a stream back until the peer acknowledges the previous one.
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
        // An error means that the peer vanished or sent malformed HTTP. Nothing is left to do.
        _ = &mut connection => {}
        Some(script) = takeovers.recv() => script.play(connection.into_parts().io.into_inner()).await,
    }
}
