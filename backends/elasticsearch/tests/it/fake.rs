//! A fake of Elasticsearch and OpenSearch, written from their documentation and stricter than they are where that finds
//! mistakes: a search sees nothing that was not refreshed, ever, and whatever the documentation does not name is refused.

mod answer;
mod index;
mod mishap;
mod search;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri, header};
use futures::stream;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use answer::Answer;
pub(crate) use index::Demand;
pub(crate) use mishap::{Mishap, Mishaps};
pub(crate) use world::{World, elasticsearch, opensearch};

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
pub(crate) struct Fake {
    shared: Arc<Shared>,
    nodes: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Fake {
    /// Starts a cluster of one node.
    pub(crate) async fn start() -> Self {
        let mut fake = Self { shared: Arc::default(), nodes: Vec::new() };
        fake.add_node().await;
        fake
    }

    /// Starts another node.
    pub(crate) async fn add_node(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(serve).with_state(Arc::clone(&self.shared));
        let node = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        self.nodes.push((address, node));
    }

    /// Lists the addresses of the nodes, as `ECSS_ELASTICSEARCH_HOSTS` does.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|(address, _)| format!("http://{address}")).collect();
        hosts.join(",")
    }

    /// Looks at what the cluster holds, or changes it.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.shared.world.lock())
    }

    /// Lets the next `times` requests whose method and path begin so meet with something.
    pub(crate) fn befall(&self, request: &str, times: usize, mishap: Mishap) {
        self.shared.mishaps.lock().add(request, times, mishap);
    }

    /// Returns how many requests came whose method and path begin so.
    pub(crate) fn count(&self, request: &str) -> usize {
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
        Some(Mishap::Html) => {
            return Response::new(Body::from("<html>welcome</html>"));
        }
        Some(Mishap::Lost | Mishap::Silent | Mishap::ShardFailed | Mishap::TimedOut) | None => {}
    }
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let answer = shared.world.lock().serve(&method, &uri, authorization, &body);
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
        Some(Mishap::Broken | Mishap::Answer(..) | Mishap::Html) | None => write(answer),
    }
}

/// An answer that breaks off after its head.
fn broken() -> Response<Body> {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the line is cut")) });
    Response::new(Body::from_stream(cut))
}

fn write(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    let kind = "application/json; charset=UTF-8".parse().expect("it is a header");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
