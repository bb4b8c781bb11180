//! What Elasticsearch refused, in the words of [`StoreError`], with what a person can do about it.

use std::fmt;

use ecs_scheduler_core::fault::Cause;
use ecs_scheduler_core::{FaultKind, StoreError};
use http::StatusCode;
use serde::Deserialize;

use crate::transport::{Answer, Call};

#[cfg(test)]
mod tests;

/// The most characters of a reason that are repeated.
const LONGEST: usize = 500;

/// What the body of a refusal says.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/rest-apis.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Said {
    /// `index_not_found_exception`; empty when the body is none of Elasticsearch's.
    pub(crate) kind: String,
    pub(crate) reason: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.reason.as_str()) {
            ("", "") => f.write_str("no reason given"),
            ("", reason) => f.write_str(reason),
            (kind, reason) => write!(f, "{kind}: {reason}"),
        }
    }
}

#[derive(Deserialize)]
struct Body {
    error: Error,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Error {
    Full {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Text(String),
}

impl Said {
    pub(crate) fn read(body: &[u8]) -> Self {
        let (kind, reason) = match serde_json::from_slice(body) {
            Ok(Body { error: Error::Full { kind, reason } }) => (kind, reason.unwrap_or_default()),
            Ok(Body { error: Error::Text(reason) }) => (String::new(), reason),
            Err(_) => (String::new(), String::from_utf8_lossy(body).trim().to_owned()),
        };
        Self { kind, reason: reason.chars().take(LONGEST).collect() }
    }
}

/// Words a refusal: what was attempted, and the remedy.
pub(crate) fn refused(call: &Call, answer: &Answer) -> StoreError {
    let said = Said::read(&answer.body);
    let (kind, remedy) = remedy(answer.status, &said);
    // An earlier try may have been carried out: nobody may conclude that nothing was written.
    let kind = if answer.repeated { FaultKind::Unavailable } else { kind };
    StoreError::caused(kind, format!("could not {}: {remedy}", call.aim), said)
}

fn remedy(status: StatusCode, said: &Said) -> (FaultKind, &'static str) {
    match (status, said.kind.as_str()) {
        (_, "cluster_block_exception") => (
            FaultKind::Unavailable,
            "writing is blocked; make room on the cluster's disks and lift the block of the index",
        ),
        (StatusCode::UNAUTHORIZED, _) => (
            FaultKind::Denied,
            "user and password, or the API key, are not accepted; see ECSS_ELASTICSEARCH_HOSTS and \
             ECSS_ELASTICSEARCH_API_KEY",
        ),
        (StatusCode::FORBIDDEN, _) => (
            FaultKind::Denied,
            "permission is missing; grant what the reason names, see doc/stores/elasticsearch.md",
        ),
        (_, "index_not_found_exception") => {
            (FaultKind::NotFound, "the index is gone; restore it, or restart to make it anew")
        }
        (_, "mapper_parsing_exception" | "document_parsing_exception") => (
            FaultKind::Config,
            "the index has guessed another type for a field; reindex it without guessed fields as \
             doc/stores/elasticsearch.md says",
        ),
        (_, "illegal_argument_exception") if said.reason.starts_with("Limit of total fields") => (
            FaultKind::Config,
            "the index has guessed types for more fields than it may have; reindex it without guessed fields as \
             doc/stores/elasticsearch.md says",
        ),
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            (FaultKind::Throttled, "the cluster is overloaded; give it room")
        }
        (status, _) if status.is_server_error() => {
            (FaultKind::Unavailable, "the cluster cannot do it now; look at its health")
        }
        (StatusCode::PAYLOAD_TOO_LARGE, _) => {
            (FaultKind::Config, "the request is larger than the cluster takes; raise http.max_content_length")
        }
        (
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT,
            _,
        ) => (
            FaultKind::Config,
            "the address leads elsewhere; ECSS_ELASTICSEARCH_HOSTS must name the cluster itself",
        ),
        _ => (FaultKind::Bug, "the cluster refused it"),
    }
}

/// An answer that makes no sense; what was asked for may have been done.
pub(crate) fn strange(call: &Call, error: impl Into<Cause>) -> StoreError {
    let message = format!(
        "could not {}: the answer is not one of Elasticsearch; see what answers at ECSS_ELASTICSEARCH_HOSTS",
        call.aim
    );
    StoreError::caused(FaultKind::Unavailable, message, error)
}
