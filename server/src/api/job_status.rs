//! The state of a job in one word, as `state` shows it and `GET /jobs?state=…` filters by it.

use std::str::FromStr;

use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{BreakerState, Failing, FailingTasks, Retrying, StoredJob};

/// The state of a job in one word. If several apply, the first one in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobStatus {
    /// The stored document is not a valid job: the job is never evaluated.
    Invalid,
    /// The job is suspended.
    Suspended,
    /// Its newest ended ticks, or the tasks of its newest ended firings, failed, or its breaker is open.
    Failing,
    /// A tick that cannot be decided yet, or a launch that failed, is tried again.
    Retrying,
    /// A tick was due more than a minute ago and has no outcome.
    Late,
    /// Nothing is wrong.
    Ok,
}

impl JobStatus {
    /// Every state.
    pub(super) const ALL: [Self; 6] =
        [Self::Ok, Self::Failing, Self::Retrying, Self::Late, Self::Suspended, Self::Invalid];

    /// Returns the name used in the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Suspended => "suspended",
            Self::Failing => "failing",
            Self::Retrying => "retrying",
            Self::Late => "late",
            Self::Ok => "ok",
        }
    }

    /// Tells whether a job in this state shows it. Answers about other jobs have the fields of the Python version only.
    pub(super) fn is_shown(self) -> bool {
        !matches!(self, Self::Ok | Self::Suspended)
    }
}

impl FromStr for JobStatus {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
            format!("unknown state \"{name}\"; one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// The faults of a job: a tick that is retried, ticks that failed, tasks that failed, and the state of its breaker.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct JobFaults {
    pub(super) retrying: Option<Retrying>,
    pub(super) failing: Option<Failing>,
    pub(super) failing_tasks: Option<FailingTasks>,
    pub(super) breaker: Option<BreakerState>,
}

impl JobFaults {
    pub(super) fn read(engine: &SchedulerNode, job: &StoredJob) -> Self {
        Self {
            retrying: engine.retrying(job),
            failing: engine.failing(job),
            failing_tasks: engine.failing_tasks(job),
            breaker: engine.breaker(job),
        }
    }
}
