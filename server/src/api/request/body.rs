//! JSON bodies: media type, size, syntax, in the order in which the Python version checked.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::problem::{Problem, ProblemType, WrongField};
use crate::json;

/// The largest body that is read, in bytes.
pub(in crate::api) const MAX_BODY: usize = 256 * 1024;

/// The part of a body that was read.
#[derive(Debug)]
pub(in crate::api) struct BufferedBody {
    /// The whole body, or more bytes than the limit.
    pub(in crate::api) bytes: Bytes,
    /// Whether the whole body was read.
    pub(in crate::api) is_read: bool,
}

impl BufferedBody {
    /// Reads a body up to the limit. The operation refuses a longer one, if it takes a body.
    ///
    /// # Errors
    ///
    /// 400 when it breaks off.
    pub(in crate::api) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Self, Problem> {
        let announced = announced(headers).unwrap_or(0);
        if announced > MAX_BODY {
            return Ok(Self { bytes: Bytes::new(), is_read: false });
        }
        if body.is_end_stream() {
            return Ok(Self { bytes: Bytes::new(), is_read: true });
        }
        let mut bytes = Vec::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| unreadable(&error))?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
            if bytes.len() > MAX_BODY {
                return Ok(Self { bytes: bytes.into(), is_read: false });
            }
        }
        Ok(Self { bytes: bytes.into(), is_read: true })
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemType::Syntax, format!("The body could not be read: {error}."))
}

/// Reads a JSON object.
///
/// # Errors
///
/// 415 for another media type, 413 if the body is too large, 400 if it is not a JSON object.
pub(in crate::api) async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Problem> {
    ensure_json(headers)?;
    let bytes = read(headers, body).await?;
    parse(&bytes)
}

/// Reads a JSON object if there is a body; the body is optional.
///
/// # Errors
///
/// As [`object`], for a body that is not empty.
pub(in crate::api) async fn optional_object(
    headers: &HeaderMap,
    body: Body,
) -> Result<Map<String, Value>, Problem> {
    let bytes = read(headers, body).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    ensure_json(headers)?;
    parse(&bytes)
}

/// Checks the body of an operation without parameters: it must be empty, or an empty JSON object.
///
/// # Errors
///
/// As [`optional_object`], and 400 for an object with members.
pub(in crate::api) async fn nothing(headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    ensure_known(&optional_object(headers, body).await?, &[])
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

/// Refuses unknown members.
///
/// # Errors
///
/// 400 with each of them.
pub(in crate::api) fn ensure_known(object: &Map<String, Value>, known: &[&str]) -> Result<(), Problem> {
    let unknown: Vec<&String> = object.keys().filter(|name| !known.contains(&name.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known = if known.is_empty() {
        "No fields are allowed here".to_owned()
    } else {
        format!("Known are {}", known.join(", "))
    };
    let message = format!("Unknown field. {known}.");
    let messages = unknown.iter().map(|name| ((*name).clone(), Value::from(vec![message.clone()])));
    let errors = unknown.iter().map(|name| WrongField {
        pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        message: message.clone(),
    });
    Err(Problem::invalid(messages.collect::<Map<_, _>>().into(), errors.collect()))
}

/// Reads an object in a body into its type; `pointer` is where it is.
///
/// # Errors
///
/// 400 with the place of the first invalid member.
pub(in crate::api) fn member<T: DeserializeOwned>(pointer: &str, value: Value) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(Problem::field(pointer, "Invalid input type."));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { format!("/{}", path.replace('.', "/")) };
        let text = error.into_inner().to_string();
        Problem::field(&format!("{pointer}{path}"), format!("Not valid: {text}."))
    })
}

/// Reads the bytes of a body.
///
/// # Errors
///
/// 413 when it is too large, 400 when it cannot be read.
pub(in crate::api) async fn read(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Problem> {
    let too_large =
        || Problem::new(ProblemType::TooLarge, format!("The body has more than {MAX_BODY} bytes."));
    if announced(headers).is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, MAX_BODY).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() { too_large() } else { unreadable(&error) }
    })
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value = json::parse(text).map_err(|error| {
        Problem::new(ProblemType::Syntax, format!("The body is not valid JSON: {error}."))
    })?;
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
