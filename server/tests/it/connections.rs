//! Clients that send half a request, a body by the byte or of very many members, or read no answer: on loopback, few of them,
//! for seconds at most.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler::api::{self, ConnectionLimits, Limits};
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{Clock as _, Event, JobId, JobUid, MemoryStore, NewJob, Store};
use futures::StreamExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::crash::process::memory_mib;
use crate::harness::Server;

/// How long anything may take that happens at once.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A limit that ends within the test.
const SHORT: Duration = Duration::from_millis(200);
/// A limit that does not.
const LONG: Duration = Duration::from_secs(60);

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 256,
    head: LONG,
    stalled: LONG,
    answer: LONG,
    answer_rate: 8 * 1024,
    idle: LONG,
};

struct Listening {
    server: Server,
    address: SocketAddr,
}

impl Listening {
    async fn start(limits: ConnectionLimits, requests: Limits) -> Self {
        Self::over(Arc::new(MemoryStore::default()), limits, requests).await
    }

    async fn over(store: Arc<dyn Store>, limits: ConnectionLimits, requests: Limits) -> Self {
        let server = Server::over(store, requests).await;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(api::serve(listener, server.router.clone(), limits, server.closing.clone()));
        Self { server, address }
    }

    /// Opens a connection and sends these bytes.
    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// Opens a connection whose system holds little for its client.
    async fn connect_with_small_buffer(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Stores fifty jobs, which fill more than one page.
    async fn create_large_jobs(&self) {
        let document =
            json!({"taskDefinition": "work", "schedule": "@yearly", "description": "x".repeat(110_000)});
        for number in 0..50 {
            let job = NewJob {
                id: JobId::new(&format!("job-{number}")).unwrap(),
                uid: JobUid::random(),
                document: serde_json::value::to_raw_value(&document).unwrap(),
                at: self.server.clock.now(),
            };
            self.server.store.create(job).await.unwrap();
        }
    }

    async fn send_each(&self, count: usize, bytes: &str) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(self.send(bytes).await);
        }
        streams
    }

    /// Asks on a connection of its own, and returns the status.
    async fn status(&self, path: &str) -> u16 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = timeout(TEST_TIMEOUT, read_to_end(self.send(&request).await)).await.unwrap();
        answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// Reads until the server closes the connection.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until the server has closed each of these.
async fn wait_until_closed(streams: Vec<TcpStream>) -> Vec<String> {
    let ends = futures::future::join_all(streams.into_iter().map(read_to_end));
    timeout(TEST_TIMEOUT, ends).await.expect("the server closes them")
}

/// Reads one answer with a length, and returns it.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        timeout(TEST_TIMEOUT, stream.read_exact(&mut byte)).await.unwrap().unwrap();
        text.push(char::from(byte[0]));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    timeout(TEST_TIMEOUT, stream.read_exact(&mut body)).await.unwrap().unwrap();
    text + &String::from_utf8(body).unwrap()
}

/// Sends a request, as much of it as the server takes, and leaves the connection open.
async fn offer(address: SocketAddr, request: Arc<Vec<u8>>) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses it closes the connection.
    let _ = stream.write_all(&request).await;
    stream
}

/// Returns how many MiB this process has in memory.
fn resident_mib() -> u64 {
    memory_mib("/proc/self/status", "VmRSS:")
}

