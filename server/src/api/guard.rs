//! What every request passes: its id, a bound on how many are under way and for how long, conditional answers, and
//! the answers to `OPTIONS` and to methods that a resource does not have.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::etag;
use super::problem::{Kind, Problem, finish};
use super::state::{App, Shared};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most characters of a request id that a client chose.
const MAX_ID: usize = 128;

/// Takes a request in, or asks the client to come back later.
pub(super) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let wants_problem = accepts(request.headers(), "application/problem+json");
    let path = request.extensions().get::<MatchedPath>().cloned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let span = tracing::info_span!("request", id = ?id, %method, path = request.uri().path());
    let mut response = answer(&app, request, next).instrument(span).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = app.allow(path.as_ref().map_or("", MatchedPath::as_str));
        response = tell_methods(&method, allow, response);
    }
    if matches!(method, Method::GET | Method::HEAD) {
        response = unless_known(&headers, response);
    }
    finish(&mut response, wants_problem);
    response.headers_mut().insert(REQUEST_ID, id);
    app.answered.note(response.status());
    response
}

async fn answer(shared: &Shared, request: Request, next: Next) -> Response {
    let later = |detail: &str| Problem::new(Kind::Unavailable, detail).into_response();
    let Ok(_permit) = shared.requests.try_acquire() else {
        return later("As many requests are under way as one server takes on.");
    };
    let deadline = shared.parts.limits.deadline;
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => {
            tracing::debug!(status = response.status().as_u16(), "answered");
            response
        }
        Err(_) => {
            tracing::warn!(seconds = deadline.as_secs_f64(), "took too long");
            later("The request took too long and was given up; whether it had an effect is not known.")
        }
    }
}

/// Answers a path that leads nowhere.
pub(super) async fn no_route() -> Problem {
    Problem::new(Kind::NotFound, "The requested URL was not found on the server.")
}

/// Answers a method that a resource does not have; [`admit`] adds `Allow`.
pub(super) async fn no_method() -> Problem {
    Problem::new(Kind::Method, "The method is not allowed for the requested URL.")
}

/// Answers a request whose handler panicked.
pub(super) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a handler panicked");
    Problem::new(Kind::Fault, "The server made a mistake; nothing is known about the effect of the request.")
        .into_response()
}

/// Tells whether a client asks for a media type by its name.
pub(super) fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let given = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut names =
        given.flat_map(|value| value.split(',')).map(|part| part.split(';').next().unwrap_or_default());
    names.any(|name| name.trim().eq_ignore_ascii_case(media))
}

/// Says with which methods a resource can be asked: the answer to `OPTIONS`, and a part of a refusal.
fn tell_methods(method: &Method, allow: HeaderValue, mut response: Response) -> Response {
    if method == Method::OPTIONS {
        response = Response::new(Body::empty());
    }
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// Leaves out the body of what the client has already.
fn unless_known(headers: &HeaderMap, response: Response) -> Response {
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
