//! Connections: their number and their time-outs.
//!
//! ```text
//!  accept ──▶ head (10 s) ──▶ body (10 s without progress) ──▶ handler ──▶ answer (10 s without progress) ──▶ idle (75 s)
//!               ▲                                                                                               │
//!               └───────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An answer as a whole has 30 s and one second for each 8 KiB, so that a client that reads steadily but slowly holds
//! neither its place among the requests nor its page for long. A stream of events has no length and no such limit.
//!
//! A client that exceeds a time-out is disconnected. When the maximum number of connections is open, a new connection
//! evicts the one that has waited longest for its client, so that a probe or an operator can always connect.
//!
//! `axum::serve` was rejected, because it has no such limits. hyper's own time-out of the head includes the idle time, so that
//! one number would have to fit both.

mod io;
mod limits;
mod monitor;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

pub use limits::ConnectionLimits;

use io::{MonitoredStream, RequestBody, ResponseBody};
use monitor::{ConnHandle, ConnTable};

/// The maximum size of a request's head, and of the write buffer of an answer.
const MAX_BUFFER: usize = 64 * 1024;
/// The wait before the next accept when the system has no descriptor for a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The size of the system's send buffer for a client. The system reports room again when a third is free: with a buffer
/// that grows to 4 MiB, a slow client would seem to take nothing for longer than the limit.
const SEND_BUFFER: usize = 128 * 1024;

/// Serves until `closing`, then lets requests in progress end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    closing: CancellationToken,
) {
    let table = Arc::new(ConnTable::new(limits));
    let connections = TaskTracker::new();
    let mut sweep = tokio::time::interval(limits.sweep_interval());
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            _ = sweep.tick() => table.close_overdue(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(handle) = table.register() {
                        connections.spawn(connection(stream, router.clone(), handle, closing.clone()));
                        table.wait_for_evicted().await;
                    }
                }
                Err(error) => handle_accept_error(&error).await,
            },
        }
    }
    drop(listener);
    connections.close();
    let sweeping = async {
        loop {
            sweep.tick().await;
            table.close_overdue();
        }
    };
    tokio::select! {
        () = connections.wait() => {}
        () = sweeping => {}
    }
}

async fn handle_accept_error(error: &std::io::Error) {
    // The client of such a connection left before it was accepted.
    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "could not accept a connection");
    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
}

async fn connection(stream: TcpStream, router: Router, handle: ConnHandle, closing: CancellationToken) {
    let monitor = Arc::clone(handle.monitor());
    // An answer is written in few large pieces, so there is nothing to collect.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER);
    let stream = TokioIo::new(MonitoredStream::new(stream, Arc::clone(&monitor)));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        monitor.on_request();
        let request: Request = request.map(|body| Body::new(RequestBody::new(body, Arc::clone(&monitor))));
        let (router, monitor) = (router.clone(), Arc::clone(&monitor));
        async move {
            router
                .oneshot(request)
                .await
                .map(|response| response.map(|body| ResponseBody::new(body, monitor)))
        }
    });
    let serving = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .header_read_timeout(None)
        .serve_connection(stream, service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = monitor.closed() => Ok(()),
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => ended,
                () = monitor.closed() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
