//! A request, taken apart.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::index::Demand;

/// What came over the line.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl Incoming<'_> {
    /// Refuses a body whose kind is not named, or is not one that is taken there.
    ///
    /// Source: <https://www.elastic.co/blog/strict-content-type-checking-for-elasticsearch-rest-requests>
    pub(crate) fn check_content_type(&self) -> Result<(), Answer> {
        if self.body.is_empty() {
            return Ok(());
        }
        let named = self.content_type.unwrap_or_default();
        let kind = named.split(';').next().unwrap_or_default().trim();
        let lines = self.path.ends_with("/_bulk") && kind == "application/x-ndjson";
        if kind == "application/json" || lines {
            return Ok(());
        }
        Err(Answer::bare(406, &format!("Content-Type header [{named}] is not supported")))
    }

    /// Returns the parts of the path, decoded.
    pub(crate) fn parts(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(decode).collect()
    }

    /// Returns the query's parameters and the body.
    pub(crate) fn request(&self) -> Request<'_> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect();
        Request { query, body: self.body }
    }
}

/// The parameters of a request, and its body.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: &'a str,
}

impl Request<'_> {
    pub(crate) fn json(&self) -> Result<Value, Answer> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_str(self.body)
            .map_err(|error| Answer::refusal(400, "parsing_exception", &error.to_string()))
    }

    /// Reads what a write demands: both numbers, or neither.
    pub(crate) fn demand(&self) -> Result<Demand, Answer> {
        let number = |name: &str| self.query.get(name).map(|text| text.parse::<u64>());
        match (number("if_seq_no"), number("if_primary_term")) {
            (None, None) => Ok(Demand::Nothing),
            (Some(Ok(seq_no)), Some(Ok(primary_term))) if primary_term > 0 => {
                Ok(Demand::At { seq_no, primary_term })
            }
            _ => Err(Answer::wrong("ifSeqNo and ifPrimaryTerm must both be set, and to sound numbers")),
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().expect("the client encodes UTF-8").into_owned()
}
