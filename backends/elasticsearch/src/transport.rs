//! Sends a request to a node, and retries it on the next one when that node does not answer.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_core::{Backoff, FaultKind, StoreError};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, Credentials, Node};
use crate::message::{ApiRequest, ApiResponse, ErrorBody};
use crate::timeouts::ClusterTimeouts;
use crate::tls;

/// The longest backoff, as a multiple of the first.
const MAX_BACKOFF_FACTOR: u32 = 32;
/// How long an idle connection is kept: many firewalls silently drop idle connections after 60 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The reason why an attempt failed and is retried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("no connection to {0}")]
    NotConnected(Node, #[source] hyper_util::client::legacy::Error),
    #[error("the connection to {0} broke")]
    Broken(Node, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} did not answer in time")]
    TimedOut(Node),
    #[error("{0} answered {1}: {2}")]
    Refused(Node, StatusCode, String),
}

/// The HTTP client of a cluster.
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, String>,
    nodes: Vec<(Node, Option<HeaderValue>)>,
    /// The index of the node that answered last.
    current: AtomicUsize,
    timeouts: ClusterTimeouts,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.nodes.iter().map(|(node, _)| node.address())).finish()
    }
}

impl Transport {
    /// Prepares the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Fails when no node is named, credentials cannot be sent, or TLS cannot be set up.
    pub(crate) fn new(cluster: &Cluster, timeouts: ClusterTimeouts) -> Result<Self, StoreError> {
        let mut nodes = Vec::new();
        for node in &cluster.nodes {
            let node = node.clone().or_credentials(cluster.credentials.as_ref());
            let header = node.credentials().map(authorization).transpose()?;
            nodes.push((node, header));
        }
        if nodes.is_empty() {
            return Err(StoreError::fault(
                FaultKind::Config,
                "no node of Elasticsearch is named; set ECSS_ELASTICSEARCH_HOSTS",
            ));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeouts.connect));
        let secure = nodes.iter().any(|(node, _)| node.is_secure());
        let connector = tls::connector(tcp, secure, cluster.authority.as_deref())?;
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build::<_, String>(connector);
        Ok(Self { client, nodes, current: AtomicUsize::new(0), timeouts })
    }

    /// Sends a request until a node gives a final response. After 429 and 5xx the request is retried, in turn on each
    /// node.
    ///
    /// # Errors
    ///
    /// Fails when there is no final response in time. The request may have taken effect.
    pub(crate) async fn send(&self, request: &ApiRequest) -> Result<ApiResponse, StoreError> {
        let mut last = None;
        match timeout(self.timeouts.operation, self.retry(request, &mut last)).await {
            Ok(response) => Ok(response),
            Err(_) => Err(retries_exhausted(request, last)),
        }
    }

    async fn retry(&self, request: &ApiRequest, last: &mut Option<AttemptError>) -> ApiResponse {
        let mut is_repeated = false;
        let first = self.timeouts.backoff;
        let mut backoff = Backoff::new(first, first * MAX_BACKOFF_FACTOR);
        let mut attempts = 0;
        loop {
            let index = self.current.load(Ordering::Relaxed) % self.nodes.len();
            let error = match self.attempt(index, request).await {
                Ok((status, body)) => return ApiResponse { status, body, is_repeated },
                Err(error) => error,
            };
            tracing::debug!(action = request.action, %error, "an attempt on a node of Elasticsearch failed");
            is_repeated |= error.may_have_taken_effect();
            let is_throttled = error.is_throttling();
            *last = Some(error);
            if !is_throttled {
                let next = (index + 1) % self.nodes.len();
                // Another call may have moved on already.
                let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            attempts += 1;
            if is_throttled || attempts % self.nodes.len() == 0 {
                sleep(backoff.next_delay()).await;
            }
        }
    }

    async fn attempt(
        &self,
        index: usize,
        request: &ApiRequest,
    ) -> Result<(StatusCode, Vec<u8>), AttemptError> {
        let (node, credentials) = &self.nodes[index];
        let content_type =
            if request.path.contains("/_bulk") { "application/x-ndjson" } else { "application/json" };
        let mut http_request = Request::builder()
            .method(&request.method)
            .uri(format!("{node}{}", request.path))
            .header(ACCEPT, "application/json");
        if !request.body.is_empty() {
            http_request = http_request.header(CONTENT_TYPE, content_type);
        }
        if let Some(credentials) = credentials {
            http_request = http_request.header(AUTHORIZATION, credentials);
        }
        let http_request = http_request.body(request.body.clone()).expect("node and path are valid URLs");
        let exchange = async {
            let response = self.client.request(http_request).await.map_err(|error| {
                if error.is_connect() {
                    AttemptError::NotConnected(node.clone(), error)
                } else {
                    AttemptError::Broken(node.clone(), error.into())
                }
            })?;
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| AttemptError::Broken(node.clone(), error.into()))?;
            Ok((status, Vec::from(body.to_bytes())))
        };
        let response = timeout(self.timeouts.response, exchange).await;
        let (status, body) = response.map_err(|_| AttemptError::TimedOut(node.clone()))??;
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            let reason = ErrorBody::parse(&body).to_string();
            return Err(AttemptError::Refused(node.clone(), status, reason));
        }
        Ok((status, body))
    }
}

impl AttemptError {
    /// Tells whether the request may have taken effect.
    fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::NotConnected(..) => false,
            Self::Refused(_, status, _) => *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Broken(..) | Self::TimedOut(_) => true,
        }
    }

    /// Tells whether the node asks for fewer requests.
    fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(_, StatusCode::TOO_MANY_REQUESTS, _))
    }
}

fn retries_exhausted(request: &ApiRequest, last: Option<AttemptError>) -> StoreError {
    let action = &request.action;
    let Some(last) = last else {
        let message = format!("could not {action}: no response in time; check the cluster's health");
        return StoreError::fault(FaultKind::Unavailable, message);
    };
    let (kind, remedy) = match &last {
        AttemptError::NotConnected(..) => (
            FaultKind::Unavailable,
            "no node can be reached; check that the cluster runs and that ECSS_ELASTICSEARCH_HOSTS names it",
        ),
        AttemptError::Broken(..) | AttemptError::TimedOut(_) => {
            (FaultKind::Unavailable, "no node answered in time; check the cluster's health")
        }
        AttemptError::Refused(_, StatusCode::TOO_MANY_REQUESTS, _) => (
            FaultKind::Throttled,
            "the cluster is overloaded, or its disks are full; add nodes or disk space",
        ),
        AttemptError::Refused(..) => (FaultKind::Unavailable, "the cluster failed; check its health"),
    };
    StoreError::with_source(kind, format!("could not {action}: {remedy}"), last)
}

fn authorization(credentials: &Credentials) -> Result<HeaderValue, StoreError> {
    let text = match credentials {
        Credentials::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
        }
        Credentials::ApiKey(key) if key.reveal().contains(':') => {
            format!("ApiKey {}", STANDARD.encode(key.reveal()))
        }
        Credentials::ApiKey(key) => format!("ApiKey {}", key.reveal()),
    };
    let mut header = HeaderValue::from_str(&text).map_err(|_| {
        let message = "the Elasticsearch API key contains invalid characters; copy it again";
        StoreError::fault(FaultKind::Config, message)
    })?;
    header.set_sensitive(true);
    Ok(header)
}
