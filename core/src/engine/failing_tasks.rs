//! Jobs whose tasks fail: since when, in how many firings in a row, and why.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::diagnosis::Diagnosis;
use crate::firing::{Firing, FiringId};
use crate::task::TaskEnd;

#[cfg(test)]
mod tests;

/// A job of which the newest ended firings had failed tasks. A firing with stopped tasks and without failed ones changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingTasks {
    /// When the first of these firings was decided.
    pub since: Timestamp,
    /// How many firings in a row, as far as this process has seen them end or read them from the journal.
    pub firings: u64,
    /// The newest of them.
    pub firing: FiringId,
    /// Why the first failed task of the newest firing failed.
    pub diagnosis: Diagnosis,
}

impl FailingTasks {
    /// Returns the failure of one firing, if its tasks have ended and one has failed.
    pub(super) fn from_firing(firing: &Firing) -> Option<Self> {
        let failed = firing.failed_task()?;
        let (since, diagnosis) = (firing.observed, failed.explained_cause());
        Some(Self { since, firings: 1, firing: firing.id.clone(), diagnosis })
    }

    /// Returns the failures in a row among ended firings, newest first.
    pub(super) fn in_row<'a>(newest_first: impl Iterator<Item = &'a Firing>) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut without_tasks = HashSet::new();
        for firing in newest_first {
            if !firing.state.is_open() && firing.tasks.is_empty() {
                without_tasks.insert(&firing.id);
            }
            match (firing.end(), &mut found) {
                // The firing that starts its tasks again tells, if it started any.
                (Some(TaskEnd::Failed), _)
                    if firing.retry.by.as_ref().is_some_and(|by| !without_tasks.contains(by)) => {}
                (Some(TaskEnd::Failed), Some(found)) => {
                    (found.since, found.firings) = (firing.observed, found.firings + 1);
                }
                (Some(TaskEnd::Failed), None) => found = Self::from_firing(firing),
                (Some(TaskEnd::Succeeded), _) => break,
                (Some(TaskEnd::Stopped) | None, _) => {}
            }
        }
        found
    }
}
