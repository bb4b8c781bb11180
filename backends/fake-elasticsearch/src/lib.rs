//! A fake of Elasticsearch and OpenSearch, for tests: written from their documentation, and stricter than they are where that
//! finds mistakes. A search sees nothing that was not refreshed, ever; whatever the documentation does not name is refused; a
//! page of a scroll comes once. Requests can be made to meet with a [`Mishap`], and what the cluster holds can be looked at and
//! changed behind the client's back.
//!
//! It has what ECS Scheduler asks for and no more: documents by id under compare-and-set, removal in bulk, refresh, search by
//! one keyword field, scrolls, indices with aliases, mappings that guess types or do not, users, permissions, and blocks of full disks.
//! Shards, replicas and what Lucene does are not there.

mod answer;
mod create;
mod fields;
mod index;
mod mishap;
mod request;
mod search;
mod world;

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

use mishap::Mishaps;
use request::Incoming;

pub use answer::Answer;
pub use index::{Demand, Doc, Index};
pub use mishap::Mishap;
pub use world::{World, elasticsearch, opensearch};

/// The most bytes of a request: `http.max_content_length`.
const LONGEST: usize = 100 << 20;

/// What all nodes share.
#[derive(Debug, Default)]
struct Shared {
    world: Mutex<World>,
    mishaps: Mutex<Mishaps>,
    /// Each request: method and path with query.
    requests: Mutex<Vec<String>>,
}

/// A cluster. Its nodes end with it.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<Shared>,
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
        let address = listener.local_addr().expect("it is bound");
        let limit = DefaultBodyLimit::max(LONGEST);
        let app = Router::new().fallback(serve).layer(limit).with_state(Arc::clone(&self.shared));
        let node =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("serving never fails") });
        self.nodes.push((address, node));
    }

    /// Lists the addresses of the nodes, as `ECSS_ELASTICSEARCH_HOSTS` does.
    #[must_use]
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|(address, _)| format!("http://{address}")).collect();
        hosts.join(",")
    }

    /// Looks at what the cluster holds, or changes it.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.shared.world.lock())
    }

    /// Lets the next `times` requests whose method and path begin so meet with something.
    pub fn befall(&self, request: &str, times: usize, mishap: Mishap) {
        self.shared.mishaps.lock().add(request, times, mishap);
    }

    /// Returns how many requests came whose method and path begin so.
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
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = format!("{method} {uri}");
    shared.requests.lock().push(request.clone());
    let mishap = shared.mishaps.lock().befall(&request);
    match mishap {
        Some(Mishap::Broken) => return broken(),
        Some(Mishap::Answer(status, kind)) => {
            return write(Answer::refusal(status, kind, "as the test wants it"));
        }
        Some(Mishap::Html) => return Response::new(Body::from("<html>welcome</html>")),
        Some(Mishap::Item(status, kind)) => shared.world.lock().refused_item = Some((status, kind)),
        Some(Mishap::Lost | Mishap::Silent | Mishap::ShardFailed | Mishap::TimedOut) | None => {}
    }
    let named = |header: HeaderName| headers.get(header).and_then(|value| value.to_str().ok());
    let Ok(body) = std::str::from_utf8(&body) else {
        return write(Answer::refusal(400, "parsing_exception", "Invalid UTF-8"));
    };
    let incoming = Incoming {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        authorization: named(AUTHORIZATION),
        content_type: named(CONTENT_TYPE),
        body,
    };
    let answer = shared.world.lock().serve(&incoming);
    match mishap {
        Some(Mishap::Lost) => broken(),
        Some(Mishap::Silent) => std::future::pending().await,
        Some(Mishap::ShardFailed) => {
            write(answer.with(
                "_shards",
                serde_json::json!({ "total": 2, "successful": 1, "skipped": 0, "failed": 1 }),
            ))
        }
        Some(Mishap::TimedOut) => write(answer.with("timed_out", true.into())),
        Some(Mishap::Broken | Mishap::Answer(..) | Mishap::Html | Mishap::Item(..)) | None => write(answer),
    }
}

/// An answer that breaks off after its head.
fn broken() -> Response<Body> {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the line is cut")) });
    Response::new(Body::from_stream(cut))
}

fn write(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("it is a status");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}
