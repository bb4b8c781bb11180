//! Answers in JSON: compact, with a final newline and a strong entity tag.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use super::etag::Tag;

/// Marks a response that is not final: the same request may get another one later. It is not stored for repeated requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayChange;

/// Answers with a value as JSON, tagged by its bytes.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = encode(value);
    let tag = Tag::of_body(&body);
    bytes(status, body, &tag)
}

/// Answers with JSON text.
pub(super) fn bytes(status: StatusCode, body: Vec<u8>, tag: &Tag) -> Response {
    let mut response = cached(body.into(), tag.header());
    *response.status_mut() = status;
    response
}

/// Answers with a cached response.
pub(super) fn cached(body: Bytes, tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ETAG, tag);
    response
}

/// Writes a wire value as JSON with a final newline.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, value)
        .expect("data transfer objects have string keys and finite numbers");
    body.push(b'\n');
    body
}

/// Holds something until the body is sent.
pub(super) fn hold_until_sent<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    response.map(|inner| Body::new(Holding { inner, _held: held }))
}

struct Holding<T> {
    inner: Body,
    _held: T,
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
