//! A receiver of webhooks, and the check of its requests.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_core::{Clock as _, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request as a receiver got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The answer of a receiver to every request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status line, headers and body.
    Says(&'static str),
    /// Never anything.
    Nothing,
    /// An error whose body has no end.
    Endless,
}

pub(crate) const OK: Answer = Answer::Says("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");
pub(crate) const ERROR: Answer = Answer::Says("HTTP/1.1 500 x\r\ncontent-length: 4\r\n\r\noops");

/// A receiver on 127.0.0.1. It speaks HTTP by hand, so that nothing of the product's own checks it.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::default());
        let answer = Arc::new(Mutex::new(answer));
        let (kept, answers) = (Arc::clone(&received), Arc::clone(&answer));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&kept)));
            }
        });
        Self { address, answer, received, _serving: serving }
    }

    /// Sets the answer to requests from now on.
    pub(crate) fn set(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?key=1", self.address)
    }

    /// Returns the content of a configuration file with this receiver as the channel `ops`.
    pub(crate) fn config(&self) -> Value {
        let ops = json!({"type": "webhook", "url": self.url(), "secret": SECRET});
        json!({"notify": {"channels": {"ops": ops}, "allow": ["127.0.0.0/8"]}})
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().len()
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Mutex<Answer>>, received: Arc<Mutex<Vec<Received>>>) {
    let mut text = Vec::new();
    let request = loop {
        let mut part = [0; 4_096];
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => text.extend_from_slice(&part[..count]),
            _ => return,
        }
        let read = String::from_utf8(text.clone()).unwrap();
        let Some((head, body)) = read.split_once("\r\n\r\n") else { continue };
        let one = Received { head: head.to_owned(), body: body.to_owned() };
        let length: usize = one.header("content-length").unwrap().parse().unwrap();
        if body.len() == length {
            break one;
        }
    };
    let answer = {
        let answer = answer.lock().clone();
        received.lock().push(request);
        answer
    };
    match answer {
        Answer::Says(answer) => drop(stream.write_all(answer.as_bytes()).await),
        Answer::Nothing => std::future::pending().await,
        Answer::Endless => {
            let head = "HTTP/1.1 500 Internal Server Error\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()).await;
            }
        }
    }
}

/// HMAC-SHA256 by RFC 2104, by hand: the product uses another implementation.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut pad = [with; 64];
        pad.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        pad
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

pub(crate) fn assert_signed(request: &Received) {
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| request.header(name).unwrap());
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let signed = hmac(&key, format!("{id}.{timestamp}.{}", request.body).as_bytes());
    assert_eq!(signature, format!("v1,{}", STANDARD.encode(signed)));
    let now = SystemClock.now().as_second();
    assert!((now - 60..=now + 1).contains(&timestamp.parse().unwrap()), "{timestamp} at {now}");
    assert_eq!(request.json()["id"], id);
}

/// Verifies requests with the library of Standard Webhooks, which `make emulators` installs; returns a line for each.
pub(crate) async fn verify_by_library(secret: &str, requests: &[Received]) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join(".tools/webhooks/bin/python");
    assert!(python.is_file(), "{} is not there; install it with `make emulators`", python.display());
    let mut child = tokio::process::Command::new(python)
        .arg(root.join("scripts/webhooks.py"))
        .arg(secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let lines = requests.iter().map(|request| {
        let headers = names.map(|name| (name, request.header(name).unwrap_or_default().to_owned()));
        let headers: std::collections::BTreeMap<_, _> = headers.into();
        format!("{}\n", json!({"headers": headers, "body": request.body}))
    });
    let input: String = lines.collect();
    let mut stdin = child.stdin.take().unwrap();
    let write = async move { stdin.write_all(input.as_bytes()).await.unwrap() };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
