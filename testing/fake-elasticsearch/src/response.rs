//! Responses, and those of errors.
//!
//! Source of the shape of errors:
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#common-options-error-options>

use serde_json::{Value, json};

/// The status and the body of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON.
    pub body: String,
}

impl FakeResponse {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::new(200, body.to_string())
    }

    pub(crate) fn error(status: u16, kind: &str, reason: &str) -> Self {
        let cause = json!({ "type": kind, "reason": reason });
        let details = json!({ "root_cause": [cause], "type": kind, "reason": reason });
        Self::new(status, json!({ "error": details, "status": status }).to_string())
    }

    /// An error from before the request was parsed, which has no type.
    pub(crate) fn untyped_error(status: u16, reason: &str) -> Self {
        Self::new(status, json!({ "error": reason, "status": status }).to_string())
    }

    pub(crate) fn missing_index(name: &str) -> Self {
        Self::error(404, "index_not_found_exception", &format!("no such index [{name}]"))
    }

    pub(crate) fn illegal_argument(reason: &str) -> Self {
        Self::error(400, "illegal_argument_exception", reason)
    }

    /// The error of an index whose disks are beyond the flood stage: it accepts neither documents nor removals.
    ///
    /// Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/index-modules-blocks.html>
    pub(crate) fn full_disk(name: &str) -> Self {
        let reason = format!(
            "index [{name}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
             read-only-allow-delete block];"
        );
        Self::error(429, "cluster_block_exception", &reason)
    }

    /// Parses the body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the fake responds with JSON")
    }

    /// Replaces the value of a field of the body.
    pub(crate) fn with(self, field: &str, value: Value) -> Self {
        let mut body = self.json();
        body[field] = value;
        Self { body: body.to_string(), ..self }
    }
}
