//! The Smithy RPC v2 CBOR protocol: documents as JSON values inside, as CBOR outside.
//!
//! # Source
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use crate::wire::{Failure, response};

/// The tag of a moment in seconds since 1970.
const EPOCH: u64 = 1;

/// The members with timestamps in the answers of the faked operations.
const TIMESTAMPS_MEMBER: &str = "Timestamps";

/// Reads a request; timestamps become numbers of seconds.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Failure> {
    let unreadable = |message: String| Failure::client("SerializationException", message);
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let document: Cbor = ciborium::from_reader(bytes).map_err(|error| unreadable(error.to_string()))?;
    plain(document)
        .ok_or_else(|| unreadable("the document holds something that no operation takes".to_owned()))
}

fn plain(document: Cbor) -> Option<Value> {
    if let Cbor::Tag(EPOCH, inner) = document {
        return plain(*inner);
    }
    if let Some(number) = document.as_integer() {
        return i64::try_from(number).ok().map(Value::from);
    }
    if let Some(number) = document.as_float() {
        return Number::from_f64(number).map(Value::Number);
    }
    if let Some(flag) = document.as_bool() {
        return Some(Value::Bool(flag));
    }
    if document.is_null() {
        return Some(Value::Null);
    }
    if document.is_text() {
        return document.into_text().ok().map(Value::String);
    }
    if document.is_array() {
        return document
            .into_array()
            .ok()?
            .into_iter()
            .map(plain)
            .collect::<Option<Vec<_>>>()
            .map(Value::Array);
    }
    let members = document.into_map().ok()?.into_iter();
    members
        .map(|(name, value)| Some((name.into_text().ok()?, plain(value)?)))
        .collect::<Option<_>>()
        .map(Value::Object)
}

/// Turns an answer into CBOR.
fn wire(document: Value, is_timestamp: bool) -> Cbor {
    match document {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(flag),
        Value::String(text) => Cbor::Text(text),
        Value::Number(number) => {
            let plain =
                number.as_i64().map_or_else(|| Cbor::Float(number.as_f64().unwrap_or(0.0)), Cbor::from);
            if is_timestamp { Cbor::Tag(EPOCH, Box::new(plain)) } else { plain }
        }
        Value::Array(items) => Cbor::Array(items.into_iter().map(|item| wire(item, is_timestamp)).collect()),
        Value::Object(members) => {
            let pairs = members.into_iter().map(|(name, value)| {
                let is_timestamp = name == TIMESTAMPS_MEMBER;
                (Cbor::Text(name), wire(value, is_timestamp))
            });
            Cbor::Map(pairs.collect())
        }
    }
}

/// Writes an answer.
pub(crate) fn answer(answer: Result<Value, Failure>) -> Response<Body> {
    let (status, document, query) = match answer {
        Ok(document) => (200, document, None),
        Err(failure) => {
            let code = failure.query_code.as_ref().unwrap_or(&failure.code);
            let query = format!("{code};{}", failure.side());
            let mut members = failure.members;
            members.insert("__type".to_owned(), format!("com.amazonaws.cloudwatch#{}", failure.code).into());
            members.insert("message".to_owned(), failure.message.into());
            (failure.status, Value::Object(members), Some(query))
        }
    };
    let mut bytes = Vec::new();
    ciborium::into_writer(&wire(document, false), &mut bytes).expect("a vector takes every byte");
    let mut response = response(status, "application/cbor", bytes);
    response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    if let Some(query) = query.and_then(|query| HeaderValue::from_str(&query).ok()) {
        response.headers_mut().insert("x-amzn-query-error", query);
    }
    response
}
