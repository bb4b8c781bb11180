//! Forwards requests to the replica that owns the job.
//!
//! Every replica serves the whole API, and almost all of it from the store. A request that needs the job's engine is
//! forwarded unchanged, with its authorization, and the response is returned. Hop-by-hop headers and cookies are not
//! forwarded: nothing here uses cookies, and the address comes from the store. A forwarded request is not forwarded
//! again, because two replicas that each consider the other one the owner would forward it endlessly.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::JobId;
use ecs_scheduler_core::replica::{JobOwner, ReplicaHandle, SchedulerNode};
use percent_encoding::percent_decode_str;

use super::problem::{Problem, ProblemType};
use super::request::{self, Query};

/// The header that names the replica that forwarded a request.
const FORWARDED_BY: HeaderName = HeaderName::from_static("ecss-forwarded-by");
/// The time limit for the connection to the other replica.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The idle time of a pooled connection. Many firewalls drop idle connections silently after 60 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Creates the HTTP client for other replicas.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT);
    builder
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("plain HTTP needs nothing of the system")
}

/// Forwards requests to other replicas.
#[derive(Debug, Clone)]
pub(super) struct Forwarder {
    engine: SchedulerNode,
    client: reqwest::Client,
    timeout: Duration,
}

impl Forwarder {
    /// Forwards requests of this engine. `deadline` is the time limit of a request; its forwarding takes nine tenths at
    /// most.
    pub(super) fn new(engine: SchedulerNode, deadline: Duration) -> Self {
        Self { engine, client: client(), timeout: deadline.mul_f32(0.9) }
    }
}

/// Answers here, or forwards the request to the replica that owns the job.
pub(super) async fn forward_to_owner(
    State(forwarder): State<Forwarder>,
    request: Request,
    next: Next,
) -> Response {
    match route_to_owner(&forwarder, request).await {
        Ok(request) => next.run(request).await,
        Err(response) => *response,
    }
}

/// Returns a request that is to be answered here.
///
/// # Errors
///
/// The response of the replica that owns the job, or 503 if none does at the moment.
pub(super) async fn route_to_owner(
    forwarder: &Forwarder,
    request: Request,
) -> Result<Request, Box<Response>> {
    let owned = forwarder.engine.replica().and_then(|replica| {
        let job = engine_call(request.method(), request.uri())?;
        Some((replica.clone(), job))
    });
    let Some((replica, job)) = owned else { return Ok(request) };
    let response = match replica.owner(&job) {
        JobOwner::ThisReplica => return Ok(request),
        JobOwner::OtherReplica { address, .. } if !request.headers().contains_key(&FORWARDED_BY) => {
            send_to_owner(forwarder, &replica, &address, request)
                .await
                .unwrap_or_else(IntoResponse::into_response)
        }
        JobOwner::OtherReplica { .. } | JobOwner::Unowned => {
            let detail = format!(
                "Nothing was done: job {job} is being taken over by another replica. Try again in a moment."
            );
            Problem::new(ProblemType::Unavailable, detail).into_response()
        }
    };
    Err(Box::new(response))
}

/// Returns the job if the request needs its engine.
fn engine_call(method: &Method, uri: &Uri) -> Option<JobId> {
    let mut segments = uri.path().split('/').skip(1);
    let call = (segments.next()?, segments.next()?, segments.next(), segments.next());
    // A dry run of a change evaluates the changed job.
    let is_dry_run = || Query::parse(uri.query().unwrap_or_default()).text("dryRun") == Some("true");
    let job = match call {
        ("jobs", job, Some("firings" | "evaluate" | "resume" | "backfill"), None)
            if method == Method::POST =>
        {
            job
        }
        ("jobs", job, Some("backfill"), None) if method == Method::DELETE => job,
        ("jobs", job, None, None) if [Method::PUT, Method::PATCH].contains(method) && is_dry_run() => job,
        _ => return None,
    };
    JobId::new(&percent_decode_str(job).decode_utf8().ok()?).ok()
}

