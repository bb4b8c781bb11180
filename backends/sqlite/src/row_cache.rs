//! The row cache: the rowids of all listed jobs in order, and the jobs used last, so that most reads do not ask SQLite.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobId, Progress, StoredJob};
use lru::LruCache;
use parking_lot::Mutex;

/// Maximum number of jobs of a page that is read from the cache, and cached.
pub(crate) const MAX_CACHED_PAGE: usize = 100;

/// A committed change to a job.
#[derive(Debug)]
pub(crate) enum CacheChange {
    /// A job was created at the end of the list.
    Created(i64, StoredJob),
    /// A job has a new document.
    Replaced(i64, StoredJob),
    /// A job was removed.
    Removed(i64),
    /// A job has new progress.
    Progressed(i64, Progress),
}

/// The order of all jobs, and the jobs used last. Both are current, because this process alone writes the file.
#[derive(Debug)]
pub(crate) struct RowCache(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// The rowids of the listed jobs, ascending: with eight bytes a job, any page of the list is found at once.
    order: Vec<i64>,
    jobs: LruCache<i64, StoredJob>,
    /// The rowids of the cached jobs.
    names: HashMap<JobId, i64>,
    /// Number of commits, so that a reader does not cache a row that a writer has just replaced.
    epoch: u64,
}

impl RowCache {
    /// Makes a cache of the listed rowids, ascending, and of at most `capacity` jobs.
    pub(crate) fn new(order: Vec<i64>, capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(Inner { order, jobs: LruCache::new(capacity), names: HashMap::new(), epoch: 0 }))
    }

    /// Returns the number of listed jobs.
    pub(crate) fn total(&self) -> u64 {
        self.0.lock().order.len() as u64
    }

    /// Looks up a page of the list.
    pub(crate) fn page(&self, skip: u64, limit: usize) -> CachedPage {
        let mut inner = self.0.lock();
        let Inner { order, jobs, epoch, .. } = &mut *inner;
        let total = order.len() as u64;
        let start = usize::try_from(skip).unwrap_or(usize::MAX).min(order.len());
        let page = &order[start..start.saturating_add(limit).min(order.len())];
        let cached = limit <= MAX_CACHED_PAGE && page.iter().all(|no| jobs.contains(no));
        let jobs = cached.then(|| page.iter().filter_map(|no| jobs.get(no).cloned()).collect());
        CachedPage { first: page.first().copied(), jobs, total, epoch: *epoch }
    }

    /// Returns the cached ones of the named jobs, in the order of the names, and the epoch of this lookup.
    pub(crate) fn get(&self, ids: &[JobId]) -> (Vec<Option<StoredJob>>, u64) {
        let mut inner = self.0.lock();
        let Inner { names, jobs, epoch, .. } = &mut *inner;
        let found = ids.iter().map(|id| names.get(id).and_then(|no| jobs.get(no)).cloned()).collect();
        (found, *epoch)
    }

    /// Caches jobs that were read from the file, unless something was committed since `epoch`, or the jobs would evict
    /// more than half of the cache.
    pub(crate) fn insert(&self, read: &[(i64, StoredJob)], epoch: u64) {
        let mut inner = self.0.lock();
        if inner.epoch == epoch && read.len() <= inner.jobs.cap().get() / 2 {
            for (no, job) in read {
                inner.put(*no, job.clone());
            }
        }
    }

    /// Applies the changes of a commit.
    pub(crate) fn apply(&self, changes: Vec<CacheChange>) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        for change in changes {
            inner.apply(change);
        }
    }
}

/// A lookup of a page of the list.
#[derive(Debug)]
pub(crate) struct CachedPage {
    /// The rowid of the page's first job.
    pub(crate) first: Option<i64>,
    /// The page's jobs, if all of them are cached.
    pub(crate) jobs: Option<Vec<StoredJob>>,
    /// The number of listed jobs.
    pub(crate) total: u64,
    /// The epoch of this lookup.
    pub(crate) epoch: u64,
}

impl Inner {
    fn put(&mut self, no: i64, job: StoredJob) {
        self.names.insert(job.id.clone(), no);
        if let Some((evicted, old)) = self.jobs.push(no, job)
            && evicted != no
        {
            self.names.remove(&old.id);
        }
    }

    fn apply(&mut self, change: CacheChange) {
        match change {
            CacheChange::Created(no, job) => {
                self.order.push(no);
                self.put(no, job);
            }
            CacheChange::Replaced(no, job) => self.put(no, job),
            CacheChange::Removed(no) => {
                if let Ok(index) = self.order.binary_search(&no) {
                    self.order.remove(index);
                }
                if let Some(job) = self.jobs.pop(&no) {
                    self.names.remove(&job.id);
                }
            }
            CacheChange::Progressed(no, progress) => {
                if let Some(job) = self.jobs.peek_mut(&no) {
                    job.progress = progress;
                }
            }
        }
    }
}
