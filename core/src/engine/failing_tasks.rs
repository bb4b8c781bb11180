//! Jobs whose tasks fail: since when, in how many firings in a row, and why.

use jiff::Timestamp;
use serde::Serialize;

use super::faults::Faults;
use crate::diagnosis::Diagnosis;
use crate::firing::{Firing, FiringId};
use crate::job::JobUid;
use crate::task::{TaskEnd, TaskState};

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
    fn of(firing: &Firing) -> Option<Self> {
        let failed = firing.tasks.iter().find(|task| task.end() == Some(TaskEnd::Failed))?;
        let diagnosis = known_cause(failed);
        Some(Self { since: firing.observed, firings: 1, firing: firing.id.clone(), diagnosis })
    }

    /// Returns the failures in a row among ended firings, newest first.
    pub(super) fn in_row<'a>(newest_first: impl Iterator<Item = &'a Firing>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for firing in newest_first {
            match (firing.end(), &mut found) {
                (Some(TaskEnd::Failed), Some(found)) => {
                    (found.since, found.firings) = (firing.observed, found.firings + 1);
                }
                (Some(TaskEnd::Failed), None) => found = Self::of(firing),
                (Some(TaskEnd::Succeeded), _) => break,
                (Some(TaskEnd::Stopped) | None, _) => {}
            }
        }
        found
    }
}

/// Returns the cause of a failed task. Tasks that an older version stored have none.
fn known_cause(task: &TaskState) -> Diagnosis {
    task.diagnosis.clone().unwrap_or_else(|| Diagnosis::of_unnamed_failure(task))
}

impl Faults {
    /// Records the end of a firing's tasks. The log has one line when the tasks of a job begin to fail, and one when they succeed
    /// again.
    pub(super) fn record_end(&self, engine: u64, firing: &Firing) {
        let mut known = self.lock();
        let before = known.failing_tasks.get(&firing.uid).map(|(_, failing)| failing);
        match firing.end() {
            Some(TaskEnd::Failed) => {
                let Some(mut failing) = FailingTasks::of(firing) else { return };
                let failed = firing.tasks.iter().filter(|task| task.end() == Some(TaskEnd::Failed)).count();
                let (cause, of) = (&failing.diagnosis, firing.tasks.len());
                match before {
                    None => {
                        tracing::warn!(job = %firing.job, firing = %firing.id, failed, of, %cause, "the tasks of a job fail");
                    }
                    Some(earlier) => {
                        (failing.since, failing.firings) = (earlier.since, earlier.firings + 1);
                    }
                }
                known.failing_tasks.insert(firing.uid, (engine, failing));
            }
            Some(TaskEnd::Succeeded) => {
                if let Some((_, FailingTasks { since, firings, .. })) =
                    known.failing_tasks.remove(&firing.uid)
                {
                    tracing::warn!(job = %firing.job, firing = %firing.id, %since, failed_firings = firings, "the tasks of a job succeed again");
                }
            }
            Some(TaskEnd::Stopped) | None => {}
        }
    }

    /// Records failures from the journal, unless some of the job are known.
    pub(super) fn recall_failing_tasks(&self, engine: u64, uid: JobUid, failing: FailingTasks) {
        self.lock().failing_tasks.entry(uid).or_insert((engine, failing));
    }

    /// Returns the number of jobs whose tasks fail.
    pub(super) fn jobs_with_failing_tasks(&self) -> usize {
        self.lock().failing_tasks.len()
    }

    pub(super) fn failing_tasks(&self, uid: &JobUid) -> Option<FailingTasks> {
        self.lock().failing_tasks.get(uid).map(|(_, failing)| failing.clone())
    }
}
