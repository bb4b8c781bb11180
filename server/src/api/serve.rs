//! Connections: their number and their time-outs.
//!
//! ```text
//!  accept ──▶ head (10 s) ──▶ body (10 s without progress) ──▶ handler ──▶ answer (10 s without progress) ──▶ idle (75 s)
//!               ▲                                                                                               │
//!               └───────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An answer as a whole has 30 s and one second for each 8 KiB, so that a client that reads steadily but slowly holds neither
//! its place among the requests nor its page for long. A stream of events has no length and no such limit.
//!
//! A client that exceeds a time-out is disconnected. When the maximum number of connections is open, a new connection evicts
//! the one that has waited longest for its client, so that a probe or an operator can always connect.
//!
//! `axum::serve` was rejected, because it has no such limits. hyper's own time-out of the head includes the idle time, so that
//! one number would have to fit both.

mod io;
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

use io::{MonitoredStream, RequestBody, ResponseBody};
use monitor::{ConnHandle, ConnTable};

/// The largest head of a request, and the largest write buffer of an answer.
const MAX_BUFFER: usize = 64 * 1024;
/// The longest time between two sweeps for overdue connections.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The wait before the next accept when the system has no descriptor for a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// The most connections of one server.
const MAX_CONNECTIONS: u64 = 512;

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open at once; 512, or half of the descriptors that the process may have.
    pub connections: usize,
    /// From the first byte of a request, or from the start of a connection, to the end of the head; 10 s.
    pub head: Duration,
    /// Without a byte of a body or without one taken of an answer; 10 s.
    pub stalled: Duration,
    /// For an answer of known length as a whole, beside the time that its length takes at `answer_rate`; 30 s.
    pub answer: Duration,
    /// Bytes a second at which a client must at least take an answer; 8 KiB, so that 4 MiB, the longest page, may take nine minutes.
    pub answer_rate: u64,
    /// Between two requests; 75 s, which is longer than load balancers keep a connection.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// Returns the limits of a process that may have so many descriptors. The other half is for the store and the launcher.
    #[must_use]
    pub fn for_descriptors(descriptors: u64) -> Self {
        let connections = usize::try_from((descriptors / 2).clamp(1, MAX_CONNECTIONS)).unwrap_or(usize::MAX);
        Self {
            connections,
            head: Duration::from_secs(10),
            stalled: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            answer_rate: 8 * 1024,
            idle: Duration::from_secs(75),
        }
    }

    /// Returns how long an answer of this many bytes may take as a whole.
    fn response_time(&self, length: u64) -> Duration {
        self.answer.saturating_add(Duration::from_secs(length / self.answer_rate.max(1)))
    }

    /// How often to look for overdue connections, so that none lasts much longer than it may.
    fn sweep_interval(&self) -> Duration {
        let shortest = self.head.min(self.stalled).min(self.answer).min(self.idle);
        (shortest / 4).clamp(Duration::from_millis(10), MAX_SWEEP_INTERVAL)
    }
}

/// The bytes that the system holds for a client. It says that there is room again when a third is free: with a buffer that grows
/// to 4 MiB, a slow client would seem to take nothing for longer than it may.
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
