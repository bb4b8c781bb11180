//! Kinds of failure, and whether a retry can help.

use serde::{Deserialize, Serialize};

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

/// Formats an error and its chain of sources in one line, separated by colons.
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
    text
}
