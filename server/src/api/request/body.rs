//! JSON bodies: media type, size, syntax, in the order in which the Python version checked.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::problem::{Kind, Problem, WrongField};

/// The largest body that is read, in bytes.
pub(in crate::api) const MAX_BODY: usize = 256 * 1024;

/// Reads a JSON object.
///
/// # Errors
///
/// 415 when the body is announced as something else, 413 when it is too large, 400 when it is not a JSON object.
pub(in crate::api) async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Problem> {
    ensure_json(headers)?;
    let bytes = read(headers, body).await?;
    parse(&bytes)
}

/// Reads a JSON object where the body may be left out.
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

/// Checks that the body is announced as JSON: `application/json` or `application/*+json`, in any case.
///
/// # Errors
///
/// 415 otherwise.
pub(in crate::api) fn ensure_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")) {
        return Ok(());
    }
    let detail = if media.starts_with("application/json") {
        "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
    } else {
        "Header Content-Type: application/json required to send a request body."
    };
    Err(Problem::new(Kind::MediaType, detail))
}

/// Refuses members that the operation does not know.
///
/// # Errors
///
/// 400 with each of them.
pub(in crate::api) fn ensure_known(object: &Map<String, Value>, known: &[&str]) -> Result<(), Problem> {
    let unknown: Vec<&String> = object.keys().filter(|name| !known.contains(&name.as_str())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("Unknown field. Known are {}.", known.join(", "));
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
/// 400 with the place of the first wrong member.
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

/// Reads a body as it is.
///
/// # Errors
///
/// 413 when it is too large, 400 when it cannot be read.
pub(in crate::api) async fn read(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str);
    let announced = announced.and_then(|text| text.ok()?.parse::<usize>().ok());
    let too_large = || Problem::new(Kind::TooLarge, format!("The body has more than {MAX_BODY} bytes."));
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, MAX_BODY).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() {
            too_large()
        } else {
            Problem::new(Kind::Syntax, format!("The body could not be read: {error}."))
        }
    })
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Problem::new(Kind::Syntax, format!("The body is not valid JSON: {error}.")))?;
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
