//! What every caller may read without asking SQLite: where each place of the list is, and the jobs last used.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobId, Progress, StoredJob};
use lru::LruCache;
use parking_lot::Mutex;

/// A change to a job that a commit made durable.
#[derive(Debug)]
pub(crate) enum Change {
    /// A job was created at the end of the list.
    Created(i64, StoredJob),
    /// A job has another document.
    Replaced(StoredJob),
    /// A job was removed.
    Removed(i64, JobId),
    /// A job has another progress; unknown when it is not in the writer's memory any more.
    Progressed(JobId, Option<Progress>),
}

/// The order of the jobs, and some of the jobs. This process owns the file, so both are true.
#[derive(Debug)]
pub(crate) struct Shelf(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// The rowids of the listed jobs, ascending: eight bytes a job for a jump to any place of the list.
    order: Vec<i64>,
    jobs: LruCache<JobId, StoredJob>,
    /// Counts the changes, so that a reader does not put back what a writer has just replaced.
    epoch: u64,
}

impl Shelf {
    /// Makes a shelf of the listed rowids, ascending, that remembers as many jobs.
    pub(crate) fn new(order: Vec<i64>, capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(Inner { order, jobs: LruCache::new(capacity), epoch: 0 }))
    }

    /// Returns the rowid at a place of the list, and the length of the list.
    pub(crate) fn place(&self, skip: u64) -> (Option<i64>, u64) {
        let inner = self.0.lock();
        let no = usize::try_from(skip).ok().and_then(|skip| inner.order.get(skip).copied());
        (no, inner.order.len() as u64)
    }

    /// Returns the remembered ones of the named jobs, each in its place, and the epoch of this look.
    pub(crate) fn find(&self, ids: &[JobId]) -> (Vec<Option<StoredJob>>, u64) {
        let mut inner = self.0.lock();
        let found = ids.iter().map(|id| inner.jobs.get(id).cloned()).collect();
        (found, inner.epoch)
    }

    /// Remembers jobs that were read from the file, unless something was changed since `epoch`.
    pub(crate) fn remember(&self, jobs: impl IntoIterator<Item = StoredJob>, epoch: u64) {
        let mut inner = self.0.lock();
        if inner.epoch == epoch {
            for job in jobs {
                inner.jobs.put(job.id.clone(), job);
            }
        }
    }

    /// Follows a commit.
    pub(crate) fn publish(&self, changes: impl IntoIterator<Item = Change>) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        for change in changes {
            inner.apply(change);
        }
    }
}

impl Inner {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Created(no, job) => {
                self.order.push(no);
                self.jobs.put(job.id.clone(), job);
            }
            Change::Replaced(job) => drop(self.jobs.put(job.id.clone(), job)),
            Change::Removed(no, id) => {
                if let Ok(place) = self.order.binary_search(&no) {
                    self.order.remove(place);
                }
                self.jobs.pop(&id);
            }
            Change::Progressed(id, Some(progress)) => {
                if let Some(job) = self.jobs.peek_mut(&id) {
                    job.progress = progress;
                }
            }
            Change::Progressed(id, None) => drop(self.jobs.pop(&id)),
        }
    }
}
