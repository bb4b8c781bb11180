//! A fake of Elasticsearch and OpenSearch for tests, written from their documentation, and stricter than they are where
//! that finds bugs. A search sees refreshed documents only, the fake refuses everything that the documentation does not
//! name, and a page of a scroll is returned once. Tests can inject an [`InjectedFault`] into requests, and read and change
//! the [`ClusterState`] directly.
//!
//! The fake has only the calls that ECS Scheduler uses: documents by id under compare-and-set, bulk removal, refresh, search by
//! one keyword field, scrolls, indices with aliases, dynamic and explicit mappings, users, permissions, and blocks of full
//! disks. It has no shards, no replicas, and no Lucene.

mod fields;
mod index;
mod index_settings;
mod injected_fault;
mod request;
mod response;
mod search;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use futures::stream;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use injected_fault::InjectedFaults;
use request::HttpRequest;

pub use index::{FakeIndex, IndexedDoc, WriteCondition};
pub use injected_fault::InjectedFault;
pub use response::FakeResponse;
pub use state::{ClusterState, elasticsearch, opensearch};

/// The most bytes of a request: `http.max_content_length`.
const MAX_BODY_BYTES: usize = 100 << 20;

/// The state that all nodes share.
#[derive(Debug, Default)]
struct NodeContext {
    state: Mutex<ClusterState>,
    faults: Mutex<InjectedFaults>,
    /// All requests: method and path with query.
    requests: Mutex<Vec<String>>,
}

/// A fake cluster. Dropping it stops its nodes.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<NodeContext>,
    nodes: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Fake {
    /// Starts a cluster of one node, on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// Panics when there is no free port.
    pub async fn start() -> Self {
        let mut fake = Self { shared: Arc::default(), nodes: Vec::new() };
        fake.add_node().await;
        fake
    }

    /// Starts another node.
    ///
    /// # Panics
    ///
    /// Panics when there is no free port.
    pub async fn add_node(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let limit = DefaultBodyLimit::max(MAX_BODY_BYTES);
        let app = Router::new().fallback(serve).layer(limit).with_state(Arc::clone(&self.shared));
        let node =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("serving never fails") });
        self.nodes.push((address, node));
    }

    /// Returns the addresses of the nodes in the format of `ECSS_ELASTICSEARCH_HOSTS`.
    #[must_use]
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|(address, _)| format!("http://{address}")).collect();
        hosts.join(",")
    }

    /// Reads or changes the state of the cluster.
    pub fn with_state<T>(&self, access: impl FnOnce(&mut ClusterState) -> T) -> T {
        access(&mut self.shared.state.lock())
    }

    /// Injects a fault into the next `times` requests whose method and path begin with `request`.
    pub fn inject(&self, request: &str, times: usize, fault: InjectedFault) {
        self.shared.faults.lock().add(request, times, fault);
    }

    /// Counts the requests whose method and path begin with `request`.
    #[must_use]
    pub fn count(&self, request: &str) -> usize {
        self.shared.requests.lock().iter().filter(|seen| seen.starts_with(request)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        for (_, node) in &self.nodes {
            node.abort();
        }
    }
}

async fn serve(
    State(shared): State<Arc<NodeContext>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = format!("{method} {uri}");
    shared.requests.lock().push(request.clone());
    let fault = shared.faults.lock().next_for(&request);
    match fault {
        Some(InjectedFault::ConnectionBroken) => return broken_response(),
        Some(InjectedFault::ErrorResponse(status, kind)) => {
            return to_http(FakeResponse::error(status, kind, "injected by the test"));
        }
        Some(InjectedFault::HtmlPage) => return Response::new(Body::from("<html>welcome</html>")),
        Some(InjectedFault::BulkItem(status, kind)) => {
            shared.state.lock().bulk_item_error = Some((status, kind))
        }
        Some(
            InjectedFault::ResponseLost
            | InjectedFault::NoResponse
            | InjectedFault::ShardFailed
            | InjectedFault::SearchTimedOut,
        )
        | None => {}
    }
    let header = |header: HeaderName| headers.get(header).and_then(|value| value.to_str().ok());
    let Ok(body) = std::str::from_utf8(&body) else {
        return to_http(FakeResponse::error(400, "parsing_exception", "Invalid UTF-8"));
    };
    let http_request = HttpRequest {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
        body,
    };
    let response = shared.state.lock().serve(&http_request);
    match fault {
        Some(InjectedFault::ResponseLost) => broken_response(),
        Some(InjectedFault::NoResponse) => std::future::pending().await,
        Some(InjectedFault::ShardFailed) => {
            to_http(response.with(
                "_shards",
                serde_json::json!({ "total": 2, "successful": 1, "skipped": 0, "failed": 1 }),
            ))
        }
        Some(InjectedFault::SearchTimedOut) => to_http(response.with("timed_out", true.into())),
        Some(
            InjectedFault::ConnectionBroken
            | InjectedFault::ErrorResponse(..)
            | InjectedFault::HtmlPage
            | InjectedFault::BulkItem(..),
        )
        | None => to_http(response),
    }
}

/// A response whose body breaks off after the headers.
fn broken_response() -> Response<Body> {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the connection is cut")) });
    Response::new(Body::from_stream(cut))
}

fn to_http(response: FakeResponse) -> Response<Body> {
    let mut http_response = Response::new(Body::from(response.body));
    *http_response.status_mut() = StatusCode::from_u16(response.status).expect("the status is valid");
    http_response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    http_response
}
