//! A proxy in front of an emulator that loses answers, throttles and cuts connections, by a rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The action of the proxy on a request.
#[derive(Debug, Clone)]
pub(crate) enum ProxyAction {
    /// Passes it on.
    Pass,
    /// Passes it on, and loses the answer.
    LoseAnswer,
    /// Passes it on, and truncates the answer.
    Truncate,
    /// Passes it on without its conditions, like a server that ignores them.
    DropConditions,
    /// Cuts the connection before the request is passed on.
    Cut,
    /// Answers with this status and error code.
    Answer(u16, &'static str),
}

/// The headers that make a request conditional.
const CONDITIONS: [&str; 2] = ["if-match", "if-none-match"];

/// A request, as a rule receives it.
#[derive(Debug)]
pub(crate) struct ProxyRequest<'a> {
    /// Its number, from 0.
    pub(crate) number: usize,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// Whether it depends on a condition.
    pub(crate) conditional: bool,
}

type Rule = dyn Fn(&ProxyRequest<'_>) -> ProxyAction + Send + Sync;

/// A proxy that runs as long as the runtime does.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    faults: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn start(
        upstream: &'static str,
        rule: impl Fn(&ProxyRequest<'_>) -> ProxyAction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let faults = Arc::new(AtomicUsize::new(0));
        let (rule, counted): (Arc<Rule>, _) = (Arc::new(rule), Arc::clone(&faults));
        tokio::spawn(async move {
            let requests = Arc::new(AtomicUsize::new(0));
            while let Ok((connection, _)) = listener.accept().await {
                let serving = serve(connection, upstream, rule.clone(), requests.clone(), counted.clone());
                tokio::spawn(serving);
            }
        });
        Self { address, faults }
    }

    /// Returns how many requests had a fault.
    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }
}

/// Serves one request; the client opens another connection for the next.
async fn serve(
    mut client: TcpStream,
    upstream: &str,
    rule: Arc<Rule>,
    requests: Arc<AtomicUsize>,
    faults: Arc<AtomicUsize>,
) {
    let Some((head, body)) = request(&mut client).await else { return };
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let number = requests.fetch_add(1, Ordering::SeqCst);
    let conditional = CONDITIONS.iter().any(|name| header(&head, name).is_some());
    let action = rule(&ProxyRequest { number, method, target, conditional });
    if !matches!(action, ProxyAction::Pass) {
        faults.fetch_add(1, Ordering::SeqCst);
    }
    let answer = match action {
        ProxyAction::Cut => return,
        ProxyAction::Answer(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>by the proxy</Message></Error>");
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        }
        ProxyAction::Pass | ProxyAction::LoseAnswer | ProxyAction::Truncate | ProxyAction::DropConditions => {
            let without: &[&str] =
                if matches!(action, ProxyAction::DropConditions) { &CONDITIONS } else { &[] };
            let mut answer = forward(upstream, &head, &body, without).await;
            match action {
                ProxyAction::LoseAnswer => return,
                ProxyAction::Truncate => answer.truncate(answer.len() / 2),
                ProxyAction::Pass
                | ProxyAction::DropConditions
                | ProxyAction::Cut
                | ProxyAction::Answer(..) => {}
            }
            answer
        }
    };
    let _ = client.write_all(&answer).await;
    let _ = client.shutdown().await;
}

/// Reads a request: its head with the last empty line, and its body.
async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn forward(upstream: &str, head: &str, body: &[u8], without: &[&str]) -> Vec<u8> {
    let kept = head.trim_end().lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !["connection", "expect"].iter().chain(without).any(|left_out| name.eq_ignore_ascii_case(left_out))
    });
    let head: String = kept.flat_map(|line| [line, "\r\n"]).collect();
    let mut server = TcpStream::connect(upstream).await.unwrap();
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    server.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer).await;
    answer
}
