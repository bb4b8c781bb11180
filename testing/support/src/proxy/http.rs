//! A proxy that decides about each request of HTTP/1.1.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ProxyMode, ProxyPort};

/// The end of a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// A request as a client sent it.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method, such as `PUT`.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// Names and values of the headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// Returns the value of a header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Removes headers, by their names in any case.
    pub fn remove_headers(&mut self, names: &[&str]) {
        self.headers.retain(|(found, _)| !names.iter().any(|name| found.eq_ignore_ascii_case(name)));
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The head with its blank line, and the body.
    bytes: Vec<u8>,
    body_start: usize,
}

impl HttpAnswer {
    /// Makes an answer with this status and type of content.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        Self { bytes: [head.as_bytes(), body].concat(), body_start: head.len() }
    }

    /// Returns the status code; `None` if the server sent none.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let head = str::from_utf8(&self.bytes[..self.body_start]).ok()?;
        head.split(' ').nth(1)?.parse().ok()
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_start..]
    }

    /// Cuts off the second half, of head and body together.
    pub fn halve(&mut self) {
        self.bytes.truncate(self.bytes.len() / 2);
        self.body_start = self.body_start.min(self.bytes.len());
    }
}

/// The server behind a proxy.
#[derive(Debug, Clone)]
pub struct Upstream {
    address: String,
}

impl Upstream {
    /// Sends a request over a connection of its own, and returns the answer.
    ///
    /// # Errors
    ///
    /// Fails when the server cannot be reached, or answers without a complete head.
    pub async fn send(&self, request: &HttpRequest) -> io::Result<HttpAnswer> {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        let rewritten = ["connection", "expect", "content-length"];
        for (name, value) in &request.headers {
            if !rewritten.iter().any(|left_out| name.eq_ignore_ascii_case(left_out)) {
                head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
            }
        }
        if request.header("content-length").is_some() {
            head.push_str(&format!("content-length: {}\r\n", request.body.len()));
        }
        head.push_str("connection: close\r\n\r\n");
        let mut server = TcpStream::connect(&self.address).await?;
        server.write_all(&[head.as_bytes(), &request.body].concat()).await?;
        let mut bytes = Vec::new();
        // A server that closes early resets the connection: what came before counts.
        let _ = server.read_to_end(&mut bytes).await;
        let body_start = head_end(&bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(HttpAnswer { bytes, body_start })
    }
}

/// A proxy in front of an HTTP server. It serves one request for each connection, until the runtime of its test ends.
#[derive(Debug, Clone)]
pub struct HttpProxy {
    port: Arc<ProxyPort>,
}

impl HttpProxy {
    /// Starts a proxy in front of the server at `HOST:PORT`. `answer` returns the answer to each request; `None`
    /// closes the connection.
    ///
    /// # Panics
    ///
    /// Panics when no port is free.
    pub async fn start<F>(
        address: &str,
        answer: impl Fn(HttpRequest, Upstream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<HttpAnswer>> + Send + 'static,
    {
        let upstream = Upstream { address: address.to_owned() };
        let answer = Arc::new(answer);
        let port = ProxyPort::open(move |mut client, _| {
            let (upstream, answer) = (upstream.clone(), Arc::clone(&answer));
            async move {
                let Some(request) = receive(&mut client).await else { return };
                let Some(answer) = answer(request, upstream).await else { return };
                let _ = client.write_all(&answer.bytes).await;
                let _ = client.shutdown().await;
            }
        })
        .await;
        Self { port }
    }

    /// Returns the address, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// Breaks every connection and refuses new ones, or serves them again.
    pub fn cut(&self, is_cut: bool) {
        self.port.set(if is_cut { ProxyMode::Cut } else { ProxyMode::Open });
    }
}

/// Reads a request; `None` when the client leaves before its end, or sends no HTTP.
async fn receive(client: &mut TcpStream) -> Option<HttpRequest> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head_end(&head) {
            break end;
        }
        if client.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = head.split_off(end);
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let length: usize = find(&headers, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    if find(&headers, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(HttpRequest { method, target, headers, body })
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(BLANK_LINE.len()).position(|four| four == BLANK_LINE).map(|at| at + BLANK_LINE.len())
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
