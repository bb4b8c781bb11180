//! Cache of job summaries, by version of the job.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::ScheduleCache;
use ecs_scheduler_core::{Clock, JobUid, Revision, StoredJob};
use lru::LruCache;
use parking_lot::Mutex;

use super::job_summary::JobSummary;

#[cfg(test)]
mod tests;

/// The maximum number of cached summaries; other jobs are parsed at each read.
const MAX_CACHED_SUMMARIES: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");
/// The maximum number of distinct schedules that these summaries share.
const MAX_CACHED_SCHEDULES: usize = 16_384;

/// The summaries of the most recently read jobs.
#[derive(Debug)]
pub(super) struct JobSummaryCache {
    summaries: Mutex<LruCache<(JobUid, Revision), Arc<JobSummary>>>,
    schedules: ScheduleCache,
}

impl JobSummaryCache {
    /// Makes an empty cache.
    pub(super) fn new() -> Self {
        Self {
            summaries: Mutex::new(LruCache::new(MAX_CACHED_SUMMARIES)),
            schedules: ScheduleCache::new(MAX_CACHED_SCHEDULES),
        }
    }

    /// Returns the summary of a job, parsed now or earlier.
    pub(super) fn get(&self, job: &StoredJob, cx: &JobContext<'_>, clock: &dyn Clock) -> Arc<JobSummary> {
        let key = (job.uid, job.revision);
        if let Some(summary) = self.summaries.lock().get(&key) {
            return Arc::clone(summary);
        }
        let summary = Arc::new(JobSummary::from_stored(job, &self.schedules, cx, clock.now()));
        self.summaries.lock().put(key, Arc::clone(&summary));
        summary
    }
}
