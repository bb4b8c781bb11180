//! One `POST` to a configured URL: to an address that was checked, without redirects and proxies, with bounds for time and size.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, DATE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, Request, StatusCode};
use ecs_scheduler_core::{Clock, DeliveryError, Timestamp};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::AllowList;

/// How long a whole request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the body of an answer may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The maximum number of bytes of an answer that are read.
const MAX_ANSWER: usize = 16 * 1024;
/// The maximum number of characters of an answer that an error shows.
const MAX_SHOWN: usize = 200;
/// The shortest part of a URL or header that may be a secret, in bytes.
const MIN_SECRET: usize = 4;

/// The URL of a receiver.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ReceiverUrl(url::Url);

/// Shows the host only: path and query may be secret.
impl fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host())
    }
}

impl ReceiverUrl {
    /// Reads a URL. The errors do not contain it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it must have no user and password; use headers".to_owned());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no host".to_owned());
        }
        Ok(Self(url))
    }

    /// Returns the host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the value of the header `host`.
    fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn path_and_query(&self) -> String {
        let query = self.0.query().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{query}", self.0.path())
    }
}

/// Sends notifications over HTTP.
#[derive(Debug)]
pub(super) struct HttpClient {
    allow: AllowList,
    clock: Arc<dyn Clock>,
}

/// TLS as the rest of the program uses it. The system's certificates are read when the first URL needs them.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
});

impl HttpClient {
    pub(super) fn new(allow: AllowList, clock: Arc<dyn Clock>) -> Self {
        Self { allow, clock }
    }

    /// Checks that a URL leads to an allowed address. Nothing is sent.
    pub(super) async fn check(&self, url: &ReceiverUrl) -> Result<String, String> {
        match tokio::time::timeout(REQUEST_TIMEOUT, self.resolve(url)).await {
            Ok(Ok(addresses)) => Ok(format!("{} has an allowed address, {}", url.host(), addresses[0].ip())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("could not resolve {} in time", url.host())),
        }
    }

    /// Sends a body once.
    ///
    /// # Errors
    ///
    /// Fails unless the receiver answers with a status from 200 to 299. 410 says that it wants no more.
    pub(super) async fn post(
        &self,
        url: &ReceiverUrl,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<(), DeliveryError> {
        let exchange = async {
            let addresses = self.resolve(url).await?;
            let stream = connect(url, &addresses).await?;
            let request = request(url, headers, body)?;
            let secrets = secrets(url, headers);
            if !url.is_secure() {
                return self.send(stream, request, &secrets).await;
            }
            let name = ServerName::try_from(url.host().to_owned())
                .map_err(|_| DeliveryError::failed(format!("{} is no name for TLS", url.host())))?;
            let tls = TlsConnector::from(Arc::clone(&TLS)).connect(name, stream).await;
            let tls = tls.map_err(|error| {
                DeliveryError::failed(format!("could not set up TLS with {}: {error}", url.host()))
            })?;
            self.send(tls, request, &secrets).await
        };
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, exchange).await;
        answer.unwrap_or_else(|_| {
            let seconds = REQUEST_TIMEOUT.as_secs();
            Err(DeliveryError::failed(format!("{} did not answer within {seconds} s", url.host())))
        })
    }

    /// Resolves the host once, and returns its allowed addresses: at least one.
    async fn resolve(&self, url: &ReceiverUrl) -> Result<Vec<SocketAddr>, DeliveryError> {
        let host = url.host();
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, url.port())],
            Err(_) => {
                let found = tokio::net::lookup_host((host, url.port())).await;
                let found = found
                    .map_err(|error| DeliveryError::failed(format!("could not resolve {host}: {error}")))?;
                found.collect()
            }
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.allow.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(why) => refused = Some(why),
            }
        }
        if allowed.is_empty() {
            let why = refused.unwrap_or_else(|| format!("{host} has no address"));
            return Err(DeliveryError::failed(why));
        }
        Ok(allowed)
    }

    /// Sends a request on a connection, and judges the answer.
    async fn send<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
        secrets: &[String],
    ) -> Result<(), DeliveryError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| DeliveryError::failed(format!("the connection broke: {error}"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let mut exchange = pin!(async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            check_response(answer, secrets, self.clock.now()).await
        });
        // The connection lasts as long as the exchange, and no longer. A receiver may close it behind its answer, which is there then.
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }
}

/// Connects to the first address that accepts.
async fn connect(url: &ReceiverUrl, addresses: &[SocketAddr]) -> Result<TcpStream, DeliveryError> {
    let mut last = String::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        }
    }
    Err(DeliveryError::failed(format!("could not connect to {} ({last})", url.host())))
}

fn request(
    url: &ReceiverUrl,
    headers: &[(&str, String)],
    body: String,
) -> Result<Request<Full<Bytes>>, DeliveryError> {
    let mut request = Request::post(url.path_and_query())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("ecs-scheduler/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body)));
    request.map_err(|error| DeliveryError::failed(format!("could not make the request: {error}")))
}

/// Returns what an answer may repeat of the channel's configuration: the parts of the URL behind its host, and the values of headers.
fn secrets(url: &ReceiverUrl, headers: &[(&str, String)]) -> Vec<String> {
    let target = url.path_and_query();
    let of_url = target.split(['/', '?', '&', '=', '#']);
    let of_headers = headers.iter().flat_map(|(_, value)| value.split_whitespace());
    of_url.chain(of_headers).filter(|part| part.len() >= MIN_SECRET).map(str::to_owned).collect()
}

async fn check_response(
    answer: axum::http::Response<Incoming>,
    secrets: &[String],
    now: Timestamp,
) -> Result<(), DeliveryError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let wait = retry_after(answer.headers(), now);
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await;
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    // Pages about errors repeat the address.
    let text = if secrets.iter().any(|secret| text.contains(secret)) { "" } else { text.trim() };
    let text: String = text.chars().take(MAX_SHOWN).collect();
    let text = if text.is_empty() { text } else { format!(": {text}") };
    Err(match status {
        StatusCode::GONE => {
            DeliveryError::refused(format!("the receiver wants no more notifications (410){text}"))
        }
        status if status.is_redirection() => {
            DeliveryError::failed(format!("the receiver answered {status}; redirects are not followed"))
        }
        status => DeliveryError::failed(format!("the receiver answered {status}{text}")).after(wait),
    })
}

/// Reads `Retry-After`: a number of seconds, or a date. A date counts from the receiver's own `Date` if it sends one, because its clock
/// may differ from ours.
///
/// # Source
///
/// <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text(RETRY_AFTER)?;
    if let Ok(seconds) = wait.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let from = text(DATE).and_then(http_date).unwrap_or(now);
    // A date in the past asks for no wait.
    Some(Duration::try_from(http_date(wait)?.duration_since(from)).unwrap_or_default())
}

/// Reads a date of HTTP, also in one of the two old forms.
///
/// # Source
///
/// <https://www.rfc-editor.org/rfc/rfc9110#http.date>
fn http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let mut read = FORMS.iter().filter_map(|form| DateTime::strptime(form, text).ok());
    read.next()?.to_zoned(TimeZone::UTC).ok().map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests;
