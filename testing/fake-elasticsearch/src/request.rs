//! A request and its parts.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::index::WriteCondition;
use crate::response::FakeResponse;

/// An HTTP request.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl HttpRequest<'_> {
    /// Refuses a body without a content type, or with one that the path does not accept.
    ///
    /// Source: <https://www.elastic.co/blog/strict-content-type-checking-for-elasticsearch-rest-requests>
    pub(crate) fn check_content_type(&self) -> Result<(), FakeResponse> {
        if self.body.is_empty() {
            return Ok(());
        }
        let content_type = self.content_type.unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let is_bulk = self.path.ends_with("/_bulk") && kind == "application/x-ndjson";
        if kind == "application/json" || is_bulk {
            return Ok(());
        }
        Err(FakeResponse::untyped_error(
            406,
            &format!("Content-Type header [{content_type}] is not supported"),
        ))
    }

    /// Returns the segments of the path, decoded.
    pub(crate) fn path_segments(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(decode).collect()
    }

    /// Returns the query's parameters and the body.
    pub(crate) fn params(&self) -> ApiParams<'_> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect();
        ApiParams { query, body: self.body }
    }
}

/// The parameters of a request, and its body.
#[derive(Debug)]
pub(crate) struct ApiParams<'a> {
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: &'a str,
}

impl ApiParams<'_> {
    pub(crate) fn json(&self) -> Result<Value, FakeResponse> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_str(self.body)
            .map_err(|error| FakeResponse::error(400, "parsing_exception", &error.to_string()))
    }

    /// Parses the condition of a write: both numbers, or neither.
    pub(crate) fn write_condition(&self) -> Result<WriteCondition, FakeResponse> {
        let number = |name: &str| self.query.get(name).map(|text| text.parse::<u64>());
        match (number("if_seq_no"), number("if_primary_term")) {
            (None, None) => Ok(WriteCondition::Unconditional),
            (Some(Ok(seq_no)), Some(Ok(primary_term))) if primary_term > 0 => {
                Ok(WriteCondition::At { seq_no, primary_term })
            }
            _ => Err(FakeResponse::illegal_argument(
                "ifSeqNo and ifPrimaryTerm must both be set, and to valid numbers",
            )),
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().expect("the client encodes UTF-8").into_owned()
}
