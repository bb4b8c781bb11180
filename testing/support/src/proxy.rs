//! A TCP proxy that can be cut, slowed down and held up.

pub(crate) mod http;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The size of a chunk in bytes.
const CHUNK: usize = 64 * 1024;
/// The maximum number of chunks in transit in one direction: more than a test sends while they are held.
const MAX_CHUNKS: usize = 1_024;

/// How a proxy treats its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// It passes everything on.
    Open,
    /// Bytes of a client arrive later by this time.
    Delayed(Duration),
    /// Nothing arrives until the mode changes; then everything does, as after a partition of a network.
    Held,
    /// Bytes of the server do not arrive until the mode changes, as for a client that is frozen.
    AnswersHeld,
    /// Connections are closed, and new ones are not served.
    Cut,
}

/// The mode, and how many times connections were cut: a cut that is repaired at once breaks open connections all the same.
#[derive(Debug, Clone, Copy)]
struct ProxyState {
    mode: ProxyMode,
    cuts: u64,
    /// Nothing is passed on for the first connections, up to this number.
    forgotten: usize,
}

/// A port of 127.0.0.1 that accepts connections until the runtime of its test ends.
#[derive(Debug)]
struct ProxyPort {
    number: u16,
    state: watch::Sender<ProxyState>,
    connections: AtomicUsize,
}

impl ProxyPort {
    /// Binds a free port. `serve` runs for each connection, until it returns or the connection is cut.
    ///
    /// # Panics
    ///
    /// Panics when no port is free.
    async fn open<F>(serve: impl Fn(TcpStream, Arc<Self>) -> F + Send + 'static) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let number = listener.local_addr().expect("the listener is bound").port();
        let state = watch::Sender::new(ProxyState { mode: ProxyMode::Open, cuts: 0, forgotten: 0 });
        let port = Arc::new(Self { number, state, connections: AtomicUsize::new(0) });
        let accepting = Arc::clone(&port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                let mut states = accepting.state.subscribe();
                let ProxyState { mode, cuts, .. } = *states.borrow_and_update();
                if mode == ProxyMode::Cut {
                    continue;
                }
                let serving = serve(client, Arc::clone(&accepting));
                tokio::spawn(async move {
                    tokio::select! {
                        () = serving => {}
                        _ = states.wait_for(|state| state.cuts > cuts) => {}
                    }
                });
            }
        });
        port
    }

    fn set(&self, mode: ProxyMode) {
        self.state.send_modify(|state| {
            state.cuts += u64::from(mode == ProxyMode::Cut);
            state.mode = mode;
        });
    }
}

/// Passes connections on to a server, as the mode says. It serves until the runtime of its test ends.
#[derive(Debug)]
pub struct TcpProxy {
    port: Arc<ProxyPort>,
    round_trips: Arc<AtomicUsize>,
}

impl TcpProxy {
    /// Starts a proxy in front of the server at this port of 127.0.0.1, in mode [`ProxyMode::Open`].
    ///
    /// # Panics
    ///
    /// Panics when no port is free.
    pub async fn start(server: u16) -> Self {
        let round_trips = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&round_trips);
        let port = ProxyPort::open(move |client, port| {
            let number = port.connections.load(Ordering::Relaxed);
            pass_both(client, server, (port, number), Arc::clone(&counter))
        });
        let port = port.await;
        Self { port, round_trips }
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Changes the mode, of open connections as well.
    pub fn set(&self, mode: ProxyMode) {
        self.port.set(mode);
    }

    /// Forgets the connections so far, as a firewall does with idle ones: nothing arrives on them any more, and neither side learns of it.
    pub fn forget_connections(&self) {
        let connections = self.connections();
        self.port.state.send_modify(|state| state.forgotten = connections);
    }

    /// Returns how many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.port.connections.load(Ordering::Relaxed)
    }

    /// Returns how many times the server answered after a client had sent something.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::Relaxed)
    }
}

/// Passes on both directions of a connection, until both have ended.
async fn pass_both(
    client: TcpStream,
    server: u16,
    (port, number): (Arc<ProxyPort>, usize),
    round_trips: Arc<AtomicUsize>,
) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let is_asked = AtomicBool::new(false);
    let requests = pass(client_read, server_write, (port.state.subscribe(), number), true, || {
        is_asked.store(true, Ordering::Relaxed);
    });
    let answers = pass(server_read, client_write, (port.state.subscribe(), number), false, || {
        round_trips.fetch_add(usize::from(is_asked.swap(false, Ordering::Relaxed)), Ordering::Relaxed);
    });
    tokio::join!(requests, answers);
}

/// Passes on one direction, each chunk as much later as the mode says when it comes; then its end.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (mut states, number): (watch::Receiver<ProxyState>, usize),
    is_request: bool,
    on_chunk: impl Fn(),
) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(MAX_CHUNKS);
    let arriving = states.clone();
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            on_chunk();
            let delay = match arriving.borrow().mode {
                ProxyMode::Delayed(delay) if is_request => delay,
                ProxyMode::Delayed(_)
                | ProxyMode::Open
                | ProxyMode::Held
                | ProxyMode::AnswersHeld
                | ProxyMode::Cut => Duration::ZERO,
            };
            if sender.send((Instant::now() + delay, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let passes = move |state: &ProxyState| match state.mode {
        _ if number <= state.forgotten => false,
        ProxyMode::Held => false,
        ProxyMode::AnswersHeld => is_request,
        ProxyMode::Open | ProxyMode::Delayed(_) | ProxyMode::Cut => true,
    };
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due).await;
            if states.wait_for(passes).await.is_err() {
                return;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
