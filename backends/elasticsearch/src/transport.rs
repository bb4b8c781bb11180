//! Carrying a request to a node, and to the next one when that does not answer.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_core::{FaultKind, StoreError};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, Login, Node};
use crate::open::Patience;
use crate::tls;

/// The longest pause between rounds, as a multiple of the first.
const LONGEST_PAUSE: u32 = 32;
/// How long a connection without a request is kept: firewalls forget connections without a word, many after 60 s.
const IDLE: Duration = Duration::from_secs(50);

/// A request to the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, percent-encoded, with a slash in front.
    pub(crate) path: String,
    /// The body; lines of JSON for `_bulk`, else a JSON document, or nothing.
    pub(crate) body: String,
    /// What is done on what, as a sentence about its failure says it: `read job "a"`.
    pub(crate) aim: String,
}

/// What a node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// Whether an earlier try may have been carried out although its answer was lost.
    pub(crate) repeated: bool,
}

/// Why a try brought no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no connection to {0}")]
    Unconnected(Node, #[source] hyper_util::client::legacy::Error),
    #[error("{0} broke off")]
    Broken(Node, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} did not answer in time")]
    Silent(Node),
    #[error("{0} answered {1}: {2}")]
    Refused(Node, StatusCode, String),
}

/// The way to a cluster.
pub(crate) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, String>,
    nodes: Vec<(Node, Option<HeaderValue>)>,
    /// The node that answered last.
    current: AtomicUsize,
    patience: Patience,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.nodes.iter().map(|(node, _)| node.address())).finish()
    }
}

impl Wire {
    /// Prepares the way. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Fails when no node is named, a login cannot be sent, or TLS cannot be set up.
    pub(crate) fn new(cluster: &Cluster, patience: Patience) -> Result<Self, StoreError> {
        let mut nodes = Vec::new();
        for node in &cluster.nodes {
            let node = node.clone().or_login(cluster.login.as_ref());
            let header = node.login().map(authorization).transpose()?;
            nodes.push((node, header));
        }
        if nodes.is_empty() {
            return Err(StoreError::fault(FaultKind::Config, "no node of Elasticsearch is named"));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience.connect));
        let secure = nodes.iter().any(|(node, _)| node.is_secure());
        let connector = tls::connector(tcp, secure, cluster.authority.as_deref())?;
        let mut builder = Client::builder(TokioExecutor::new());
        let client =
            builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build::<_, String>(connector);
        Ok(Self { client, nodes, current: AtomicUsize::new(0), patience })
    }

    /// Sends a request until a node gives an answer that counts. 429 and 5xx do not count: they are tried again, in time
    /// on the next node.
    ///
    /// # Errors
    ///
    /// Fails when there is none in time. The request may have been carried out.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, StoreError> {
        let mut last = None;
        match timeout(self.patience.operation, self.rounds(call, &mut last)).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(given_up(call, last)),
        }
    }

    async fn rounds(&self, call: &Call, last: &mut Option<Trouble>) -> Answer {
        let mut repeated = false;
        let mut pause = self.patience.pause;
        let mut tried = 0;
        loop {
            let at = self.current.load(Ordering::Relaxed) % self.nodes.len();
            let trouble = match self.attempt(at, call).await {
                Ok((status, body)) => return Answer { status, body, repeated },
                Err(trouble) => trouble,
            };
            tracing::debug!(aim = call.aim, %trouble, "a node of Elasticsearch gave no answer");
            repeated |= trouble.may_have_been_done();
            let overloaded = trouble.asks_for_fewer();
            *last = Some(trouble);
            if !overloaded {
                let next = (at + 1) % self.nodes.len();
                // Whoever came first has moved on.
                let _ = self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            tried += 1;
            if overloaded || tried % self.nodes.len() == 0 {
                sleep(pause).await;
                pause = (pause * 2).min(self.patience.pause * LONGEST_PAUSE);
            }
        }
    }

    async fn attempt(&self, at: usize, call: &Call) -> Result<(StatusCode, Vec<u8>), Trouble> {
        let (node, login) = &self.nodes[at];
        let kind = if call.path.contains("/_bulk") { "application/x-ndjson" } else { "application/json" };
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{node}{}", call.path))
            .header(ACCEPT, "application/json");
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, kind);
        }
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login);
        }
        let request = request.body(call.body.clone()).expect("node and path are sound URLs");
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                if error.is_connect() {
                    Trouble::Unconnected(node.clone(), error)
                } else {
                    Trouble::Broken(node.clone(), error.into())
                }
            })?;
            let status = answer.status();
            let body = answer.into_body().collect().await;
            let body = body.map_err(|error| Trouble::Broken(node.clone(), error.into()))?;
            Ok((status, Vec::from(body.to_bytes())))
        };
        let answer = timeout(self.patience.answer, exchange).await;
        let (status, body) = answer.map_err(|_| Trouble::Silent(node.clone()))??;
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            let said = crate::error::Said::read(&body).to_string();
            return Err(Trouble::Refused(node.clone(), status, said));
        }
        Ok((status, body))
    }
}

impl Trouble {
    /// Tells whether the request may have been carried out.
    fn may_have_been_done(&self) -> bool {
        match self {
            Self::Unconnected(..) => false,
            Self::Refused(_, status, _) => *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Broken(..) | Self::Silent(_) => true,
        }
    }

    fn asks_for_fewer(&self) -> bool {
        matches!(self, Self::Refused(_, StatusCode::TOO_MANY_REQUESTS, _))
    }
}

fn given_up(call: &Call, last: Option<Trouble>) -> StoreError {
    let aim = &call.aim;
    let Some(last) = last else {
        let message = format!("could not {aim}: no answer in time; look at the cluster's health");
        return StoreError::fault(FaultKind::Unavailable, message);
    };
    let (kind, remedy) = match &last {
        Trouble::Unconnected(..) => (
            FaultKind::Unavailable,
            "no node can be reached; see whether the cluster runs and ECSS_ELASTICSEARCH_HOSTS names it",
        ),
        Trouble::Broken(..) | Trouble::Silent(_) => {
            (FaultKind::Unavailable, "no node answered in time; look at the cluster's health")
        }
        Trouble::Refused(_, StatusCode::TOO_MANY_REQUESTS, _) => {
            (FaultKind::Throttled, "the cluster is overloaded, or its disks are full; give it room")
        }
        Trouble::Refused(..) => (FaultKind::Unavailable, "the cluster cannot do it now; look at its health"),
    };
    StoreError::caused(kind, format!("could not {aim}: {remedy}"), last)
}

fn authorization(login: &Login) -> Result<HeaderValue, StoreError> {
    let text = match login {
        Login::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
        }
        Login::ApiKey(key) if key.reveal().contains(':') => {
            format!("ApiKey {}", STANDARD.encode(key.reveal()))
        }
        Login::ApiKey(key) => format!("ApiKey {}", key.reveal()),
    };
    let mut header = HeaderValue::from_str(&text).map_err(|_| {
        let message = "the API key of Elasticsearch has characters that none has; copy it again";
        StoreError::fault(FaultKind::Config, message)
    })?;
    header.set_sensitive(true);
    Ok(header)
}
