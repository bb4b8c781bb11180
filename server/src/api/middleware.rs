//! Middleware of all requests: request id, origin, access, query parameters, body, limits on concurrency and time, conditional
//! responses,
//! `OPTIONS` and 405.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::access;
use super::etag;
use super::origin;
use super::problem::{Problem, ProblemType, finish};
use super::request::{BufferedBody, Query};
use super::respond;
use super::state::{App, AppState};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of a client's request id, in characters.
const MAX_ID: usize = 128;

/// Processes a request within the limits, or answers 503.
pub(super) async fn handle_request(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let wants_problem = accepts(request.headers(), "application/problem+json");
    let path = request.extensions().get::<MatchedPath>().cloned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let span = tracing::info_span!("request", id = ?id, %method, path = request.uri().path());
    let mut response = respond_within_limits(&app, request, next).instrument(span).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = app.openapi.allow(path.as_ref().map_or("", MatchedPath::as_str));
        response = add_allow(&method, allow, response);
    }
    if matches!(method, Method::GET | Method::HEAD) {
        response = omit_known_body(&headers, response);
    }
    finish(&mut response, wants_problem);
    origin::add_security_headers(response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id);
    app.answered.count(response.status());
    response
}

async fn respond_within_limits(app: &AppState, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + app.limits.deadline;
    let (mut parts, body) = request.into_parts();
    let checked = timeout_at(deadline, check_request(app, &mut parts)).await.unwrap_or_else(|_| {
        Err(Problem::new(ProblemType::Unavailable, "The request timed out before it had an effect."))
    });
    if let Err(problem) = checked {
        return close_unless_read(body.is_end_stream(), problem.into_response());
    }
    // A permit is taken only when the body is complete, so that slow clients take none.
    let reading = BufferedBody::read(&app.bodies, &parts.headers, body);
    let BufferedBody { bytes, is_read, reserved } = match timeout_at(deadline, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(problem)) => return close_unless_read(false, problem.into_response()),
        Err(_) => {
            let detail = "Timed out waiting for the request body; nothing was changed.";
            return close_unless_read(false, Problem::new(ProblemType::Slow, detail).into_response());
        }
    };
    let later = |detail: &str| Problem::new(ProblemType::Unavailable, detail).into_response();
    let Ok(permit) = acquire_permit(app, parts.uri.path()) else {
        return close_unless_read(is_read, later("Too many concurrent requests."));
    };
    let request = Request::from_parts(parts, bytes.into());
    let response = match timeout_at(deadline, next.run(request)).await {
        Ok(response) => {
            tracing::debug!(status = response.status().as_u16(), "answered");
            response
        }
        Err(_) => {
            tracing::warn!(seconds = app.limits.deadline.as_secs_f64(), "request timed out");
            later("The request timed out. It may or may not have taken effect.")
        }
    };
    drop(reserved);
    let response = close_unless_read(is_read, response);
    // A stream has a bound of its own, and no end.
    let ends = response.body().size_hint().exact().is_some();
    if ends { respond::hold_until_sent(response, permit) } else { response }
}

/// Runs the checks that all resources share.
async fn check_request(app: &AppState, parts: &mut Parts) -> Result<(), Problem> {
    // It reveals only that the process is alive, and supervisors use any host name.
    if parts.uri.path() != "/healthz" {
        origin::check(parts, &app.hosts)?;
    }
    access::authorize(app, parts).await?;
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let known = path.and_then(|path| app.openapi.parameters(&parts.method, path));
    known.map_or(Ok(()), |known| Query::parse(parts.uri.query().unwrap_or_default()).ensure_known(known))
}

/// Takes a permit for a concurrent request. Health, readiness and metrics have limits of their own.
fn acquire_permit(
    app: &AppState,
    path: &str,
) -> Result<Option<OwnedSemaphorePermit>, tokio::sync::TryAcquireError> {
    let places: &Arc<Semaphore> = match path {
        "/healthz" => return Ok(None),
        "/readyz" | "/metrics" => &app.probes,
        _ => &app.requests,
    };
    Arc::clone(places).try_acquire_owned().map(Some)
}

/// Closes the connection if a part of the body is unread, because it would be read as the next request.
fn close_unless_read(is_read: bool, mut response: Response) -> Response {
    if !is_read {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers an unknown path.
pub(super) async fn route_not_found() -> Problem {
    Problem::new(ProblemType::NotFound, "The requested URL was not found on the server.")
}

/// Answers a method that a resource does not have; [`handle_request`] adds `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(ProblemType::Method, "The method is not allowed for the requested URL.")
}

/// Answers a request whose handler panicked.
pub(super) fn handle_panic(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a handler panicked");
    Problem::new(ProblemType::Internal, "Internal error. The request may or may not have taken effect.")
        .into_response()
}

/// Tells whether a client asks for a media type by its name.
pub(super) fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let given = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut names =
        given.flat_map(|value| value.split(',')).map(|part| part.split(';').next().unwrap_or_default());
    names.any(|name| name.trim().eq_ignore_ascii_case(media))
}

/// Adds the allowed methods: to the answer to `OPTIONS`, and to a 405.
fn add_allow(method: &Method, allow: HeaderValue, mut response: Response) -> Response {
    if method == Method::OPTIONS {
        response = Response::new(Body::empty());
    }
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// Answers 304 if the client has the representation already.
fn omit_known_body(headers: &HeaderMap, response: Response) -> Response {
    let known = response.status() == StatusCode::OK
        && response.headers().get(ETAG).is_some_and(|tag| etag::is_known(headers, tag));
    if !known {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// Returns the client's id of the request, if it is fit to be logged, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let fit = |value: &&HeaderValue| {
        (1..=MAX_ID).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(&REQUEST_ID).filter(fit).cloned().unwrap_or_else(|| {
        let id = format!("{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).expect("hexadecimal digits are a header value")
    })
}
