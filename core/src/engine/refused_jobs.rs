//! The jobs whose settlements the store refused for good.

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::id::JobUid;

/// The jobs whose last batch the store refused for good, and how often it refused each alone. A job stays among them until
/// its complete settlement is recorded, so that it spoils no further batch.
#[derive(Debug, Default)]
pub(super) struct RefusedJobs(Mutex<HashMap<JobUid, u32>>);

impl RefusedJobs {
    /// Records the jobs of a batch that the store refused.
    pub(super) fn record_batch(&self, jobs: impl Iterator<Item = JobUid>) {
        self.0.lock().extend(jobs.map(|uid| (uid, 0)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Returns how often a job was refused alone; `None` if it is settled with others.
    pub(super) fn refusals(&self, uid: &JobUid) -> Option<u32> {
        self.0.lock().get(uid).copied()
    }

    /// Counts a refusal; returns whether it is the first of the job.
    pub(super) fn record_refusal(&self, uid: JobUid) -> bool {
        let mut known = self.0.lock();
        let refusals = known.entry(uid).or_insert(0);
        *refusals = refusals.saturating_add(1);
        *refusals == 1
    }

    pub(super) fn forget(&self, uid: &JobUid) {
        self.0.lock().remove(uid);
    }
}
