//! The retry of tasks that failed (`retry.task`): how often, after which time, and for which ends.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::task::{TaskEnd, TaskState};

#[cfg(test)]
mod tests;

/// The retry of a firing's failed tasks (`retry.task`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRetry {
    /// How many firings may follow the first one; 1…10.
    pub attempts: NonZeroU32,
    /// The time before the first retry, 0 s…1 h. It doubles for each further one, up to an hour.
    pub backoff: Duration,
    /// The first rule that matches decides. Without a match, a failed task is retried, unless it is unknown how it ended.
    pub rules: Vec<RetryRule>,
}

impl TaskRetry {
    /// The longest time before a retry.
    pub const MAX_DELAY: Duration = Duration::from_hours(1);

    /// The `backoff` of a job that gives none.
    pub const DEFAULT_BACKOFF: Duration = Duration::from_secs(10);

    /// Returns how many of these tasks are retried. Tasks that succeeded, or were stopped on request, are not.
    #[must_use]
    pub fn count_retried(&self, tasks: &[TaskState]) -> u32 {
        let retried = tasks.iter().filter(|task| task.end() == Some(TaskEnd::Failed) && self.retries(task));
        u32::try_from(retried.count()).unwrap_or(u32::MAX)
    }

    /// Returns the time before the retry of this number, counted from 1.
    #[must_use]
    pub fn delay(&self, number: u32) -> Duration {
        Backoff::new(self.backoff, Self::MAX_DELAY).delay_after(number)
    }

    fn retries(&self, task: &TaskState) -> bool {
        let decides = self.rules.iter().find(|rule| rule.condition.matches(task));
        decides.map_or(!task.has_unknown_end(), |rule| rule.action == RetryAction::Retry)
    }
}

/// One rule of `retry.task.rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryRule {
    /// The ends of tasks that it is about.
    pub condition: RetryCondition,
    /// The answer to such an end.
    pub action: RetryAction,
}

/// The ends of tasks that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryCondition {
    /// The exit code of the task is this one.
    ExitCode(i32),
    /// The stop code of the platform is this one, for example `SpotInterruption`.
    StopCode(String),
    /// The platform's reason, or the code or text of the diagnosis, contains this text in any case.
    Reason(String),
}

impl RetryCondition {
    fn matches(&self, task: &TaskState) -> bool {
        match self {
            Self::ExitCode(code) => task.exit_code == Some(*code),
            Self::StopCode(code) => task.stop_code.as_deref() == Some(code),
            Self::Reason(text) => {
                let cause = task.cause();
                let texts = [task.reason.as_deref().unwrap_or_default(), &cause.code, &cause.text];
                let text = text.to_lowercase();
                texts.into_iter().any(|known| known.to_lowercase().contains(&text))
            }
        }
    }
}

/// The answer to the end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAction {
    /// Start it again.
    Retry,
    /// Leave it as failed.
    Fail,
}
