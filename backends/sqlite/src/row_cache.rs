//! What every caller may read without asking SQLite: where each place of the list is, and the jobs last used.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobId, Progress, StoredJob};
use lru::LruCache;
use parking_lot::Mutex;

/// The longest stretch of the list that is looked for in memory, and remembered.
pub(crate) const SMALL: usize = 100;

/// A change to a job that a commit made durable.
#[derive(Debug)]
pub(crate) enum Change {
    /// A job was created at the end of the list.
    Created(i64, StoredJob),
    /// A job has another document.
    Replaced(i64, StoredJob),
    /// A job was removed.
    Removed(i64),
    /// A job has another progress.
    Progressed(i64, Progress),
}

/// The order of the jobs, and some of the jobs. This process owns the file, so both are true.
#[derive(Debug)]
pub(crate) struct Shelf(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// The rowids of the listed jobs, ascending: eight bytes a job for a jump to any place of the list.
    order: Vec<i64>,
    jobs: LruCache<i64, StoredJob>,
    /// The rowids of the jobs in memory.
    names: HashMap<JobId, i64>,
    /// Counts the changes, so that a reader does not put back what a writer has just replaced.
    epoch: u64,
}

impl Shelf {
    /// Makes a shelf of the listed rowids, ascending, that remembers as many jobs.
    pub(crate) fn new(order: Vec<i64>, capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(Inner { order, jobs: LruCache::new(capacity), names: HashMap::new(), epoch: 0 }))
    }

    /// Returns how many jobs are listed.
    pub(crate) fn total(&self) -> u64 {
        self.0.lock().order.len() as u64
    }

    /// Looks for a stretch of the list in memory.
    pub(crate) fn stretch(&self, skip: u64, limit: usize) -> Stretch {
        let mut inner = self.0.lock();
        let Inner { order, jobs, epoch, .. } = &mut *inner;
        let total = order.len() as u64;
        let start = usize::try_from(skip).unwrap_or(usize::MAX).min(order.len());
        let page = &order[start..start.saturating_add(limit).min(order.len())];
        let known = limit <= SMALL && page.iter().all(|no| jobs.contains(no));
        let jobs = known.then(|| page.iter().filter_map(|no| jobs.get(no).cloned()).collect());
        Stretch { first: page.first().copied(), jobs, total, epoch: *epoch }
    }

    /// Returns the remembered ones of the named jobs, each in its place, and the epoch of this look.
    pub(crate) fn find(&self, ids: &[JobId]) -> (Vec<Option<StoredJob>>, u64) {
        let mut inner = self.0.lock();
        let Inner { names, jobs, epoch, .. } = &mut *inner;
        let found = ids.iter().map(|id| names.get(id).and_then(|no| jobs.get(no)).cloned()).collect();
        (found, *epoch)
    }

    /// Remembers jobs that were read from the file, unless there are so many that others would be forgotten, or
    /// something was changed since `epoch`.
    pub(crate) fn remember(&self, read: &[(i64, StoredJob)], epoch: u64) {
        let mut inner = self.0.lock();
        if inner.epoch == epoch && read.len() <= inner.jobs.cap().get() / 2 {
            for (no, job) in read {
                inner.put(*no, job.clone());
            }
        }
    }

    /// Follows a commit.
    pub(crate) fn publish(&self, changes: Vec<Change>) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        for change in changes {
            inner.apply(change);
        }
    }
}

/// What is known of a stretch of the list.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// The rowid of its first job.
    pub(crate) first: Option<i64>,
    /// Its jobs, if all of them are in memory.
    pub(crate) jobs: Option<Vec<StoredJob>>,
    /// How many jobs are listed in all.
    pub(crate) total: u64,
    /// The epoch of this look.
    pub(crate) epoch: u64,
}

impl Inner {
    fn put(&mut self, no: i64, job: StoredJob) {
        self.names.insert(job.id.clone(), no);
        if let Some((forgotten, old)) = self.jobs.push(no, job)
            && forgotten != no
        {
            self.names.remove(&old.id);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Created(no, job) => {
                self.order.push(no);
                self.put(no, job);
            }
            Change::Replaced(no, job) => self.put(no, job),
            Change::Removed(no) => {
                if let Ok(place) = self.order.binary_search(&no) {
                    self.order.remove(place);
                }
                if let Some(job) = self.jobs.pop(&no) {
                    self.names.remove(&job.id);
                }
            }
            Change::Progressed(no, progress) => {
                if let Some(job) = self.jobs.peek_mut(&no) {
                    job.progress = progress;
                }
            }
        }
    }
}
