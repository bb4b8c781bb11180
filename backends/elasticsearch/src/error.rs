//! Maps error responses of the cluster to [`StoreError`], with the remedy.

use ecs_scheduler_core::fault::Cause;
use ecs_scheduler_core::{FaultKind, StoreError};
use http::StatusCode;

use crate::message::{ApiRequest, ApiResponse, ErrorBody};

#[cfg(test)]
mod tests;

/// Maps an error response: the action, and the remedy.
pub(crate) fn refused(request: &ApiRequest, response: &ApiResponse) -> StoreError {
    let body = ErrorBody::parse(&response.body);
    let (kind, remedy) = remedy(response.status, &body);
    // An earlier attempt may have taken effect, so no caller may conclude that nothing was written.
    let kind = if response.is_repeated { FaultKind::Unavailable } else { kind };
    StoreError::with_source(kind, format!("could not {}: {remedy}", request.action), body)
}

fn remedy(status: StatusCode, body: &ErrorBody) -> (FaultKind, &'static str) {
    match (status, body.kind.as_str()) {
        (_, "cluster_block_exception") => (
            FaultKind::Unavailable,
            "writes are blocked; free space on the cluster's disks and remove the block of the index",
        ),
        (StatusCode::UNAUTHORIZED, _) => (
            FaultKind::Denied,
            "user and password, or the API key, are not accepted; correct ECSS_ELASTICSEARCH_HOSTS or \
             ECSS_ELASTICSEARCH_API_KEY",
        ),
        (StatusCode::FORBIDDEN, _) => (
            FaultKind::Denied,
            "a permission is missing; grant the one that the reason names, see doc/stores/elasticsearch.md",
        ),
        (_, "index_not_found_exception") => {
            (FaultKind::NotFound, "the index is gone; restore it, or restart to create an empty one")
        }
        (_, "mapper_parsing_exception" | "document_parsing_exception") => (
            FaultKind::Config,
            "dynamic mapping gave a field another type; reindex without dynamic mapping, see \
             doc/stores/elasticsearch.md",
        ),
        (_, "illegal_argument_exception") if body.reason.starts_with("Limit of total fields") => (
            FaultKind::Config,
            "dynamic mapping reached the limit of fields; reindex without dynamic mapping, see \
             doc/stores/elasticsearch.md",
        ),
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            (FaultKind::Throttled, "the cluster is overloaded; reduce its load or add nodes")
        }
        (status, _) if status.is_server_error() => {
            (FaultKind::Unavailable, "the cluster failed; check its health")
        }
        (StatusCode::PAYLOAD_TOO_LARGE, _) => (
            FaultKind::Config,
            "the request is larger than the cluster accepts; raise http.max_content_length",
        ),
        (
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT,
            _,
        ) => (
            FaultKind::Config,
            "the address redirects; ECSS_ELASTICSEARCH_HOSTS must name the cluster itself",
        ),
        _ => (FaultKind::Bug, "the cluster refused the request"),
    }
}

/// The error of a response that cannot be parsed; the request may have taken effect.
pub(crate) fn unexpected_response(request: &ApiRequest, error: impl Into<Cause>) -> StoreError {
    let message = format!(
        "could not {}: the response is not one of Elasticsearch; ECSS_ELASTICSEARCH_HOSTS must name a cluster",
        request.action
    );
    StoreError::with_source(FaultKind::Unavailable, message, error)
}
