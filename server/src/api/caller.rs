//! The client of a request, and the jobs that it may see.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ecs_scheduler_core::{JobId, JobUid, Labels, Store, StoreError};

use super::problem::{Challenge, Problem, ProblemType};
use crate::access::{AccessToken, Scope, TokenRegister, has_labels};

/// The interval in which an open stream checks that its token is still valid.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The client of a request.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Any client: the server authenticates none.
    Everybody,
    /// A client without a valid token.
    Anonymous,
    /// The owner of a token, and the register in which the token is.
    Token(Arc<AccessToken>, Arc<TokenRegister>),
}

impl Caller {
    /// Returns the labels that jobs must have for this caller; none for all jobs.
    pub(super) fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Token(token, _) if !token.labels.is_empty() => Some(&token.labels),
            Self::Everybody | Self::Anonymous | Self::Token(..) => None,
        }
    }

    /// Tells whether the caller sees only some jobs.
    pub(super) fn is_limited(&self) -> bool {
        self.labels().is_some()
    }

    /// Tells whether the caller may see and write a job with this document.
    pub(super) fn sees(&self, document: &str) -> bool {
        self.labels().is_none_or(|labels| has_labels(document, labels))
    }

    /// Checks that a written job stays within the labels of the caller's token.
    ///
    /// # Errors
    ///
    /// 403 with the labels that it must have.
    pub(super) fn ensure_own(&self, document: &str) -> Result<(), Problem> {
        match self.labels() {
            Some(labels) if !has_labels(document, labels) => {
                let detail = format!("The token is only for jobs with the labels {}.", printed(labels));
                Err(Problem::new(ProblemType::Forbidden, detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that the caller has a further scope than that of the route.
    ///
    /// # Errors
    ///
    /// 403 with the scope that it lacks.
    pub(super) fn ensure_scope(&self, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::Everybody => Ok(()),
            Self::Token(token, _) if token.permits(scope) => Ok(()),
            Self::Anonymous | Self::Token(..) => Err(lacking(scope)),
        }
    }

    /// Tells whether the caller may know about faults of the whole scheduler.
    pub(super) fn sees_faults(&self) -> bool {
        match self {
            Self::Everybody => true,
            Self::Anonymous => false,
            Self::Token(token, _) => token.labels.is_empty(),
        }
    }

    /// Returns the id of the token, by which callers do not see each other's idempotency keys.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Everybody | Self::Anonymous => None,
            Self::Token(token, _) => Some(&token.id),
        }
    }

    /// Returns which of these jobs the caller sees, by the labels that they have now; `None` for every job, also removed ones.
    pub(super) async fn visible(
        &self,
        store: &dyn Store,
        jobs: &[JobId],
    ) -> Result<Option<Vec<JobId>>, StoreError> {
        if !self.is_limited() {
            return Ok(None);
        }
        let found = store.get(jobs).await?.into_iter();
        Ok(Some(found.filter(|job| self.sees(job.document.get())).map(|job| job.id).collect()))
    }

    /// Tells whether the caller sees a job, by the labels that it has now.
    pub(super) async fn sees_job(&self, store: &dyn Store, job: &JobId) -> Result<bool, StoreError> {
        let visible = self.visible(store, std::slice::from_ref(job)).await?;
        Ok(visible.is_none_or(|visible| !visible.is_empty()))
    }

    /// Tells whether the caller sees what is recorded about a job: not if another job has its name by now.
    pub(super) async fn sees_history(
        &self,
        store: &dyn Store,
        job: &JobId,
        uid: JobUid,
    ) -> Result<bool, StoreError> {
        if !self.is_limited() {
            return Ok(true);
        }
        let found = store.get(std::slice::from_ref(job)).await?;
        Ok(found.iter().any(|found| found.uid == uid && self.sees(found.document.get())))
    }

    /// Waits until the caller's token is no longer valid.
    pub(super) async fn ended(self) {
        let Self::Token(token, tokens) = self else { return std::future::pending().await };
        while tokens.is_valid(&token).await {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }
}

/// Makes the problem of a token without a scope.
pub(super) fn lacking(scope: Scope) -> Problem {
    let detail = format!("The token lacks the scope {}.", scope.as_str());
    Problem::new(ProblemType::Forbidden, detail).with_challenge(Challenge::Scope(scope))
}

/// Prints labels for a message.
pub(super) fn printed(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(", ")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Without a check of the request, nobody passes.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::new(ProblemType::Internal, "The caller of the request was not checked."))
    }
}
