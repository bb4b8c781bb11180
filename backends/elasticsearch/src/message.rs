//! Requests to the cluster, its responses, and the body of an error response.

use std::fmt;

use http::{Method, StatusCode};
use serde::Deserialize;

/// The maximum number of characters of an error's reason that are kept.
const MAX_REASON_LENGTH: usize = 500;

/// A request to the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    /// Path and query, percent-encoded, with a slash in front.
    pub(crate) path: String,
    /// The body: lines of JSON for `_bulk`, else a JSON document, or nothing.
    pub(crate) body: String,
    /// The action and its object, for error messages: `read job "a"`.
    pub(crate) action: String,
}

/// The response of a node.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// Whether an earlier attempt may have taken effect although its response was lost.
    pub(crate) is_repeated: bool,
}

/// The body of an error response.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/rest-apis.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ErrorBody {
    /// The type of the error, such as `index_not_found_exception`; empty when the body is not Elasticsearch's.
    pub(crate) kind: String,
    pub(crate) reason: String,
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.reason.as_str()) {
            ("", "") => f.write_str("no reason given"),
            ("", reason) => f.write_str(reason),
            (kind, reason) => write!(f, "{kind}: {reason}"),
        }
    }
}

/// The JSON of an error response.
#[derive(Deserialize)]
struct ErrorJson {
    error: ErrorField,
}

/// The `error` field: an object, or only a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Full {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Text(String),
}

impl ErrorBody {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let (kind, reason) = match serde_json::from_slice(body) {
            Ok(ErrorJson { error: ErrorField::Full { kind, reason } }) => (kind, reason.unwrap_or_default()),
            Ok(ErrorJson { error: ErrorField::Text(reason) }) => (String::new(), reason),
            Err(_) => (String::new(), String::from_utf8_lossy(body).trim().to_owned()),
        };
        Self { kind, reason: reason.chars().take(MAX_REASON_LENGTH).collect() }
    }
}
