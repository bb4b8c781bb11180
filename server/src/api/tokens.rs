//! `/tokens`: the access tokens of clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::job::{DATETIME_FORMS, NOT_A_DATETIME};
use ecs_scheduler_core::{Clock, Timestamp, text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::{Problem, ProblemType};
use super::request::{JsonBody, Name, Parsers, member, moment};
use super::respond;
use crate::access::{AccessControl, AccessToken, NewAccessToken, Scope, TokenError, TokenRegister};

/// The maximum length of the name of a token, in characters.
const MAX_NAME: usize = 64;
/// The maximum number of labels of a token.
const MAX_LABELS: usize = 8;
/// The maximum length of the name and of the value of a label, in characters: as in a job.
const MAX_LABEL: (usize, usize) = (128, 256);

/// A token to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// Its purpose.
    #[schema(min_length = 1, max_length = 64, example = "ci")]
    name: String,
    /// The scopes that it permits; `admin` permits everything.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// The labels of the jobs that it is for, at most 8; by default all jobs. Not with `admin`.
    #[serde(default)]
    #[schema(nullable = false, example = json!({"team": "media"}))]
    labels: Option<BTreeMap<String, String>>,
    /// The moment from which it is refused (RFC 3339); never by default.
    #[serde(default)]
    #[schema(nullable = false, format = DateTime)]
    expires: Option<String>,
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenView {
    /// Its id: the second part of its text.
    #[schema(example = "5f0c2a9be1d4")]
    id: String,
    /// Its purpose.
    name: String,
    /// The scopes that it permits.
    scopes: Vec<Scope>,
    /// The labels of the jobs that it is for; without any, all jobs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// The moment from which it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    expires: Option<Timestamp>,
    /// The begin of the hour in which it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    last_used: Option<Timestamp>,
}

/// The tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// The tokens, oldest first.
    tokens: Vec<TokenView>,
}

/// A new token, with its text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedToken {
    #[serde(flatten)]
    view: TokenView,
    /// The token that the client sends. It is shown only now.
    #[schema(example = "ecss_5f0c2a9be1d4_…")]
    token: String,
}

/// A revoked token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedToken {
    /// Its id.
    id: String,
}

impl TokenView {
    fn new(token: AccessToken, last_used: Option<Timestamp>) -> Self {
        let scopes = token.scopes.iter().copied().collect();
        let AccessToken { id, name, labels, created, expires, .. } = token;
        Self { id, name, scopes, labels, created, expires, last_used }
    }
}

/// Lists the access tokens, without their secrets.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens", operation_id = "listTokens",
    responses((status = 200, description = "The tokens, oldest first", body = TokenList)),
)]
pub(super) async fn list(State(access): State<AccessControl>) -> Result<Response, Problem> {
    let tokens = register(&access)?.list().await?;
    let tokens = tokens.into_iter().map(|(token, last_used)| TokenView::new(token, last_used)).collect();
    Ok(respond::json(StatusCode::OK, &TokenList { tokens }))
}

/// Creates an access token. Its text is in the response only.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens", operation_id = "createToken",
    request_body(content = TokenRequest, content_type = "application/json"),
    responses((status = 201, description = "Token created", body = CreatedToken)),
)]
pub(super) async fn create(
    State(access): State<AccessControl>,
    State(clock): State<Arc<dyn Clock>>,
    State(parsers): State<Parsers>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (tokens, now) = (register(&access)?, clock.now());
    let body = JsonBody::read(&parsers, &headers, body).await?;
    let new = body.parse(move |body| read_request(body, now)).await?;
    let (token, text) = tokens.create(new).await.map_err(refusal)?;
    tracing::info!(token = token.id, name = token.name, by = caller.id(), "created an access token");
    let place = HeaderValue::try_from(format!("/tokens/{}", token.id));
    let created = CreatedToken { view: TokenView::new(token, None), token: text };
    let mut response = respond::json(StatusCode::CREATED, &created);
    let headers = response.headers_mut();
    headers.insert(LOCATION, place.expect("hexadecimal digits are a header value"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Revokes an access token: every replica refuses it within a second, and its open streams end.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "Token revoked", body = RevokedToken)),
)]
pub(super) async fn revoke(
    State(access): State<AccessControl>,
    caller: Caller,
    name: Name,
) -> Result<Response, Problem> {
    if !register(&access)?.revoke(&name.0).await.map_err(refusal)? {
        return Err(Problem::new(ProblemType::NotFound, format!("Token {} does not exist.", name.0)));
    }
    tracing::info!(token = name.0, by = caller.id(), "revoked an access token");
    Ok(respond::json(StatusCode::OK, &RevokedToken { id: name.0 }))
}

/// Returns the tokens. A server that lets everybody in makes none, which would be valid later.
fn register(access: &AccessControl) -> Result<&Arc<TokenRegister>, Problem> {
    access.tokens.as_ref().ok_or_else(|| {
        let detail =
            "This server does not authenticate clients; start it with ECSS_AUTH=tokens to use tokens.";
        Problem::new(ProblemType::Forbidden, detail)
    })
}

fn refusal(error: TokenError) -> Problem {
    match error {
        TokenError::Full => {
            Problem::new(ProblemType::TooMany, "There is no room for another token; revoke some.")
        }
        TokenError::Store(error) => error.into(),
    }
}

fn read_request(body: Map<String, Value>, now: Timestamp) -> Result<NewAccessToken, Problem> {
    let TokenRequest { name, scopes, labels, expires } = member("", body.into())?;
    check_text("/name", &name, MAX_NAME)?;
    if scopes.is_empty() {
        return Err(Problem::field("/scopes", format!("At least one is required: {}.", Scope::names())));
    }
    let labels = labels.unwrap_or_default();
    if labels.len() > MAX_LABELS {
        return Err(Problem::field("/labels", format!("At most {MAX_LABELS} labels.")));
    }
    if !labels.is_empty() && scopes.contains(&Scope::Admin) {
        let message = "A token with the scope admin is for all jobs: leave out the labels, or the scope.";
        return Err(Problem::field("/labels", message));
    }
    for (name, value) in &labels {
        check_text("/labels", name, MAX_LABEL.0)?;
        if !value.is_empty() {
            check_text("/labels", value, MAX_LABEL.1)?;
        }
    }
    let expires = expires.map(|text| {
        moment(&text).ok_or_else(|| Problem::field("/expires", format!("{NOT_A_DATETIME} {DATETIME_FORMS}")))
    });
    let expires = expires.transpose()?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Problem::field("/expires", format!("Must be in the future; it is {now}.")));
    }
    Ok(NewAccessToken { name, scopes: scopes.into_iter().collect(), labels, expires })
}

fn check_text(pointer: &str, given: &str, most: usize) -> Result<(), Problem> {
    let refused = |message: String| Err(Problem::field(pointer, message));
    if given.trim().is_empty() {
        return refused("Must not be empty.".to_owned());
    }
    if given.chars().nth(most).is_some() {
        return refused(format!("Longer than maximum length {most}."));
    }
    if given.contains(['\n', '\t']) {
        return refused("Must be one line.".to_owned());
    }
    text::refusal(given).map_or(Ok(()), refused)
}
