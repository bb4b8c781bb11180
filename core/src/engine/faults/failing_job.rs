//! The failures of one job together, for notifications.

use std::collections::HashMap;

use super::{FailedTicks, Failing, Faults};
use crate::engine::failing_tasks::FailingTasks;
use crate::id::{JobId, JobUid};

/// A job that fails, by its ticks, its tasks or both.
#[derive(Debug, Clone)]
pub(in crate::engine) struct FailingJob {
    pub(in crate::engine) job: JobId,
    pub(in crate::engine) ticks: Option<Failing>,
    pub(in crate::engine) tasks: Option<FailingTasks>,
}

impl FailingJob {
    const fn new(job: JobId) -> Self {
        Self { job, ticks: None, tasks: None }
    }

    /// Returns how often it failed in a row.
    pub(in crate::engine) fn failures(&self) -> u64 {
        let ticks = self.ticks.as_ref().map_or(0, |failing| failing.ticks);
        ticks.max(self.tasks.as_ref().map_or(0, |failing| failing.firings))
    }
}

impl Faults {
    /// Returns the failing jobs of an engine.
    pub(in crate::engine) fn failing_jobs_of(&self, engine: u64) -> HashMap<JobUid, FailingJob> {
        let known = self.state.lock();
        let mut jobs: HashMap<JobUid, FailingJob> = HashMap::new();
        for (uid, (of, FailedTicks { job, failing, .. })) in &known.jobs {
            if *of == engine {
                let entry = jobs.entry(*uid).or_insert_with(|| FailingJob::new(job.clone()));
                entry.ticks = Some(failing.clone());
            }
        }
        for (uid, (of, job, failing)) in &known.failing_tasks {
            if *of == engine {
                let entry = jobs.entry(*uid).or_insert_with(|| FailingJob::new(job.clone()));
                entry.tasks = Some(failing.clone());
            }
        }
        jobs
    }
}
