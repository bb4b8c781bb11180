//! A cache of parsed jobs that are due soon or were due lately, so that a tick does not parse a document.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;

use crate::id::{DecisionId, JobId, JobUid, Revision};
use crate::job::{FieldError, Job};

/// A stored job, parsed.
#[derive(Debug)]
pub(super) struct CachedJob {
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    /// The job, or the errors of its document.
    pub(super) job: Result<Job, Vec<FieldError>>,
    /// `Progress::last_fired`, with the settlements of this process.
    pub(super) last_fired: Mutex<Option<Timestamp>>,
    /// The newest row of its history that this process wrote; the default while there is none.
    pub(super) last_row: Mutex<DecisionId>,
}

impl CachedJob {
    /// Counts the new rows of a settlement; the others were folded into the row before.
    pub(super) fn count_new_rows(&self, ids: &[DecisionId]) -> u64 {
        let mut last = self.last_row.lock();
        ids.iter().filter(|id| std::mem::replace(&mut *last, **id) != **id).count() as u64
    }
}

/// A bounded cache of parsed jobs; the scheduler loop evicts edited ones.
#[derive(Debug)]
pub(super) struct JobCache {
    jobs: Mutex<LruCache<JobId, Arc<CachedJob>>>,
}

impl JobCache {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { jobs: Mutex::new(LruCache::new(capacity)) }
    }

    pub(super) fn get(&self, id: &JobId) -> Option<Arc<CachedJob>> {
        self.jobs.lock().get(id).cloned()
    }

    pub(super) fn insert(&self, id: JobId, job: Arc<CachedJob>) {
        self.jobs.lock().put(id, job);
    }

    pub(super) fn evict(&self, id: &JobId) {
        self.jobs.lock().pop(id);
    }

    pub(super) fn contains(&self, id: &JobId) -> bool {
        self.jobs.lock().contains(id)
    }

    /// Evicts the jobs with an earlier version that lasts beyond this moment, and returns them.
    pub(super) fn evict_future_versions(&self, latest: Timestamp) -> Vec<JobId> {
        let mut jobs = self.jobs.lock();
        let lasts = |job: &Job| job.earlier.iter().any(|version| version.until > latest);
        let lasting = jobs.iter().filter(|(_, loaded)| loaded.job.as_ref().is_ok_and(lasts));
        let ids: Vec<JobId> = lasting.map(|(id, _)| id.clone()).collect();
        for id in &ids {
            jobs.pop(id);
        }
        ids
    }
}
