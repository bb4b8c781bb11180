//! Extractors: names in the path, parameters in the query, JSON in the body.

mod body;
mod json_body;
mod members;
mod query;

pub(super) use body::{BufferedBody, MAX_BODY, read};
pub(super) use json_body::{JsonBody, KeptBody, Parsers, ensure_json, ensure_known, member};
pub(super) use members::Members;
pub(super) use query::{Query, ValidQuery, moment};

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use ecs_scheduler_core::JobId;
use percent_encoding::percent_decode_str;

use super::problem::Problem;

#[cfg(test)]
mod tests;

/// The second segment of the path: a job's or a firing's name, decoded. Bytes that are not UTF-8 become `U+FFFD`, so it
/// never matches a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl Name {
    /// Reads it from the path of a request.
    pub(super) fn from_uri(uri: &Uri) -> Self {
        Self(segment(uri, 2))
    }

    /// Reads it as the name of a job.
    ///
    /// # Errors
    ///
    /// 404 if the name is not valid for a job.
    pub(super) fn job(&self) -> Result<JobId, Problem> {
        JobId::new(&self.0).map_err(|_| Problem::no_job(&self.0))
    }
}

/// The fourth segment of the path: a task's name, decoded as [`Name`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskSegment(pub(super) String);

fn segment(uri: &Uri, index: usize) -> String {
    let segment = uri.path().split('/').nth(index).unwrap_or_default();
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

impl<S: Sync> FromRequestParts<S> for TaskSegment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(segment(&parts.uri, 4)))
    }
}

impl<S: Sync> FromRequestParts<S> for Name {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_uri(&parts.uri))
    }
}
