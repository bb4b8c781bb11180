//! Budgets: bounds of what the jobs with certain labels use together.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The labels of a job, or of a selector.
pub type Labels = BTreeMap<String, String>;

/// A bound of what the jobs with certain labels use together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// The labels that a job must have, each with this value; every job has those of an empty selector.
    pub selector: Labels,
    /// The maximum number of tasks at once; unbounded when absent.
    pub max_tasks: Option<NonZeroU32>,
    /// The maximum number of tasks that are launched in any 60 minutes; unbounded when absent.
    pub launches_per_hour: Option<NonZeroU32>,
}

impl Budget {
    /// Makes a budget without limits.
    #[must_use]
    pub fn new(name: impl Into<String>, selector: Labels) -> Self {
        Self { name: name.into(), selector, max_tasks: None, launches_per_hour: None }
    }

    /// Tells whether jobs with these labels belong to it.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Returns a limit; none if it is unbounded.
    #[must_use]
    pub fn limit(&self, limit: BudgetLimit) -> Option<u32> {
        match limit {
            BudgetLimit::MaxTasks => self.max_tasks,
            BudgetLimit::LaunchesPerHour => self.launches_per_hour,
        }
        .map(NonZeroU32::get)
    }
}

/// A kind of limit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BudgetLimit {
    /// Tasks at once.
    MaxTasks,
    /// Tasks that are launched in any 60 minutes.
    LaunchesPerHour,
}

impl BudgetLimit {
    /// Every kind of limit.
    pub const ALL: [Self; 2] = [Self::MaxTasks, Self::LaunchesPerHour];

    /// Returns the name used in the API and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTasks => "maxTasks",
            Self::LaunchesPerHour => "launchesPerHour",
        }
    }
}

/// The use of a budget by its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// The budget.
    pub budget: Budget,
    /// The tasks that are pending, running or about to be started.
    pub tasks: u32,
    /// The tasks that were launched in the last hour, or up to five minutes before it.
    pub launches: u32,
    /// The jobs that got nothing and wait, at most eight of each shard of another replica.
    pub waiting: usize,
    /// Since when the first of them waits.
    pub waiting_since: Option<Timestamp>,
}

impl BudgetUse {
    /// Returns the use of what a limit bounds.
    #[must_use]
    pub const fn used(&self, limit: BudgetLimit) -> u32 {
        match limit {
            BudgetLimit::MaxTasks => self.tasks,
            BudgetLimit::LaunchesPerHour => self.launches,
        }
    }
}
