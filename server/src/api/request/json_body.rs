//! JSON bodies: media type, size, syntax, in the order in which the Python version checked.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use ecs_scheduler_core::job::FieldError;
use ecs_scheduler_core::read_config;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::body::{STEP, read};
use crate::api::problem::{Problem, ProblemType, WrongField};
use crate::json;

/// The most values of a body: objects, lists and all that is in them.
const MAX_VALUES: usize = 20_000;
/// The largest body that is parsed at once, in bytes: as long as no other task runs, so that there are as many as threads.
const MAX_SMALL: usize = STEP;
/// How many larger bodies are parsed at the same time, each into some MiB. Further ones wait as text.
const MAX_PARSING: usize = 4;

/// How many larger bodies are kept in parsed form at the same time while something is waited for. Further ones wait as text.
const MAX_KEPT: usize = 32;

/// Limits how many large bodies are parsed at the same time, and how many parsed ones are kept.
#[derive(Debug, Clone)]
pub(in crate::api) struct Parsers {
    parsing: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

impl Default for Parsers {
    fn default() -> Self {
        let [parsing, kept] = [MAX_PARSING, MAX_KEPT].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { parsing, kept }
    }
}

/// The permission to keep one parsed body while something is waited for; a small body needs none.
#[derive(Debug)]
pub(in crate::api) struct KeptBody {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A JSON object in a body. It is kept as text, and parsed where it is needed and nothing is waited for: parsed, it takes up to
/// fifty times as much memory.
#[derive(Debug, Clone)]
pub(in crate::api) struct JsonBody {
    text: Bytes,
    parsers: Parsers,
}

impl JsonBody {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// 415 for another media type, 413 if the body is too large.
    pub(in crate::api) async fn read(
        parsers: &Parsers,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Problem> {
        ensure_json(headers)?;
        Ok(Self { text: read(headers, body).await?, parsers: parsers.clone() })
    }

    /// Reads a body that may be left out, which is an empty object.
    ///
    /// # Errors
    ///
    /// As [`JsonBody::read`], for a body that is not empty.
    pub(in crate::api) async fn read_optional(
        parsers: &Parsers,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Problem> {
        let mut text = read(headers, body).await?;
        if text.is_empty() {
            text = Bytes::from_static(b"{}");
        } else {
            ensure_json(headers)?;
        }
        Ok(Self { text, parsers: parsers.clone() })
    }

    /// Parses the object and makes something of it that is smaller. A large one is parsed on a thread for blocking work, so that
    /// other requests do not wait for it.
    ///
    /// # Errors
    ///
    /// 400 when it is not a JSON object or has too many values; fails as `work` does.
    pub(in crate::api) async fn parse<T: Send + 'static>(
        &self,
        work: impl FnOnce(Map<String, Value>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        if self.text.len() <= MAX_SMALL {
            return parse(&self.text).and_then(work);
        }
        let permit = permit(&self.parsers.parsing).await;
        let (text, span) = (self.text.clone(), tracing::Span::current());
        let parsing = spawn_blocking(move || {
            let result = span.in_scope(|| parse(&text).and_then(work));
            drop(permit);
            result
        });
        parsing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Waits until this body may be kept in parsed form. Ask before [`JsonBody::parse`] if its result is as large as the body and
    /// something is waited for afterwards, and hold the permission as long as the result.
    pub(in crate::api) async fn keep(&self) -> KeptBody {
        let is_small = self.text.len() <= MAX_SMALL;
        KeptBody { _permit: if is_small { None } else { Some(permit(&self.parsers.kept).await) } }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("it is never closed")
}

/// Checks the media type of a body: `application/json` or `application/*+json` in any case, without encoding, in UTF-8.
///
/// # Errors
///
/// 415 otherwise.
pub(in crate::api) fn ensure_json(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::new(
            ProblemType::MediaType,
            "Content-Encoding is not supported; send the body uncompressed.",
        ));
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")) {
        return ensure_utf8(given);
    }
    let detail = if media.starts_with("application/json") {
        "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
    } else {
        "Header Content-Type: application/json required to send a request body."
    };
    Err(Problem::new(ProblemType::MediaType, detail))
}

fn ensure_utf8(content_type: &str) -> Result<(), Problem> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let fine = |charset: &str| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    };
    if charsets.all(|(_, charset)| fine(charset)) {
        return Ok(());
    }
    Err(Problem::new(ProblemType::MediaType, "The charset of JSON is UTF-8; remove `charset`."))
}

/// Refuses members that the operation does not know.
///
/// # Errors
///
/// 400 with each of them.
pub(in crate::api) fn ensure_known(object: &Map<String, Value>, known: &[&str]) -> Result<(), Problem> {
    let unknown = unknown_members(object, known);
    if unknown.is_empty() { Ok(()) } else { Err(Problem::fields(&unknown)) }
}

/// Returns an error for each member that the operation does not know.
pub(super) fn unknown_members(object: &Map<String, Value>, known: &[&str]) -> Vec<FieldError> {
    let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
    let known = if known.is_empty() {
        "No fields are allowed here".to_owned()
    } else {
        format!("Known are {}", known.join(", "))
    };
    unknown.map(|name| top_level(name, format!("Unknown field. {known}."))).collect()
}

/// Makes the error of a member at the top of the body.
pub(super) fn top_level(name: &str, message: String) -> FieldError {
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    FieldError { pointer, key: vec![name.to_owned()], message, hint: None }
}

/// Reads an object in a body into its type; `pointer` is where it is.
///
/// # Errors
///
/// 400 with the place of the first wrong member.
pub(in crate::api) fn member<T: DeserializeOwned>(pointer: &str, value: Value) -> Result<T, Problem> {
    let Value::Object(members) = value else { return Err(Problem::field(pointer, "Invalid input type.")) };
    read_config(members).map_err(|error| {
        Problem::field(&format!("{pointer}{}", error.pointer), format!("Not valid: {}.", error.message))
    })
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value = json::parse_bounded(text, MAX_VALUES)
        .map_err(|error| Problem::new(ProblemType::Syntax, format!("The body {error}.")))?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let messages = serde_json::json!({"_schema": ["Invalid input type."]});
            let error = WrongField {
                pointer: String::new(),
                message: "Invalid input type: a JSON object is required.".to_owned(),
            };
            Err(Problem::invalid(messages, vec![error]))
        }
    }
}
