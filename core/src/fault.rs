//! What kind of trouble an error is, and whether waiting can cure it.

use serde::{Deserialize, Serialize};

/// Says what a caller can do about an error, whatever module it came from.
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
    /// What was configured cannot work: a person must change it.
    Config,
    /// The thing named does not exist.
    NotFound,
    /// The other side refused for want of permission.
    Denied,
    /// The other side asked for fewer calls.
    Throttled,
    /// The other side did not answer, or said that it cannot now.
    Unavailable,
    /// An invariant of the scheduler or of a plugin was broken.
    Bug,
}

impl FaultKind {
    /// Tells whether the same call may succeed later without anyone changing anything.
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

/// Renders an error and its chain of causes in one line, each after a colon.
///
/// Errors of this workspace keep their cause out of `Display`; a boundary (log, API, CLI) calls this once.
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