async fn send_to_owner(
    forwarder: &Forwarder,
    replica: &ReplicaHandle,
    address: &str,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = request::read(&parts.headers, body).await?;
    let mut headers = end_to_end_headers(&parts.headers);
    let id = HeaderValue::from_str(replica.id().as_str()).expect("a replica's name is printable");
    headers.insert(FORWARDED_BY, id);
    let sent = forwarder
        .client
        .request(parts.method, format!("{}{path}", address.trim_end_matches('/')))
        .headers(headers)
        .body(body)
        .timeout(forwarder.timeout)
        .send()
        .await;
    let answer = sent.map_err(|error| no_response(address, &error))?;
    let (status, headers) = (answer.status(), end_to_end_headers(answer.headers()));
    let body = answer.bytes().await.map_err(|error| no_response(address, &error))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Headers that are not forwarded: hop-by-hop headers (RFC 9110, section 7.6.1), headers that were checked here, and
/// cookies.
const NOT_FORWARDED: [&str; 18] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Returns the end-to-end headers.
fn end_to_end_headers(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).map(str::trim);
    let mut kept = headers.clone();
    for name in named.chain(NOT_FORWARDED) {
        kept.remove(name);
    }
    kept
}

fn no_response(address: &str, error: &reqwest::Error) -> Problem {
    tracing::warn!(address, %error, "could not forward a request to another replica");
    let effect =
        if error.is_connect() { "nothing was done" } else { "the request may or may not have taken effect" };
    let detail = format!("The replica at {address}, which owns this job, does not answer; {effect}.");
    Problem::new(ProblemType::Unavailable, detail)
}

#[cfg(test)]
mod tests {
    use ecs_scheduler_test_support::TcpProxy;

    use super::*;

    #[tokio::test]
    async fn connection_that_was_idle_for_a_minute_is_not_used_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = TcpProxy::start(listener.local_addr().unwrap().port()).await;
        let replica = axum::Router::new().fallback(async || "answered");
        tokio::spawn(async move { axum::serve(listener, replica).await });
        let (client, url) = (client(), format!("http://127.0.0.1:{}/", proxy.port()));
        let call = async || {
            let answer = client.post(&url).timeout(Duration::from_secs(5)).send().await;
            assert_eq!(answer.unwrap().text().await.unwrap(), "answered");
        };
        call().await;
        call().await;
        assert_eq!(proxy.connections(), 1, "a connection is used again at once");
        proxy.forget_connections();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(55)).await;
        tokio::time::resume();
        call().await;
        assert_eq!(proxy.connections(), 2, "a firewall may have dropped it silently");
    }

    #[test]
    fn only_engine_calls_are_forwarded_to_the_owner() {
        let job = |method: Method, uri: &'static str| {
            engine_call(&method, &Uri::from_static(uri)).map(|job| job.to_string())
        };
        assert_eq!(job(Method::POST, "/jobs/a/firings").as_deref(), Some("a"));
        assert_eq!(job(Method::POST, "/jobs/b/evaluate").as_deref(), Some("b"));
        assert_eq!(job(Method::POST, "/jobs/c/resume").as_deref(), Some("c"));
        assert_eq!(job(Method::POST, "/jobs/d/backfill").as_deref(), Some("d"));
        assert_eq!(job(Method::DELETE, "/jobs/d/backfill").as_deref(), Some("d"));
        assert_eq!(job(Method::GET, "/jobs/d/backfill"), None);
        assert_eq!(job(Method::DELETE, "/jobs/d"), None);
        for method in [Method::PUT, Method::PATCH] {
            assert_eq!(job(method.clone(), "/jobs/d?validate=aws&dryRun=true").as_deref(), Some("d"));
            assert_eq!(job(method.clone(), "/jobs/d?dryRun=false"), None);
            assert_eq!(job(method, "/jobs/d"), None);
        }
        assert_eq!(job(Method::POST, "/jobs?dryRun=true"), None);
        let others = [
            "/jobs/a",
            "/jobs",
            "/jobs/a/suspend",
            "/jobs/a/firings/x",
            "/firings/a/firings",
            "/evaluate",
            "/",
        ];
        assert!(others.iter().all(|path| job(Method::POST, path).is_none()));
        assert_eq!(job(Method::GET, "/jobs/a/firings"), None);
        assert_eq!(job(Method::POST, "/jobs/a%20b/firings"), None);
        assert_eq!(job(Method::POST, "/jobs/%6a1/firings").as_deref(), Some("j1"));
        assert_eq!(job(Method::POST, "/jobs/%ff/firings"), None);
    }

    #[test]
    fn headers_of_a_connection_stay_on_it() {
        let given = [
            ("authorization", "Bearer x"),
            ("host", "here"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("cookie", "session=1"),
            ("origin", "http://here"),
            ("if-match", "\"1\""),
        ];
        let given: HeaderMap = given
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let mut names: Vec<_> = end_to_end_headers(&given).keys().map(|name| name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["authorization", "if-match"]);
    }
}
