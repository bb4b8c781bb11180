//! Scopes: what a token permits.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A permission of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Read jobs, their schedules and dry runs of stored jobs.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// Create, change, suspend and delete jobs.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// Fire jobs by hand, and run backfills.
    #[serde(rename = "jobs:fire")]
    JobsFire,
    /// Read decisions, firings, live events, metrics and deliveries.
    #[serde(rename = "history:read")]
    HistoryRead,
    /// Read the output of tasks.
    #[serde(rename = "logs:read")]
    LogsRead,
    /// Everything, also tokens, the brake and tests of channels.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] =
        [Self::JobsRead, Self::JobsWrite, Self::JobsFire, Self::HistoryRead, Self::LogsRead, Self::Admin];

    /// Returns the name used in the API and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
            Self::JobsFire => "jobs:fire",
            Self::HistoryRead => "history:read",
            Self::LogsRead => "logs:read",
            Self::Admin => "admin",
        }
    }

    /// Finds a scope by its name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Returns the names of all scopes, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}
