//! Kinds of failure, and whether a retry can help; the failure that the error types of plugins embed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::make_line;

#[cfg(test)]
mod tests;

/// The kind of a failure, which tells what a caller can do about it.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::FaultKind;
/// assert!(FaultKind::Throttled.is_transient());
/// assert!(!FaultKind::Denied.is_transient());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// The configuration is invalid: a person must change it.
    Config,
    /// The named object does not exist.
    NotFound,
    /// The remote side denied permission.
    Denied,
    /// The remote side throttled the call.
    Throttled,
    /// The remote side did not answer, or is temporarily unavailable.
    Unavailable,
    /// An invariant of the scheduler or of a plugin was broken.
    Bug,
}

impl FaultKind {
    /// Tells whether the same call may succeed later without any change.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable => true,
            Self::Config | Self::NotFound | Self::Denied | Self::Bug => false,
        }
    }
}

/// The boxed cause at the end of an error chain.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failed operation: its kind, a message, and the cause. [`TriggerError`](crate::TriggerError),
/// [`LaunchError`](crate::LaunchError) and the errors of providers embed one; [`failure_methods`](crate::failure_methods)
/// gives them its methods.
///
/// Clones share the cause, so that one failure can be the answer to many callers.
#[derive(Debug, Clone)]
pub struct Failure {
    kind: FaultKind,
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Makes a failure; `message` names the failed operation and its object: `could not read depth of queue "orders"`.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause, which stays out of `Display`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Tells whether the same operation may succeed later without any change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// Takes the failure apart: kind, message, cause.
    #[must_use]
    pub fn into_parts(self) -> (FaultKind, String, Option<Arc<dyn Error + Send + Sync>>) {
        (self.kind, self.message, self.source)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Gives an error type with a field `failure: `[`Failure`](crate::fault::Failure) the methods `with_source`, `kind` and
/// `is_transient`, and the message and the cause of the failure.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::fault::Failure;
/// use ecs_scheduler_core::{FaultKind, failure_methods};
///
/// #[derive(Debug)]
/// pub struct BrokerError {
///     failure: Failure,
///     pub code: u16,
/// }
///
/// failure_methods!(BrokerError);
///
/// let failure = Failure::new(FaultKind::Throttled, "could not read queue \"orders\"");
/// let error = BrokerError { failure, code: 429 }.with_source("slow down");
/// assert!(error.is_transient());
/// assert_eq!(ecs_scheduler_core::fault::chain(&error), "could not read queue \"orders\": slow down");
/// ```
#[macro_export]
macro_rules! failure_methods {
    ($error:ty) => {
        impl $error {
            /// Adds the cause, which stays out of `Display`.
            #[must_use]
            pub fn with_source(mut self, source: impl Into<$crate::fault::Cause>) -> Self {
                self.failure = self.failure.with_source(source);
                self
            }

            /// Returns the kind of failure.
            #[must_use]
            pub fn kind(&self) -> $crate::FaultKind {
                self.failure.kind()
            }

            /// Tells whether the same operation may succeed later without any change.
            #[must_use]
            pub fn is_transient(&self) -> bool {
                self.failure.is_transient()
            }
        }

        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.failure, f)
            }
        }

        impl ::std::error::Error for $error {
            fn source(&self) -> Option<&(dyn ::std::error::Error + 'static)> {
                ::std::error::Error::source(&self.failure)
            }
        }
    };
}

/// Formats an error and its chain of sources in one [line](make_line), separated by colons.
///
/// Errors of this workspace keep their source out of `Display`; a boundary (log, API, CLI) calls this once.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    make_line(&mut text);
    text
}
