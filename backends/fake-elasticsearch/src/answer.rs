//! Answers and their errors.
//!
//! Source of the shape of errors:
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#common-options-error-options>

use serde_json::{Value, json};

/// A status and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body, JSON.
    pub body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::new(200, body.to_string())
    }

    pub(crate) fn refusal(status: u16, kind: &str, reason: &str) -> Self {
        let cause = json!({ "type": kind, "reason": reason });
        let error = json!({ "root_cause": [cause], "type": kind, "reason": reason });
        Self::new(status, json!({ "error": error, "status": status }).to_string())
    }

    /// A refusal from before anything was looked at, which has no type.
    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self::new(status, json!({ "error": reason, "status": status }).to_string())
    }

    pub(crate) fn no_index(name: &str) -> Self {
        Self::refusal(404, "index_not_found_exception", &format!("no such index [{name}]"))
    }

    pub(crate) fn wrong(reason: &str) -> Self {
        Self::refusal(400, "illegal_argument_exception", reason)
    }

    /// What an index answers whose disks are beyond the flood stage: it takes neither documents nor their removal.
    ///
    /// Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/index-modules-blocks.html>
    pub(crate) fn blocked(name: &str) -> Self {
        let reason = format!(
            "index [{name}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
             read-only-allow-delete block];"
        );
        Self::refusal(429, "cluster_block_exception", &reason)
    }

    /// Reads the body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the fake answers in JSON")
    }

    /// Puts another value into a field of the body.
    pub(crate) fn with(self, field: &str, value: Value) -> Self {
        let mut body = self.json();
        body[field] = value;
        Self { body: body.to_string(), ..self }
    }
}
