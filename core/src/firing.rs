//! Firings: decisions to launch at least one task, journalled before the first call.

use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::id::FiringId;
use crate::id::{DecisionId, JobId, JobUid, LaunchToken, Revision, TaskId};
use crate::launcher::LaunchReport;
use crate::policy::Policy;
use crate::task::{TaskEnd, TaskSize, TaskSpec, TaskState};

#[cfg(test)]
mod tests;

/// The origin of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// A tick of the job.
    Tick,
    /// A person or program, through the API.
    #[serde(rename = "hand")]
    Manual,
    /// Failed tasks of an earlier firing (`retry.task`).
    Retry,
    /// A past tick of the job, by a backfill.
    Backfill,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 4] = [Self::Tick, Self::Manual, Self::Retry, Self::Backfill];

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Manual => "hand",
            Self::Retry => "retry",
            Self::Backfill => "backfill",
        }
    }
}

/// The retry of a firing's failed tasks, and the firing whose tasks it retries itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FiringRetry {
    /// The firing whose failed tasks it starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<FiringId>,
    /// Its number among the retries of one tick, from 1; 0 for a firing that is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub number: u32,
    /// When its failed tasks start again. It stays `launched` until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The firing that starts its failed tasks again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<FiringId>,
    /// Why failed tasks do not start again although the job retries them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the tasks that it starts again are those of a backfill.
    #[serde(skip_serializing_if = "is_false")]
    pub backfill: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl FiringRetry {
    /// Tells whether the firing neither is a retry nor has one.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The state of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FiringState {
    /// Journalled; nothing was sent.
    Planned,
    /// A call was sent, or may have been sent.
    Launching,
    /// At least one task was started. Not all of them have ended, or failed ones wait for their retry.
    Launched,
    /// Every started task has ended.
    Finished,
    /// No task was started, and none will be.
    Refused,
    /// It cannot be determined whether a task was started: reported to the operator, never launched again.
    Unknown,
    /// Nothing was sent in time.
    Expired,
    /// Cancelled by a person, or superseded by a later replacement, before a call was sent.
    Cancelled,
}

impl FiringState {
    /// Every state, in the order of the table in `doc/architecture.md`.
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Launching,
        Self::Launched,
        Self::Finished,
        Self::Refused,
        Self::Unknown,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Tells whether a firing may move from this state to `next`. A state may follow itself where attempts or tasks
    /// change.
    #[must_use]
    pub const fn can_transition_to(self, next: Self) -> bool {
        match self {
            Self::Planned => {
                matches!(next, Self::Launching | Self::Refused | Self::Expired | Self::Cancelled)
            }
            Self::Launching => matches!(
                next,
                Self::Launching | Self::Launched | Self::Finished | Self::Refused | Self::Unknown
            ),
            Self::Launched => matches!(next, Self::Launched | Self::Finished),
            Self::Unknown => matches!(next, Self::Launched | Self::Finished | Self::Refused),
            Self::Finished | Self::Refused | Self::Expired | Self::Cancelled => false,
        }
    }

    /// Tells whether the engine still has work to do for a firing in this state.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Launching | Self::Launched)
    }

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Launching => "launching",
            Self::Launched => "launched",
            Self::Finished => "finished",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for FiringState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
            format!("unknown state \"{name}\"; one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// The number of calls that a firing keeps: a launch that is refused for days stays small enough for every store.
const MAX_ATTEMPTS: usize = 20;

/// One call to the launcher, or the intent to make it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The batch of the firing, counted from 0.
    pub batch: u32,
    /// The number of the attempt at this batch, from 1. A new number makes a new token, for refused tasks only.
    pub number: u32,
    /// How many tasks it requests.
    pub count: u32,
    /// Its token.
    pub token: LaunchToken,
    /// When it was first sent; a retry with the same token keeps this moment.
    pub sent_at: Timestamp,
    /// Its result; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// The answer to an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The launcher answered.
    Report(LaunchReport),
    /// The call failed and certainly had no effect.
    Failed(String),
    /// The answer was lost and can no longer be recovered.
    Lost(String),
}

