//! Answers and their errors.
//!
//! Source of the shape of errors:
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#common-options-error-options>

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A status and a body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), body: body.into() }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::new(200, body.to_string())
    }

    pub(crate) fn refusal(status: u16, kind: &str, reason: &str) -> Self {
        let cause = json!({ "type": kind, "reason": reason });
        let error = json!({ "root_cause": [cause], "type": kind, "reason": reason });
        Self::new(status, json!({ "error": error, "status": status }).to_string())
    }

    pub(crate) fn no_index(name: &str) -> Self {
        Self::refusal(404, "index_not_found_exception", &format!("no such index [{name}]"))
    }

    pub(crate) fn wrong(reason: &str) -> Self {
        Self::refusal(400, "illegal_argument_exception", reason)
    }

    /// Puts another value into a field of the body.
    pub(crate) fn with(self, field: &str, value: Value) -> Self {
        let mut body: Value = serde_json::from_str(&self.body).unwrap();
        body[field] = value;
        Self { body: body.to_string(), ..self }
    }
}
