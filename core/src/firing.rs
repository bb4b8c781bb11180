//! A firing: a decision to launch at least one task, journalled before the first call.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::decide::DecisionId;
use crate::job::{JobId, JobUid, Revision};
use crate::launcher::{LaunchReport, LaunchToken};
use crate::task::{TaskId, TaskSpec, TaskState};

#[cfg(test)]
mod tests;

/// Names a firing: 12 hexadecimal digits of its nominal moment in milliseconds, then 20 of a hash of what it is.
///
/// Ids sort by nominal moment, so that a store may append them; the same tick of the same job has the same id anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FiringId(Arc<str>);

impl FiringId {
    /// Names the firing of a tick.
    #[must_use]
    pub fn for_tick(uid: &JobUid, nominal: Timestamp) -> Self {
        Self::hashed(uid, nominal, "tick", "")
    }

    /// Names a firing by hand; `key` is the caller's idempotency key, or a fresh one.
    #[must_use]
    pub fn for_manual(uid: &JobUid, nominal: Timestamp, key: &str) -> Self {
        Self::hashed(uid, nominal, "hand", key)
    }

    /// Wraps a name read from a store or a request.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hashed(uid: &JobUid, nominal: Timestamp, kind: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(uid.as_uuid().as_bytes());
        hash.update(nominal.as_nanosecond().to_be_bytes());
        hash.update(kind);
        hash.update([0]);
        hash.update(key);
        let hash = hash.finalize();
        let mut text = format!("{:012x}", nominal.as_millisecond().max(0));
        for byte in &hash[..10] {
            text.extend(
                [byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
        Self(text.into())
    }
}

impl fmt::Display for FiringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked for a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// A tick of the job.
    Tick,
    /// A person or program, by the API.
    #[serde(rename = "hand")]
    Manual,
}

/// How far a firing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FiringState {
    /// Journalled; nothing was sent.
    Planned,
    /// A call was, or may have been, sent.
    Launching,
    /// At least one task was started, and not all of them have ended.
    Launched,
    /// Every started task has ended.
    Finished,
    /// Nothing was started and nothing will be.
    Refused,
    /// It cannot be learnt whether tasks were started: shown to a person, never launched again.
    Unknown,
    /// Nothing was sent in time.
    Expired,
    /// A person called it off, or a later replacement took its place, before anything was sent.
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

    /// Tells whether a firing may move from this state to `next`. Staying is a move where attempts or tasks change.
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

    /// Tells whether the engine still has something to do for a firing in this state.
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

/// One call to the launcher, or the intent to make it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which batch of the firing, from 0.
    pub batch: u32,
    /// Which attempt at this batch, from 1. A new number is a new token, for what was refused only.
    pub number: u32,
    /// How many tasks it asks for.
    pub count: u32,
    /// Its token.
    pub token: LaunchToken,
    /// When it was first sent; a repetition with the same token keeps this moment.
    pub sent_at: Timestamp,
    /// What came of it; absent until an answer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// The answer to an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The launcher answered.
    Report(LaunchReport),
    /// The call failed and surely had no effect.
    Failed(String),
    /// No answer came, and none can be had any more.
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
    /// The version of the job that it was decided by.
    pub revision: Revision,
    /// Who asked for it.
    pub origin: Origin,
    /// The tick on the schedule, or the moment at which it was fired by hand.
    pub nominal: Timestamp,
    /// When the engine decided.
    pub observed: Timestamp,
    /// The decision that it belongs to; set by the store.
    #[serde(default)]
    pub decision: DecisionId,
    /// How far it has come.
    pub state: FiringState,
    /// How many tasks it is to start.
    pub requested: u32,
    /// What to start: a snapshot, so that an edit changes later ticks only.
    pub task: Arc<TaskSpec>,
    /// The exact task definition to start.
    pub definition: String,
    /// After this moment no further attempt is begun.
    pub deadline: Timestamp,
    /// Whether it takes the place of everything earlier of the job (`overlap: replace`): earlier firings end, and their
    /// tasks stop, before anything is launched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// The tasks that were known then; all of them stop first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<TaskId>,
    /// How long each task may run; unbounded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
    /// How long each task may be pending; unbounded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_secs: Option<u64>,
    /// Calls made, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Tasks started, and what became of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskState>,
    /// Why, in one line: the decision's ledger.
    pub explanation: String,
    /// Why it ended as it did, when it did not simply launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Firing {
    /// Returns how many tasks were started.
    #[must_use]
    pub fn started(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// Tells whether it takes the place of everything earlier of the job. Of a firing that an earlier version stored, its
    /// tasks to be stopped say so.
    #[must_use]
    pub fn is_replacement(&self) -> bool {
        self.replace || !self.replaces.is_empty()
    }

    /// Returns when its newest call was first sent, or when it was decided while none was.
    #[must_use]
    pub fn last_sent(&self) -> Timestamp {
        self.attempts.last().map_or(self.observed, |attempt| attempt.sent_at)
    }

    /// Returns the call whose answer is not known.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.answer.is_none())
    }

    /// Returns why it ended as it did or, while it is being launched, why its newest answer started fewer tasks than asked for.
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

    /// Returns how many tasks are still to be started.
    #[must_use]
    pub fn shortfall(&self) -> u32 {
        self.requested.saturating_sub(self.started())
    }
}
