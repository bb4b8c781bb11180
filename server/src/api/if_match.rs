//! Conditions of a request that changes a job: `If-Match` and `If-None-Match`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ecs_scheduler_core::StoredJob;

use super::etag::{Tag, tags};
use super::problem::{Problem, ProblemType};

#[cfg(test)]
mod tests;

/// The conditions under which a request changes a job.
#[derive(Debug, Clone, Default)]
pub(super) struct IfMatch {
    /// The accepted entity tags; `None` accepts every version.
    accepted: Option<Vec<String>>,
    /// Whether the job must not exist: `If-None-Match: *`.
    must_be_new: bool,
}

impl IfMatch {
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let accepted = tags(headers, &header::IF_MATCH).map(str::to_owned).collect();
        Self {
            accepted: headers.contains_key(header::IF_MATCH).then_some(accepted),
            must_be_new: tags(headers, &header::IF_NONE_MATCH).any(|tag| tag == "*"),
        }
    }

    /// Tells whether the request may only create the job: `If-None-Match: *`.
    pub(super) fn must_be_new(&self) -> bool {
        self.must_be_new
    }

    /// Checks that the client expects no version of a job that does not exist.
    ///
    /// # Errors
    ///
    /// 412 if `If-Match` is given.
    pub(super) fn check_absent(&self, id: &str) -> Result<(), Problem> {
        if self.accepted.is_none() {
            return Ok(());
        }
        let reason = format!("Job {id} does not exist, so it has no version; leave If-Match out.");
        Err(Problem::new(ProblemType::Stale, reason))
    }

    /// Checks that the client knows the job's present version.
    ///
    /// # Errors
    ///
    /// 412 if `If-Match` does not name the present version, or if `If-None-Match: *` is given and the job exists.
    pub(super) fn check(&self, job: &StoredJob) -> Result<(), Problem> {
        let stale = |reason: String| Err(Problem::new(ProblemType::Stale, reason));
        if self.accepted.as_ref().is_some_and(|tags| !tags.iter().any(|tag| Tag::names_version(tag, job))) {
            return stale(format!("Job {} was modified concurrently; read it again.", job.id));
        }
        if self.must_be_new {
            return Err(exists(job.id.as_str()));
        }
        Ok(())
    }
}

/// Makes the problem of a job that must be new and exists.
pub(super) fn exists(id: &str) -> Problem {
    Problem::new(ProblemType::Stale, format!("Job {id} exists already."))
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_headers(&parts.headers))
    }
}
