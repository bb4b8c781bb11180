//! A way to the store that can be cut, slowed down and held up.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The size of a piece, and how many are on their way at once: more than anybody sends in some seconds.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 1_024;

/// How what is sent goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// The data of the client arrives with this delay.
    Slow(Duration),
    /// Nothing arrives until the way is another one: then all of it does, as on a network that fell apart and healed.
    Held,
    /// Connections are closed, and new ones are not served.
    Cut,
}

/// Passes connections on to another port. It ends when it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, ways) = watch::channel(Way::Open);
        tokio::spawn(async move {
            let mut gone = ways.clone();
            loop {
                tokio::select! {
                    // Only the end of the sender ends this wait.
                    _ = gone.wait_for(|_| false) => return,
                    accepted = listener.accept() => {
                        let (client, _) = accepted.unwrap();
                        tokio::spawn(serve(client, to, ways.clone()));
                    }
                }
            }
        });
        Self { port, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn serve(client: TcpStream, to: u16, mut ways: watch::Receiver<Way>) {
    if *ways.borrow() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let there = pass(client_read, server_write, ways.clone(), true);
    let back = pass(server_read, client_write, ways.clone(), false);
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = ways.wait_for(|way| *way == Way::Cut) => {}
    }
}

/// Passes on what comes, each piece as much later as the way says when it comes; then the end.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut ways: watch::Receiver<Way>,
    slows: bool,
) -> Option<()> {
    let (there, mut here) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let arriving = ways.clone();
    let read = async move {
        let mut piece = vec![0; PIECE];
        loop {
            let length = from.read(&mut piece).await.ok().filter(|length| *length > 0)?;
            let later = match *arriving.borrow() {
                Way::Slow(by) if slows => by,
                Way::Open | Way::Slow(_) | Way::Held | Way::Cut => Duration::ZERO,
            };
            there.send((Instant::now() + later, piece[..length].to_vec())).await.ok()?;
        }
    };
    let write = async move {
        while let Some((due, piece)) = here.recv().await {
            tokio::time::sleep_until(due).await;
            ways.wait_for(|way| *way != Way::Held).await.ok()?;
            to.write_all(&piece).await.ok()?;
        }
        to.shutdown().await.ok()
    };
    let (_, written): (Option<()>, _) = tokio::join!(read, write);
    written
}
