//! Answers in JSON: compact, with a final newline and a strong entity tag.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::etag::Tag;

/// Answers with a value as JSON, tagged by its bytes.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = encode(value);
    let tag = Tag::of_body(&body);
    bytes(status, body, &tag)
}

/// Answers with JSON that was written already.
pub(super) fn bytes(status: StatusCode, body: Vec<u8>, tag: &Tag) -> Response {
    let mut response = shown(body.into(), tag.header());
    *response.status_mut() = status;
    response
}

/// Answers with JSON that was answered with before.
pub(super) fn shown(body: Bytes, tag: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ETAG, tag);
    response
}

/// Writes a wire value as JSON with a final newline.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, value).expect("wire types have string keys and finite numbers");
    body.push(b'\n');
    body
}
