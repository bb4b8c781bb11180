//! `/`: the resources for programs, a status page for people; and `/problems`, the kinds of problem in words.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::Link;
use super::etag::Tag;
use super::middleware::accepts;
use super::openapi::ServedDocument;
use super::problem::{Problem, ProblemType};
use super::request::Name;
use super::respond;

const PAGE: &str = include_str!("home/index.html");
const STYLE: &str = include_str!("home/style.css");
const SCRIPT: &str = include_str!("home/script.js");

/// The page loads nothing from anywhere else and cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Entry points of the API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resources {
    resources: Vec<Resource>,
}

/// One entry point.
#[derive(Debug, Serialize, ToSchema)]
struct Resource {
    link: Link,
}

/// A kind of problem in words.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemKind {
    /// The value of `type` in a problem document.
    #[serde(rename = "type")]
    kind: String,
    /// The title.
    title: &'static str,
    /// Its status code.
    status: u16,
    /// The remedy.
    remedy: &'static str,
}

/// Every kind of problem.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemKinds {
    problems: Vec<ProblemKind>,
}

/// Lists the entry points of the API; a browser gets a status page.
#[utoipa::path(
    get, path = "/", tag = "operation", operation_id = "home",
    responses((status = 200, description = "Entry points of the API, or the status page", content(
        (Resources = "application/json"),
        (String = "text/html"),
    ))),
)]
pub(super) async fn home(headers: HeaderMap) -> Response {
    let mut response = if accepts(&headers, "text/html") {
        asset("text/html; charset=utf-8", PAGE)
    } else {
        let link = |rel: &str, title: &str, href: &str| Resource {
            link: Link { rel: rel.to_owned(), title: title.to_owned(), href: href.to_owned() },
        };
        let resources = vec![link("jobs", "Jobs", "/jobs"), link("spec", "Spec", "/spec")];
        respond::json(StatusCode::OK, &Resources { resources })
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns the style of the status page.
pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// Returns the script of the status page.
pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

fn asset(media: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(ETAG, Tag::of_body(text.as_bytes()).header());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    add_page_headers(headers, POLICY);
    response
}

/// Adds the headers that restrict a page in the browser: its media type, and its permissions.
pub(super) fn add_page_headers(headers: &mut HeaderMap, policy: &'static str) {
    let rules = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ];
    for (name, value) in rules {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// Lists the kinds of problem.
#[utoipa::path(
    get, path = "/problems", tag = "operation", operation_id = "listProblems",
    responses((status = 200, description = "Every kind of problem", body = ProblemKinds)),
)]
pub(super) async fn problems() -> Response {
    let problems = ProblemType::ALL.into_iter().map(ProblemKind::from).collect();
    respond::json(StatusCode::OK, &ProblemKinds { problems })
}

/// Describes a kind of problem and its remedy.
#[utoipa::path(
    get, path = "/problems/{kind}", tag = "operation", operation_id = "getProblem",
    params(("kind" = String, Path, description = "The last segment of a problem's `type`")),
    responses((status = 200, description = "The kind of problem", body = ProblemKind)),
)]
pub(super) async fn problem(name: Name) -> Result<Response, Problem> {
    let kind = ProblemType::ALL.into_iter().find(|kind| kind.slug() == name.0);
    let kind = kind.ok_or_else(|| {
        Problem::new(ProblemType::NotFound, format!("There is no kind of problem \"{}\".", name.0))
    })?;
    Ok(respond::json(StatusCode::OK, &ProblemKind::from(kind)))
}

impl From<ProblemType> for ProblemKind {
    fn from(kind: ProblemType) -> Self {
        Self {
            kind: format!("/problems/{}", kind.slug()),
            title: kind.title(),
            status: kind.status().as_u16(),
            remedy: kind.remedy(),
        }
    }
}

/// Returns the OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "openapi",
    responses((status = 200, description = "This document: OpenAPI 3.1", body = Object)),
)]
pub(super) async fn openapi(State(document): State<Arc<ServedDocument>>) -> Response {
    respond::cached(document.body.clone(), Tag::of_body(&document.body).header())
}