/// Returns the most MiB that this process has had in memory.
fn peak_mib() -> u64 {
    memory_mib("/proc/self/status", "VmHWM:")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_requests_keep_neither_others_nor_jobs_waiting() {
    let limits = ConnectionLimits { connections: 64, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    let job = json!({"taskDefinition": "work", "schedule": "*", "overlap": "allow", "maxCount": 50});
    assert_eq!(listening.server.json("POST", "/jobs", job).await.status, 201);
    let mut events = listening.server.engine.subscribe();
    let half = listening.send_each(300, "GET /jobs HTTP/1.1\r\nHost: localhost\r\nX: ").await;
    for path in ["/healthz", "/readyz", "/metrics", "/jobs"] {
        assert_eq!(listening.status(path).await, 200, "{path}");
    }
    timeout(TEST_TIMEOUT, async { while !matches!(events.recv().await, Ok(Event::Firing(_))) {} })
        .await
        .expect("the job fires meanwhile");
    assert!(resident_mib() < 200, "{} MiB", resident_mib());
    drop(half);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_half_sent_is_closed_in_time_also_on_a_connection_that_was_used() {
    let limits = ConnectionLimits { head: SHORT, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    let mut streams = vec![listening.send("").await, listening.send("GET /jobs HT").await];
    let mut used = listening.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(read_response(&mut used).await.starts_with("HTTP/1.1 200"));
    used.write_all(b"GET /jo").await.unwrap();
    streams.push(used);
    assert!(wait_until_closed(streams).await.iter().all(String::is_empty));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_in_time_and_not_earlier() {
    let limits = ConnectionLimits { idle: SHORT, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    let mut stream = listening.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let begun = tokio::time::Instant::now();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
    wait_until_closed(vec![stream]).await;
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_take_no_place_of_other_requests() {
    let requests = Limits { requests: 4, ..Limits::default() };
    let listening = Listening::start(LIMITS, requests).await;
    let head = "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let slow = listening.send_each(100, head).await;
    for path in ["/healthz", "/readyz", "/metrics", "/jobs"] {
        assert_eq!(listening.status(path).await, 200, "{path}");
    }
    assert!(resident_mib() < 200, "{} MiB", resident_mib());
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_very_many_members_take_little_memory_and_keep_neither_health_nor_jobs_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("jobs.db"), SqliteOptions::default()).await.unwrap();
    let listening = Listening::over(Arc::new(store), LIMITS, Limits::default()).await;
    let job = json!({"taskDefinition": "work", "schedule": "*", "overlap": "allow", "maxCount": 50});
    assert_eq!(listening.server.json("POST", "/jobs", job).await.status, 201);
    let mut events = listening.server.engine.subscribe();
    let body = format!("{{\"a\":[{}]}}", vec![r#"{"":0}"#; 37_000].join(","));
    let address = listening.address;
    let attack = tokio::spawn(futures::future::join_all((0..40).map(|number| {
        let call = if number % 4 == 0 { "PUT /jobs/work" } else { "POST /jobs" };
        let request = format!(
            "{call} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Idempotency-Key: k{number}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        async move { read_to_end(offer(address, Arc::new(request.into_bytes())).await).await }
    })));
    let mut slowest = Duration::ZERO;
    while !attack.is_finished() {
        let begun = tokio::time::Instant::now();
        assert_eq!(listening.status("/healthz").await, 200);
        slowest = slowest.max(begun.elapsed());
    }
    for answer in attack.await.unwrap() {
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("has too many members"), "{answer}");
    }
    assert!(peak_mib() < 200, "{} MiB", peak_mib());
    assert!(slowest < TEST_TIMEOUT / 5, "{slowest:?}");
    timeout(TEST_TIMEOUT, async { while !matches!(events.recv().await, Ok(Event::Firing(_))) {} })
        .await
        .expect("the job fires meanwhile");
    listening.server.store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn almost_complete_bodies_take_little_memory_and_small_requests_are_answered_meanwhile() {
    let listening =
        Listening::start(ConnectionLimits { connections: 512, ..LIMITS }, Limits::default()).await;
    let request = |length: &str, sent: usize| {
        let head = format!(
            "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n"
        );
        Arc::new([head.as_bytes(), &vec![b' '; sent]].concat())
    };
    let announced = request("Content-Length: 262144\r\n", 262_000);
    let chunked = request("Transfer-Encoding: chunked\r\n\r\n3fd00", 261_376);
    let offers = (0..508).map(|number| {
        let request = Arc::clone(if number % 2 == 0 { &announced } else { &chunked });
        offer(listening.address, request)
    });
    let streams = futures::future::join_all(offers).await;
    // The stream is kept to the end, so that the bodies that the server waits for stay open.
    let mut ends = futures::stream::iter(streams.into_iter().map(read_to_end)).buffer_unordered(508);
    let refused = timeout(TEST_TIMEOUT, ends.by_ref().take(100).collect::<Vec<_>>()).await;
    assert!(peak_mib() < 200, "{} MiB", peak_mib());
    let refused = refused.expect("bodies beyond the bound are refused");
    assert!(
        refused
            .iter()
            .any(|answer| answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n")),
        "{:?}",
        refused.first()
    );
    for path in ["/healthz", "/readyz", "/metrics", "/jobs"] {
        assert_eq!(listening.status(path).await, 200, "{path}");
    }
    let small = r#"{"taskDefinition": "small", "schedule": "@yearly"}"#;
    let head = "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let mut stream = listening.send(&format!("{head}Content-Length: {}\r\n\r\n{small}", small.len())).await;
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 201"));
    drop(ends);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_progress_times_out() {
    let limits = ConnectionLimits { stalled: SHORT, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    let head = "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    wait_until_closed(listening.send_each(3, head).await).await;
    let requests = Limits { deadline: SHORT, ..Limits::default() };
    let listening = Listening::start(LIMITS, requests).await;
    let answers = wait_until_closed(listening.send_each(1, head).await).await;
    assert!(
        answers[0].starts_with("HTTP/1.1 408") && answers[0].contains("connection: close"),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_read_take_little_memory_and_end() {
    let limits = ConnectionLimits { stalled: SHORT, ..LIMITS };
    let listening = Listening::start(limits, Limits { pages: 4, ..Limits::default() }).await;
    listening.create_large_jobs().await;
    let mut shown = 0;
    let mut next = Some("/jobs?count=10000".to_owned());
    while let Some(path) = next {
        let page = listening.server.get(&path).await;
        assert!(page.body.len() <= 4 * 1024 * 1024, "{} bytes", page.body.len());
        shown += page.json()["jobs"].as_array().unwrap().len();
        next = page.json()["next"].as_str().map(str::to_owned);
    }
    assert_eq!(shown, 50, "the links lead to every job");
    let before = resident_mib();
    let unread = listening.send_each(12, "GET /jobs?count=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    for path in ["/healthz", "/readyz", "/metrics", "/jobs/job-7"] {
        assert_eq!(listening.status(path).await, 200, "{path}");
    }
    assert!(resident_mib().saturating_sub(before) < 100, "{} MiB, before {before}", resident_mib());
    // Four at a time are given up; the rest is answered in its turn.
    timeout(TEST_TIMEOUT, async { while listening.status("/jobs?count=1").await != 200 {} })
        .await
        .expect("places become free");
    drop(unread);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_that_are_not_read_keep_no_small_list_waiting() {
    let listening = Listening::start(LIMITS, Limits { pages: 2, ..Limits::default() }).await;
    listening.create_large_jobs().await;
    let mut unread =
        listening.send_each(2, "GET /jobs?count=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    for stream in &mut unread {
        timeout(TEST_TIMEOUT, stream.read_exact(&mut [0])).await.unwrap().expect("its answer has begun");
    }
    for path in ["/jobs?count=1", "/decisions?limit=1", "/firings?limit=1"] {
        assert_eq!(listening.status(path).await, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_slowly_and_steadily_gets_its_whole_answer() {
    let limits = ConnectionLimits { stalled: SHORT * 2, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    listening.create_large_jobs().await;
    let path = "/jobs?count=30";
    let whole = listening.server.get(path).await.body.len();
    let mut stream = listening.connect_with_small_buffer().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut piece, mut pace) = (0, vec![0; 32 * 1024], tokio::time::interval(SHORT / 8));
    loop {
        pace.tick().await;
        match stream.read(&mut piece).await {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) => panic!("after {read} of {whole} bytes: {error}"),
        }
    }
    assert!(read > whole, "{read} of {whole} bytes and a head");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_steadily_but_too_slowly_is_closed_and_a_stream_of_events_is_not() {
    let limits = ConnectionLimits { answer: SHORT, answer_rate: u64::MAX, ..LIMITS };
    let listening = Listening::start(limits, Limits::default()).await;
    listening.create_large_jobs().await;
    let mut events = listening.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let path = "/jobs?count=30";
    let whole = listening.server.get(path).await.body.len();
    let mut stream = listening.connect_with_small_buffer().await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let (mut read, mut piece, mut pace) = (0, vec![0; 16 * 1024], tokio::time::interval(SHORT / 8));
    loop {
        pace.tick().await;
        match timeout(TEST_TIMEOUT, stream.read(&mut piece)).await.expect("the server closes it") {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    assert!(read < whole, "{read} of {whole} bytes");
    listening.server.engine.brake("still read".to_owned()).await.unwrap();
    let mut text = String::new();
    while !text.contains("still read") {
        let read = timeout(TEST_TIMEOUT, events.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "the stream ended: {text}");
        text += &String::from_utf8_lossy(&piece[..read]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusal_closes_the_connection_only_after_a_large_unread_body() {
    let listening = Listening::start(LIMITS, Limits::default()).await;
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    for (path, status) in [("/nowhere", 404), ("/jobs/none/firings", 404), ("/healthz", 405), ("/jobs", 415)]
    {
        let mut stream = listening.send(&head(path, 4)).await;
        // Head and body in two segments, as many clients send them.
        tokio::task::yield_now().await;
        stream.write_all(b"{} \n").await.unwrap();
        let first = read_response(&mut stream).await;
        assert!(first.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {first}");
        assert!(!first.contains("connection: close"), "{first}");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"), "{path}");
        let mut stream = listening.send(&head(path, 300_000)).await;
        let refused = read_response(&mut stream).await;
        assert!(refused.contains("\r\nconnection: close\r\n"), "{path}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_end_when_the_server_does_and_idle_connections_do_not_hold_it() {
    let server = Server::start().await;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(api::serve(listener, server.router.clone(), LIMITS, server.closing.clone()));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_response(&mut idle).await.starts_with("HTTP/1.1 200"));
    server.closing.cancel();
    timeout(TEST_TIMEOUT, serving).await.expect("it ends").unwrap();
    server.store.close().await.unwrap();
}

#[test]
fn connections_take_half_of_the_descriptors_at_most() {
    let connections = |descriptors| ConnectionLimits::for_descriptors(descriptors).connections;
    assert_eq!(
        (connections(65_536), connections(1_024), connections(256), connections(1)),
        (512, 512, 128, 1)
    );
}
