//! `GET /jobs/{id}` with 10,000 jobs, beside a bare handler of the same HTTP library that returns the same bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant as Moment;

use crate::figure::{Figure, Goal, quantile};
use crate::instant::Instant;
use crate::jobs;

const JOBS: usize = 10_000;
/// Connections that are kept open, each with one request under way.
const CONNECTIONS: usize = 32;
/// Requests of a connection in one turn.
const REQUESTS: usize = 400;
/// Turns of each server; they alternate, so that both see the same noise.
const ROUNDS: usize = 9;

pub(crate) async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = jobs::open(&folder.path().join("http.db")).await?;
    jobs::fill(&*store, JOBS, |number| format!("{} {}", number % 60, number / 60 % 60)).await?;
    let engine = jobs::engine(Arc::clone(&store), Arc::new(Instant::default())).await?;
    let router = jobs::api(&store, &engine);
    let product = serve(router).await?;
    let body = sample(product).await?;
    let bare = Router::new().route(
        "/jobs/{id}",
        get(move || std::future::ready(([(CONTENT_TYPE, "application/json")], body.clone()))),
    );
    let bare = serve(bare).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first turn of each fills caches and is not counted.
    for turn in 0..=ROUNDS {
        let (a, b) = (turn_of(product).await?, turn_of(bare).await?);
        if turn > 0 {
            ours.push(a);
            theirs.push(b);
        }
    }
    engine.stop(std::time::Duration::from_secs(5)).await;
    let (ours, theirs) = (quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5));
    Figure {
        name: "GET /jobs/{id}, 10,000 jobs, 32 connections",
        value: ours,
        unit: "requests/s",
        goal: Some(Goal::AtLeast(0.6 * theirs)),
        beside: ("a bare axum handler with the same bytes", theirs),
    }
    .print();
    Ok(())
}

async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Reads one job, and returns the body of the answer.
async fn sample(server: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let mut connection = Connection::open(server).await?;
    let body = connection.get(0).await?;
    Ok(connection.buffer[body].to_vec())
}

/// Has every connection make its requests, and returns requests per second.
async fn turn_of(server: SocketAddr) -> anyhow::Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(server).await?);
    }
    let began = Moment::now();
    let work = connections.into_iter().enumerate().map(|(index, mut connection)| {
        tokio::spawn(async move {
            for request in 0..REQUESTS {
                connection.get((index * 313 + request * 7) % JOBS).await?;
            }
            anyhow::Ok(())
        })
    });
    for done in futures::future::join_all(work).await {
        done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
    Ok((CONNECTIONS * REQUESTS) as f64 / began.elapsed().as_secs_f64())
}

/// The least of an HTTP client: one connection, one request at a time, bodies of a known length.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4_096) })
    }

    /// Reads a job, and returns where in the buffer the answer's body is.
    async fn get(&mut self, number: usize) -> anyhow::Result<std::ops::Range<usize>> {
        let request = format!("GET /jobs/job-{number:07} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            anyhow::ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the server closed the connection"
            );
            let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let body = head + 4..head + 4 + length(&self.buffer[..head])?;
            if self.buffer.len() >= body.end {
                return Ok(body);
            }
        }
    }
}

fn length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "refused: {head}");
    let find = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(find).ok_or_else(|| anyhow::anyhow!("the answer has no length: {head}"))
}
