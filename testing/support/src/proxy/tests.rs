use std::sync::Mutex;

use super::*;
use crate::{HttpAnswer, HttpProxy, HttpRequest, Upstream};

/// A server that sends back what it receives, and records it.
struct Echo {
    port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<u8>>> = Arc::default();
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut chunk = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                        log.lock().unwrap().extend(&chunk[..length]);
                        if stream.write_all(&chunk[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, received }
    }

    fn received(&self) -> String {
        String::from_utf8(self.received.lock().unwrap().clone()).unwrap()
    }
}

async fn client_of(proxy: &TcpProxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
}

async fn read(stream: &mut TcpStream) -> Option<u8> {
    stream.read_u8().await.ok()
}

async fn call(stream: &mut TcpStream, byte: u8) -> Option<u8> {
    stream.write_u8(byte).await.ok()?;
    read(stream).await
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn forgotten_connection_stays_open_and_passes_nothing_while_new_ones_work() {
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut old = client_of(&proxy).await;
    assert_eq!(call(&mut old, b'a').await, Some(b'a'));
    proxy.forget_connections();
    old.write_u8(b'b').await.unwrap();
    let mut new = client_of(&proxy).await;
    assert_eq!(call(&mut new, b'c').await, Some(b'c'));
    assert_eq!(echo.received(), "ac", "the server does not get it");
    let mut byte = [0];
    let nothing = old.try_read(&mut byte).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "it is not closed");
}

#[tokio::test]
async fn open_proxy_passes_both_directions_and_counts() {
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut client = client_of(&proxy).await;
    for byte in [b'a', b'b'] {
        assert_eq!(call(&mut client, byte).await, Some(byte));
    }
    assert_eq!((proxy.connections(), proxy.round_trips()), (1, 2));
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut client).await, None, "the end is passed on");
}

#[tokio::test]
async fn cut_proxy_closes_connections_and_refuses_new_ones() {
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut client = client_of(&proxy).await;
    assert_eq!(call(&mut client, b'a').await, Some(b'a'));
    proxy.set(ProxyMode::Cut);
    assert_eq!(read(&mut client).await, None);
    assert_eq!(call(&mut client_of(&proxy).await, b'b').await, None);
    proxy.set(ProxyMode::Open);
    assert_eq!(call(&mut client_of(&proxy).await, b'c').await, Some(b'c'));
    assert_eq!(echo.received(), "ac");
}

#[tokio::test]
async fn cut_that_is_repaired_at_once_closes_open_connections() {
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut client = client_of(&proxy).await;
    assert_eq!(call(&mut client, b'a').await, Some(b'a'));
    proxy.set(ProxyMode::Cut);
    proxy.set(ProxyMode::Open);
    assert_eq!(read(&mut client).await, None);
}

#[tokio::test]
async fn held_data_arrives_when_the_proxy_opens() {
    let echo = Echo::start().await;
    let (proxy, other) = (TcpProxy::start(echo.port).await, TcpProxy::start(echo.port).await);
    let (mut held, mut passed) = (client_of(&proxy).await, client_of(&other).await);
    assert_eq!(call(&mut held, b'a').await, Some(b'a'));
    proxy.set(ProxyMode::Held);
    held.write_u8(b'b').await.unwrap();
    assert_eq!(call(&mut passed, b'c').await, Some(b'c'));
    proxy.set(ProxyMode::Open);
    assert_eq!(read(&mut held).await, Some(b'b'));
    assert_eq!(echo.received(), "acb");
}

#[tokio::test]
async fn held_answers_do_not_hold_requests() {
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut client = client_of(&proxy).await;
    proxy.set(ProxyMode::AnswersHeld);
    client.write_u8(b'a').await.unwrap();
    until(|| proxy.round_trips() == 1).await;
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    proxy.set(ProxyMode::Open);
    assert_eq!(read(&mut client).await, Some(b'a'));
}

#[tokio::test]
async fn delayed_request_arrives_later() {
    const DELAY: Duration = Duration::from_millis(50);
    let echo = Echo::start().await;
    let proxy = TcpProxy::start(echo.port).await;
    let mut client = client_of(&proxy).await;
    proxy.set(ProxyMode::Delayed(DELAY));
    let sent = Instant::now();
    assert_eq!(call(&mut client, b'a').await, Some(b'a'));
    assert!(sent.elapsed() >= DELAY, "{:?}", sent.elapsed());
}

/// Starts an HTTP server that answers with the target and the header `x-note`.
async fn http_server() -> HttpProxy {
    HttpProxy::start("127.0.0.1:0", async |request: HttpRequest, _| {
        let note = request.header("X-Note").unwrap_or("none").to_owned();
        let body = format!("{} {} {note} {}", request.method, request.target, request.body.len());
        Some(HttpAnswer::new(200, "text/plain", body.as_bytes()))
    })
    .await
}

/// Sends a request with a note and a body; returns the bytes of the answer.
async fn post(proxy: &HttpProxy, target: &str) -> String {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let request = format!("POST {target} HTTP/1.1\r\nx-note: yes\r\ncontent-length: 3\r\n\r\nabc");
    let mut answer = String::new();
    if client.write_all(request.as_bytes()).await.is_ok() {
        let _ = client.read_to_string(&mut answer).await;
    }
    answer
}

#[tokio::test]
async fn http_requests_are_passed_changed_answered_or_cut_by_the_rule() {
    let server = http_server().await;
    let proxy = HttpProxy::start(&server.address(), async |mut request: HttpRequest, upstream: Upstream| {
        match request.target.as_str() {
            "/pass" => {}
            "/change" => request.remove_headers(&["X-NOTE"]),
            "/deny" => return Some(HttpAnswer::new(403, "text/plain", b"no")),
            "/lose" => {
                upstream.send(&request).await.unwrap();
                return None;
            }
            _ => {
                let mut answer = upstream.send(&request).await.unwrap();
                answer.halve();
                return Some(answer);
            }
        }
        upstream.send(&request).await.ok()
    })
    .await;
    assert!(post(&proxy, "/pass").await.ends_with("\r\n\r\nPOST /pass yes 3"));
    assert!(post(&proxy, "/change").await.ends_with("\r\n\r\nPOST /change none 3"));
    assert!(post(&proxy, "/deny").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(post(&proxy, "/lose").await, "");
    let (whole, half) = (post(&proxy, "/pass").await, post(&proxy, "/half").await);
    assert_eq!(half.len(), whole.len() / 2);
    assert!(half.starts_with("HTTP/1.1 200 "), "{half}");
}

#[tokio::test]
async fn cut_http_proxy_refuses_requests_until_it_is_restored() {
    let server = http_server().await;
    server.cut(true);
    assert_eq!(post(&server, "/").await, "");
    server.cut(false);
    assert!(post(&server, "/").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn answer_of_a_server_has_status_and_body() {
    let server = http_server().await;
    let proxy = HttpProxy::start(&server.address(), async |request: HttpRequest, upstream: Upstream| {
        let answer = upstream.send(&request).await.unwrap();
        assert_eq!((answer.status(), answer.body()), (Some(200), &b"POST / yes 3"[..]));
        Some(answer)
    })
    .await;
    assert!(post(&proxy, "/").await.starts_with("HTTP/1.1 200 "));
}
