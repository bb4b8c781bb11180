//! Problem documents: one shape for all errors (RFC 9457).
//!
//! They contain `message` or `messages` like the Python version's bodies, and a JSON pointer per invalid field.

use std::borrow::Cow;
use std::fmt;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use ecs_scheduler_core::job::{FieldError, messages};
use ecs_scheduler_core::{FaultKind, StoreError, fault};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::respond::{self, MayChange};
use crate::access::Scope;

mod problem_type;

pub(super) use problem_type::{ProblemType, TEST_INTERVAL_SECONDS};

#[cfg(test)]
mod tests;

/// The most bytes of the texts of one problem. A body can be wrong in thousands of places, and each would be told four times.
const MAX_TEXTS: usize = 64 * 1024;

/// The body of an error response.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct ProblemDocument {
    /// The kind of problem, as a relative reference; `GET` it for the remedy.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid")]
    pub(super) kind: String,
    /// The title of the kind of problem.
    pub(super) title: Cow<'static, str>,
    /// The status code again.
    #[schema(minimum = 400, maximum = 599)]
    pub(super) status: u16,
    /// A description of this occurrence.
    pub(super) detail: String,
    /// The detail again, for clients of the Python version.
    pub(super) message: String,
    /// Messages by field, nested like the body; only with status 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, additional_properties = true)]
    pub(super) messages: Option<Value>,
    /// The invalid fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<WrongField>,
}

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct WrongField {
    /// A JSON pointer into the body, or `?name` for a parameter of the query.
    #[schema(example = "/trigger/type")]
    pub(super) pointer: String,
    /// The error and the allowed values.
    pub(super) message: String,
}

/// A failed request and its response.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    kind: ProblemType,
    challenge: Option<Challenge>,
    detail: String,
    messages: Option<Value>,
    errors: Vec<WrongField>,
}

/// How a client can authenticate itself, for the header `WWW-Authenticate` (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By a token.
    Token,
    /// By another token than the one that it sent.
    InvalidToken,
    /// By a token with this scope.
    Scope(Scope),
}

impl Challenge {
    fn header(self) -> HeaderValue {
        const REALM: &str = "Bearer realm=\"ecs-scheduler\"";
        let text = match self {
            Self::Token => REALM.to_owned(),
            Self::InvalidToken => format!("{REALM}, error=\"invalid_token\""),
            Self::Scope(scope) => {
                format!("{REALM}, error=\"insufficient_scope\", scope=\"{}\"", scope.as_str())
            }
        };
        HeaderValue::try_from(text).expect("names of scopes are a header value")
    }
}

/// Marks a response whose body is a problem document.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsProblem;

impl fmt::Display for WrongField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.pointer, self.message)
        }
    }
}

impl From<&FieldError> for WrongField {
    fn from(error: &FieldError) -> Self {
        Self { pointer: error.pointer.clone(), message: error.explained() }
    }
}

impl Problem {
    /// Makes a problem; `detail` is a sentence for people.
    pub(super) fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self { kind, challenge: None, detail: shortened(detail.into()), messages: None, errors: Vec::new() }
    }

    /// Adds how the client can authenticate itself.
    pub(super) fn with_challenge(self, challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// Makes the problem of an unknown job.
    pub(super) fn no_job(name: &str) -> Self {
        Self::new(ProblemType::NotFound, format!("Job {name} does not exist."))
    }

    /// Makes the problem of invalid fields; `messages` has the Python version's nesting of their texts. If there are very many, it lists
    /// the first ones and the number of the others.
    pub(super) fn invalid(messages: Value, mut errors: Vec<WrongField>) -> Self {
        let (all, mut size) = (errors.len(), 0);
        let fitting = errors.iter().take_while(|error| {
            size += error.pointer.len() + error.message.len() + "; : ".len();
            size <= MAX_TEXTS - "and 4294967295 more".len()
        });
        let fitting = fitting.count();
        let messages = (fitting == all).then_some(messages);
        errors.truncate(fitting.max(1));
        let mut wrong: Vec<String> = errors.iter().map(WrongField::to_string).collect();
        if all > errors.len() {
            wrong.push(format!("and {} more", all - errors.len()));
        }
        for error in errors.iter_mut().filter(|_| fitting == 0) {
            let (pointer, message) = (std::mem::take(&mut error.pointer), std::mem::take(&mut error.message));
            *error = WrongField { pointer: shortened(pointer), message: shortened(message) };
        }
        Self { messages, errors, ..Self::new(ProblemType::Invalid, wrong.join("; ")) }
    }

    /// Makes the problem of one invalid member at the top of the body, or of one invalid parameter.
    pub(super) fn field(pointer: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let key = pointer.trim_start_matches(['/', '?']).to_owned();
        let messages = Map::from_iter([(key, Value::from(vec![message.clone()]))]);
        Self::invalid(messages.into(), vec![WrongField { pointer: pointer.to_owned(), message }])
    }

    /// Makes the problem of invalid members anywhere in the body.
    pub(super) fn fields(errors: &[FieldError]) -> Self {
        Self::invalid(messages(errors), errors.iter().map(WrongField::from).collect())
    }

    /// Moves the errors about parameters of a query to their place in a body.
    pub(super) fn under(mut self, pointer: &str) -> Self {
        for error in &mut self.errors {
            if let Some(name) = error.pointer.strip_prefix('?') {
                error.pointer = format!("{pointer}{name}");
            }
        }
        Self::invalid(self.messages.unwrap_or_default(), self.errors)
    }

    /// Returns the document that is sent.
    pub(super) fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title().into(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            message: self.detail.clone(),
            messages: self.messages.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = respond::json(self.kind.status(), &self.document());
        response.extensions_mut().insert(IsProblem);
        if self.kind.may_pass() {
            response.extensions_mut().insert(MayChange);
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.header());
        }
        if let Some(seconds) = self.kind.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = fault::chain(&error);
        match &error {
            StoreError::Exists(id) => Self::new(ProblemType::Exists, format!("Job {id} already exists.")),
            StoreError::NotFound(_) => Self::new(ProblemType::NotFound, text),
            StoreError::Conflict(_) => Self::new(ProblemType::Contended, text),
            StoreError::Fenced(_) => Self::new(ProblemType::Unavailable, text),
            StoreError::Fault { kind, .. } => {
                tracing::error!(error = text, "store failed");
                Self::new(fault_kind(*kind), text)
            }
        }
    }
}

/// Cuts a text that is longer than [`MAX_TEXTS`].
fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXTS {
        text.truncate(text.floor_char_boundary(MAX_TEXTS));
        text.push('…');
    }
    text
}

/// Maps a fault below the API to a problem type.
pub(super) fn fault_kind(kind: FaultKind) -> ProblemType {
    match kind {
        FaultKind::Throttled | FaultKind::Unavailable => ProblemType::Unavailable,
        FaultKind::Config | FaultKind::NotFound | FaultKind::Denied | FaultKind::Bug => ProblemType::Internal,
    }
}

/// Sets the media type of RFC 9457 for a client that accepts it by name.
pub(super) fn finish(response: &mut Response, wants_problem: bool) {
    if wants_problem && response.extensions().get::<IsProblem>().is_some() {
        let media = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media);
    }
}
