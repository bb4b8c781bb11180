//! How a tick ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a tick ended. Every tick of every job has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickOutcome {
    /// A firing is in progress; replaced by its final outcome.
    Pending,
    /// Every requested task was started.
    Launched,
    /// Some of the tasks were started, the others were refused.
    Partial,
    /// Enough tasks were running already.
    Satisfied,
    /// The condition did not hold.
    Idle,
    /// The demand exceeds the cap, and the cap was already reached.
    Capped,
    /// The job was suspended, or the brake was on.
    Suspended,
    /// Earlier tasks still ran, and the job does not allow overlap.
    SkippedOverlap,
    /// Too soon after the last firing, or the breaker of the job is open.
    Cooldown,
    /// A budget of the job was used up.
    Budget,
    /// Folded into a later tick.
    Coalesced,
    /// The scheduler reached the tick too late.
    Missed,
    /// The trigger could not be evaluated.
    SourceError,
    /// The running tasks could not be counted.
    LiveUnknown,
    /// Nothing was started, and no further attempt is made.
    LaunchFailed,
    /// The launch policy forbids it. [Reserved](Self::is_reserved).
    Denied,
    /// It cannot be determined whether a task was started: the answer of a call was lost.
    Unknown,
}

impl TickOutcome {
    /// Every outcome.
    pub const ALL: [Self; 17] = [
        Self::Pending,
        Self::Launched,
        Self::Partial,
        Self::Satisfied,
        Self::Idle,
        Self::Capped,
        Self::Suspended,
        Self::SkippedOverlap,
        Self::Cooldown,
        Self::Budget,
        Self::Coalesced,
        Self::Missed,
        Self::SourceError,
        Self::LiveUnknown,
        Self::LaunchFailed,
        Self::Denied,
        Self::Unknown,
    ];

    /// Tells whether the outcome has a name in stored formats, but no tick ends with it. The API does not list it.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self, Self::Denied)
    }

    /// Returns the outcomes that ticks end with: all but the [reserved](Self::is_reserved) ones.
    pub fn occurring() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|outcome| !outcome.is_reserved())
    }

    /// Tells whether consecutive ticks with this outcome are stored as one row with a count.
    #[must_use]
    pub const fn folds(self) -> bool {
        !matches!(
            self,
            Self::Pending
                | Self::Launched
                | Self::Partial
                | Self::LaunchFailed
                | Self::Denied
                | Self::Unknown
        )
    }

    /// Tells whether a tick with this outcome was evaluated and decided. Its launch may still be in progress.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        !matches!(
            self,
            Self::Suspended
                | Self::Coalesced
                | Self::Missed
                | Self::SourceError
                | Self::LiveUnknown
                | Self::LaunchFailed
                | Self::Denied
                | Self::Unknown
        )
    }

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Launched => "launched",
            Self::Partial => "partial",
            Self::Satisfied => "satisfied",
            Self::Idle => "idle",
            Self::Capped => "capped",
            Self::Suspended => "suspended",
            Self::SkippedOverlap => "skipped_overlap",
            Self::Cooldown => "cooldown",
            Self::Budget => "budget",
            Self::Coalesced => "coalesced",
            Self::Missed => "missed",
            Self::SourceError => "source_error",
            Self::LiveUnknown => "live_unknown",
            Self::LaunchFailed => "launch_failed",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for TickOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TickOutcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Self::occurring().map(Self::as_str).collect();
            format!("unknown outcome \"{text}\"; one of {}", known.join(", "))
        })
    }
}
