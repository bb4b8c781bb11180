//! The error of a call to a store, and the object that it concerns.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::fault::{Cause, FaultKind};
use crate::firing::FiringId;
use crate::job::JobId;

#[cfg(test)]
mod tests;

/// The error of a call to a store. A clone shares the cause, so every caller of a failed batch gets the same error.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// A job of this name exists already.
    Exists(JobId),
    /// The object does not exist.
    NotFound(Subject),
    /// The object was modified concurrently: read it and retry.
    Conflict(Subject),
    /// The [fence](super::Fence) of a journal write no longer holds, so nothing was written: the caller is not the
    /// owner.
    Fenced(Subject),
    /// The store itself failed.
    Fault {
        /// The kind of failure.
        kind: FaultKind,
        /// The failed operation and its object and, for an operator, the remedy.
        message: String,
        /// The cause, which stays out of `Display`.
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
}

impl StoreError {
    /// Makes a fault; `message` names the failed operation and its object.
    #[must_use]
    pub fn fault(kind: FaultKind, message: impl Into<String>) -> Self {
        Self::Fault { kind, message: message.into(), cause: None }
    }

    /// Makes a fault with its cause.
    #[must_use]
    pub fn with_source(kind: FaultKind, message: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Fault { kind, message: message.into(), cause: Some(cause.into().into()) }
    }

    /// Tells whether the store itself failed, and fails the same call again: a smaller write may succeed.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Fault { kind, .. } if !kind.is_transient())
    }

    /// Tells whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fault { kind, .. } => kind.is_transient(),
            Self::Exists(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Fenced(_) => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(id) => write!(f, "job \"{id}\" already exists"),
            Self::NotFound(subject) => write!(f, "{subject} does not exist"),
            Self::Conflict(subject) => write!(f, "{subject} was modified concurrently"),
            Self::Fenced(subject) => {
                write!(f, "{subject} is owned by another replica; nothing was written")
            }
            Self::Fault { message, .. } => f.write_str(message),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Fault { cause: Some(cause), .. } => Some(&**cause),
            Self::Fault { cause: None, .. }
            | Self::Exists(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Fenced(_) => None,
        }
    }
}

/// The object that a [`StoreError`] concerns. Its text is the kind and the quoted name: `job "nightly"`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Subject {
    /// A job.
    #[error("job \"{0}\"")]
    Job(JobId),
    /// A firing.
    #[error("firing \"{0}\"")]
    Firing(FiringId),
    /// A register, by its name.
    #[error("register \"{0}\"")]
    Register(String),
    /// An object of an object store, by its key.
    #[error("object \"{0}\"")]
    Object(String),
}

impl From<&JobId> for Subject {
    fn from(id: &JobId) -> Self {
        Self::Job(id.clone())
    }
}

impl From<&FiringId> for Subject {
    fn from(id: &FiringId) -> Self {
        Self::Firing(id.clone())
    }
}