/// A decision to launch at least one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firing {
    /// Its name.
    pub id: FiringId,
    /// The job's name.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// The job version that was evaluated.
    pub revision: Revision,
    /// Its origin.
    pub origin: Origin,
    /// The tick on the schedule, or the moment of the manual firing.
    pub nominal: Timestamp,
    /// When the engine decided.
    pub observed: Timestamp,
    /// Its decision; set by the store.
    #[serde(default)]
    pub decision: DecisionId,
    /// Its state.
    pub state: FiringState,
    /// How many tasks it must start.
    pub requested: u32,
    /// The task to start: a snapshot, so that an edit affects later ticks only.
    pub task: Arc<TaskSpec>,
    /// The exact task definition to start.
    pub definition: String,
    /// No attempt is started after this moment.
    pub deadline: Timestamp,
    /// Whether it replaces all earlier firings of the job (`overlap: replace`): they end and their tasks stop before
    /// anything is launched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// The tasks that were known when it was decided; all of them are stopped first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<TaskId>,
    /// How long each task may run; unbounded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
    /// How long each task may be pending; unbounded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_secs: Option<u64>,
    /// The names of the budgets towards which its tasks count, unless the job has other labels by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
    /// The size of each task; known if a budget of the job counts with it.
    #[serde(default, skip_serializing_if = "TaskSize::is_unknown")]
    pub size: TaskSize,
    /// The retry of its failed tasks.
    #[serde(default, skip_serializing_if = "FiringRetry::is_none")]
    pub retry: FiringRetry,
    /// Calls to the launcher, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The started tasks and their states.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskState>,
    /// The decision's steps in one line.
    pub explanation: String,
    /// The reason why it did not simply launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Firing {
    /// Takes the time limits of its tasks from a job's policy.
    pub(crate) fn set_time_limits(&mut self, policy: &Policy) {
        self.timeout_secs = policy.timeout.map(|limit| limit.as_secs());
        self.start_timeout_secs = policy.start_timeout.map(|limit| limit.as_secs());
    }

    /// Tells whether it fires a past tick for a backfill, or starts failed tasks of one again. It is no part of the job's present: no
    /// cooldown follows, and no tick ends its retries.
    #[must_use]
    pub fn is_of_backfill(&self) -> bool {
        self.origin == Origin::Backfill || self.retry.backfill
    }

    /// Returns how many tasks were started.
    #[must_use]
    pub fn started(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// Returns how its tasks ended together: failed if one failed, else stopped if one was stopped. `None` while one may still
    /// run, and if none was started.
    #[must_use]
    pub fn end(&self) -> Option<TaskEnd> {
        if self.state != FiringState::Finished {
            return None;
        }
        let worst = |end: TaskEnd| {
            [TaskEnd::Failed, TaskEnd::Stopped, TaskEnd::Succeeded].iter().position(|of| *of == end)
        };
        self.tasks.iter().filter_map(TaskState::end).min_by_key(|end| worst(*end))
    }

    /// Returns the first of its tasks that has failed.
    #[must_use]
    pub(crate) fn failed_task(&self) -> Option<&TaskState> {
        self.tasks.iter().find(|task| task.end() == Some(TaskEnd::Failed))
    }

    /// Tells whether it started nothing because the launcher refused it for a reason that does not pass. A call that was repeated until
    /// it was too late has another note than its answer.
    #[must_use]
    pub(crate) fn is_refused_for_good(&self) -> bool {
        if self.state != FiringState::Refused || !self.tasks.is_empty() {
            return false;
        }
        match self.attempts.last().and_then(|attempt| attempt.answer.as_ref()) {
            Some(Answer::Report(report)) => report.is_refused_for_good(),
            Some(Answer::Failed(reason)) => self.note.as_ref() == Some(reason),
            Some(Answer::Lost(_)) | None => false,
        }
    }

    /// Tells whether it replaces all earlier firings of the job. In firings stored by older versions, a list of tasks
    /// to replace means the same.
    #[must_use]
    pub fn is_replacement(&self) -> bool {
        self.replace || !self.replaces.is_empty()
    }

    /// Returns when its newest call was first sent, or when it was decided if none was sent.
    #[must_use]
    pub fn last_sent(&self) -> Timestamp {
        self.attempts.last().map_or(self.observed, |attempt| attempt.sent_at)
    }

    /// Adds a call. If there are more than [`MAX_ATTEMPTS`], it drops the oldest one after the first that started nothing.
    pub(crate) fn push_attempt(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
        let started_nothing = |attempt: &Attempt| match &attempt.answer {
            Some(Answer::Report(report)) => report.started.is_empty(),
            Some(Answer::Failed(_)) => true,
            Some(Answer::Lost(_)) | None => false,
        };
        if self.attempts.len() > MAX_ATTEMPTS
            && let Some(index) = self.attempts.iter().skip(1).position(started_nothing)
        {
            self.attempts.remove(index + 1);
        }
    }

    /// Returns the call whose result is not known.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.answer.is_none())
    }

    /// Tells whether the answer of one of its calls was lost for good, so that it cannot be determined whether all of its tasks were
    /// started.
    #[must_use]
    pub fn has_lost_call(&self) -> bool {
        self.attempts.iter().any(|attempt| matches!(attempt.answer, Some(Answer::Lost(_))))
    }

    /// Returns why it ended differently than by a plain launch or, during the launch, why its newest call started fewer
    /// tasks than requested.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.note.is_some() || self.state != FiringState::Launching {
            return self.note.clone();
        }
        match self.attempts.iter().rev().find_map(|attempt| attempt.answer.as_ref())? {
            Answer::Report(report) => report.refused.first().map(|refusal| format!("refused: {refusal}")),
            Answer::Failed(why) | Answer::Lost(why) => Some(why.clone()),
        }
    }

    /// Returns how many tasks it must still start.
    #[must_use]
    pub fn shortfall(&self) -> u32 {
        self.requested.saturating_sub(self.started())
    }
}
