//! How far a backfill is: the ticks that are done or under way, why it waits, and why a tick was done without success.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decide::TickOutcome;
use crate::firing::{Firing, FiringState, Origin};
use crate::id::FiringId;
use crate::task::TaskEnd;

/// How many ticks of a backfill are done, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackfillCounts {
    /// All tasks succeeded, if necessary after retries.
    pub succeeded: u32,
    /// A task failed, and no retry has helped.
    pub failed: u32,
    /// A task was stopped.
    pub stopped: u32,
    /// Not all tasks were started, and those that were have succeeded: the launcher refused the others, or the brake or a suspension
    /// came before the call.
    pub not_launched: u32,
    /// The trigger did not demand a task at this tick.
    pub idle: u32,
    /// It cannot be determined whether all tasks were started, or the history of the firing was pruned.
    pub unknown: u32,
}

impl BackfillCounts {
    /// Returns the number of ticks that are done.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.succeeded + self.failed + self.stopped + self.not_launched + self.idle + self.unknown
    }

    /// Counts the tick of a firing that has ended; `None` if the journal does not have it any more.
    pub(super) fn count(&mut self, firing: Option<&Firing>) {
        let Some(firing) = firing else {
            self.unknown += 1;
            return;
        };
        let count = match (firing.end(), firing.state, firing.origin) {
            (Some(TaskEnd::Stopped), ..) => &mut self.stopped,
            (Some(TaskEnd::Failed), ..) => &mut self.failed,
            (Some(TaskEnd::Succeeded), ..) if firing.has_lost_call() => &mut self.unknown,
            // Those that a retry could not start again stay failed.
            (Some(TaskEnd::Succeeded), _, Origin::Retry) if firing.shortfall() > 0 => &mut self.failed,
            (Some(TaskEnd::Succeeded), ..) if firing.shortfall() > 0 => &mut self.not_launched,
            (Some(TaskEnd::Succeeded), ..) => &mut self.succeeded,
            (None, FiringState::Unknown, _) => &mut self.unknown,
            // The tasks that it was to start again stay failed.
            (None, _, Origin::Retry) => &mut self.failed,
            (None, ..) => &mut self.not_launched,
        };
        *count += 1;
    }
}

/// A firing of a backfill that is unfinished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnfinishedFiring {
    /// Its tick.
    pub tick: Timestamp,
    /// The firing; if its failed tasks start again, their firing.
    pub firing: FiringId,
}

/// Why a backfill does not fire its next tick now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BackfillWait {
    /// The outcome that the tick would have now.
    pub outcome: TickOutcome,
    /// The reason.
    pub reason: String,
    /// Since when it waits with this outcome.
    pub since: Timestamp,
}

/// A tick of a backfill that was done without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BackfillFailure {
    /// The tick.
    pub tick: Timestamp,
    /// Its firing; if failed tasks started again, their firing.
    pub firing: FiringId,
    /// Why its tasks were not started, or why the first of them failed.
    pub reason: String,
}

impl BackfillFailure {
    /// Returns why an ended firing had no success, in a line of at most 2,000 characters.
    pub(super) fn reason_of(ended: &Firing) -> Option<String> {
        if let Some(failed) = ended.failed_task() {
            return Some(failed.explained_cause().text.into_owned());
        }
        ended.note.clone().filter(|_| ended.shortfall() > 0 || ended.state != FiringState::Finished)
    }
}
