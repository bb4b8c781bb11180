//! How much history is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::job::JobId;
use crate::policy::HistoryRule;

/// How much history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Decisions last observed before this moment are removed, each with its firing unless that is open.
    pub before: Timestamp,
    /// The number of decisions that each job keeps, whatever their age; a removed job keeps none.
    pub keep: usize,
    /// The present moment: registers that expired before it are removed. A decision observed after it was made while
    /// the clock was wrong, and says nothing about the age of later ones.
    pub now: Timestamp,
    /// The maximum number of rows that one call removes, so that writers do not wait long.
    pub batch: usize,
    /// The jobs whose history is pruned.
    pub jobs: PrunedJobs,
}

/// The jobs whose history one call prunes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PrunedJobs {
    /// All jobs, removed ones too.
    #[default]
    All,
    /// All jobs but these, which have rules of their own.
    AllBut(Arc<BTreeSet<JobId>>),
    /// This job alone. No register is removed.
    Only(JobId),
}

impl PrunedJobs {
    /// Tells whether the history of a job is pruned.
    #[must_use]
    pub fn contains(&self, job: &JobId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(others) => !others.contains(job),
            Self::Only(only) => only == job,
        }
    }
}

impl Retention {
    /// Tells whether a decision observed at this moment is kept, and with it all that were settled later.
    #[must_use]
    pub fn is_recent(&self, moment: Timestamp) -> bool {
        (self.before..=self.now).contains(&moment)
    }

    /// Returns the retention of one job with a rule of its own. The rest is as for all jobs.
    #[must_use]
    pub fn of_job(&self, job: JobId, rule: HistoryRule) -> Self {
        let age = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let before = |days| self.now.saturating_sub(age(days)).unwrap_or(Timestamp::MIN);
        Self {
            before: rule.days.map_or(self.before, before),
            keep: rule.keep.map_or(self.keep, |keep| usize::try_from(keep).unwrap_or(usize::MAX)),
            jobs: PrunedJobs::Only(job),
            ..*self
        }
    }
}
