//! The index of all jobs that a search reads: made by the first search, and brought up to date by each further one.
//!
//! ```text
//!  one process:  edits that the engine has seen ─┐
//!  replicas:     the change log of the store ────┼──▶ names of changed jobs ──▶ read from the store ──▶ index
//!  both:         writes of this API ─────────────┘
//! ```
//!
//! It holds what follows from the documents. Facts of the engine and of the journal are read for the jobs of a page.
//! Rejected: a search by the store, because each of the six would need an index of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::store::{ChangeCursor, ChangedJobs, Shard};
use ecs_scheduler_core::{Clock, JobId, ListFrom, SharedStore, Store, StoreError, StoredJob, Timestamp};
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::time::Instant;

use super::indexed_job::IndexedJob;
use super::job_query::{JobFilter, Sort};
use super::job_status::JobStatus;
use super::job_summary_cache::JobSummaryCache;
use super::problem::{Problem, ProblemType};

/// The maximum number of jobs that can be searched.
const MAX_INDEXED_JOBS: u64 = 100_000;
/// The number of jobs of one read of the store.
const READ_SIZE: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not zero");
/// The time for which the change log of a shared store is not read again.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The parts of the server that the index reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexContext<'a> {
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) engine: &'a SchedulerNode,
    pub(super) clock: &'a dyn Clock,
    pub(super) summaries: &'a JobSummaryCache,
    pub(super) jobs: JobContext<'a>,
}

/// The index of all jobs.
#[derive(Debug, Default)]
pub(super) struct SearchIndex {
    jobs: tokio::sync::Mutex<IndexedJobs>,
    /// The jobs that this API wrote since the last search; `None` before the first one.
    written: Mutex<Option<HashSet<JobId>>>,
}

/// The jobs in the order of their creation.
#[derive(Debug, Default)]
struct IndexedJobs {
    jobs: BTreeMap<u64, IndexedJob>,
    numbers: HashMap<JobId, u64>,
    last: u64,
    /// Jobs that were changed since they were read.
    changed: HashSet<JobId>,
    /// `None` before the first search, and after changes were missed.
    feed: Option<Feed>,
    /// The begin of the next page of jobs, while the jobs are read for the first time.
    unread: Option<ListFrom>,
}

/// The source of the names of changed jobs.
#[derive(Debug)]
enum Feed {
    /// The engine of this process sees every edit.
    Edits(broadcast::Receiver<JobId>),
    /// Other processes write the store, too.
    ChangeLog { store: Arc<dyn SharedStore>, cursors: Vec<(Shard, ChangeCursor)>, read: Option<Instant> },
}

/// The jobs that a search found.
#[derive(Debug)]
pub(super) struct FoundJobs {
    /// The requested part of the names, in order.
    pub(super) ids: Vec<JobId>,
    /// The number of jobs that pass the filter.
    pub(super) total: usize,
}

impl SearchIndex {
    /// Records that this process wrote a job.
    pub(super) fn mark_written(&self, id: &JobId) {
        if let Some(written) = self.written.lock().as_mut() {
            written.insert(id.clone());
        }
    }

    /// Finds the jobs that pass a filter, and returns `limit` of them from the index `skip` on.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read; 400 when it has more jobs than can be searched.
    pub(super) async fn find(
        &self,
        cx: &IndexContext<'_>,
        filter: &JobFilter,
        sort: Sort,
        (skip, limit): (usize, usize),
    ) -> Result<FoundJobs, Problem> {
        let mut jobs = self.jobs.lock().await;
        jobs.refresh(cx, &self.written).await?;
        let now = cx.clock.now();
        if filter.needs_progress() {
            jobs.refresh_late(cx, filter, now).await?;
        }
        let passing = jobs.jobs.iter_mut().filter(|(_, job)| filter.matches(cx.engine, job, now));
        let mut found: Vec<_> = passing.map(|(number, job)| (sort.key(job, now), *number)).collect();
        if sort.is_by_key() {
            found.sort_unstable();
        }
        if sort.is_reversed {
            found.reverse();
        }
        let page = found.iter().skip(skip).take(limit);
        let ids = page.filter_map(|(_, number)| Some(jobs.jobs.get(number)?.job.id.clone())).collect();
        Ok(FoundJobs { ids, total: found.len() })
    }
}

impl IndexedJobs {
    /// Reads what has changed since the last search.
    async fn refresh(
        &mut self,
        cx: &IndexContext<'_>,
        written: &Mutex<Option<HashSet<JobId>>>,
    ) -> Result<(), Problem> {
        self.changed.extend(written.lock().replace(HashSet::new()).unwrap_or_default());
        self.read_feed().await?;
        if self.feed.is_none() {
            *self = Self { feed: Some(Feed::new(cx)), unread: Some(ListFrom::Skip(0)), ..Self::default() };
        }
        self.read_all(cx).await?;
        self.read_changed(cx).await.map_err(Problem::from)
    }

    /// Adds the names of changed jobs. Without a feed afterwards, changes were missed.
    async fn read_feed(&mut self) -> Result<(), StoreError> {
        match &mut self.feed {
            None => {}
            Some(Feed::Edits(edits)) => loop {
                match edits.try_recv() {
                    Ok(id) => {
                        self.changed.insert(id);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    Err(TryRecvError::Lagged(_)) => {
                        self.feed = None;
                        break;
                    }
                }
            },
            Some(Feed::ChangeLog { store, cursors, read }) => {
                if read.is_some_and(|read| read.elapsed() < POLL_INTERVAL) {
                    return Ok(());
                }
                let mut is_complete = true;
                for changes in store.changes(cursors).await? {
                    match changes.jobs {
                        ChangedJobs::Jobs(jobs) => self.changed.extend(jobs),
                        // At the first read, all jobs are read after it.
                        ChangedJobs::Unknown => is_complete = read.is_none(),
                    }
                    let known = cursors.iter_mut().find(|(shard, _)| *shard == changes.shard);
                    known.into_iter().for_each(|(_, cursor)| *cursor = changes.cursor);
                }
                *read = Some(Instant::now());
                if !is_complete {
                    self.feed = None;
                }
            }
        }
        Ok(())
    }

    /// Reads all jobs, unless they were read. A read that is cut off goes on at the next search.
    async fn read_all(&mut self, cx: &IndexContext<'_>) -> Result<(), Problem> {
        while let Some(from) = self.unread.clone() {
            if matches!(from, ListFrom::Skip(_)) {
                // The change log begins before the list.
                self.read_feed().await?;
            }
            let page = match cx.store.list(from, READ_SIZE).await {
                // The last job of the page before was removed: the order of the list is needed from its begin.
                Err(StoreError::NotFound(_)) => {
                    (self.jobs, self.numbers) = Default::default();
                    self.unread = Some(ListFrom::Skip(0));
                    continue;
                }
                page => page?,
            };
            if page.total > MAX_INDEXED_JOBS {
                let detail = format!(
                    "At most {MAX_INDEXED_JOBS} jobs can be searched, and there are {}; use only skip, count and state.",
                    page.total
                );
                return Err(Problem::new(ProblemType::Invalid, detail));
            }
            let last = page.jobs.last().filter(|_| page.jobs.len() == READ_SIZE.get());
            self.unread = last.map(|last| ListFrom::After(last.id.clone()));
            page.jobs.iter().for_each(|job| self.insert(cx, job));
        }
        Ok(())
    }

    /// Reads the changed jobs.
    async fn read_changed(&mut self, cx: &IndexContext<'_>) -> Result<(), StoreError> {
        while !self.changed.is_empty() {
            let ids: Vec<JobId> = self.changed.iter().take(READ_SIZE.get()).cloned().collect();
            let mut found = cx.store.get(&ids).await?;
            found.sort_by_key(|job| job.created);
            for id in &ids {
                self.changed.remove(id);
                let is_there = found.iter().any(|job| job.id == *id);
                if let Some(number) = self.numbers.get(id).copied().filter(|_| !is_there) {
                    self.jobs.remove(&number);
                    self.numbers.remove(id);
                }
            }
            found.iter().for_each(|job| self.insert(cx, job));
        }
        Ok(())
    }

    /// Reads how far the ticks of those jobs are settled that pass a filter, and whose last known ticks are old.
    async fn refresh_late(
        &mut self,
        cx: &IndexContext<'_>,
        filter: &JobFilter,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let late = self
            .jobs
            .values()
            .filter(|job| filter.matches_document(job, now) && job.status(cx.engine, now) == JobStatus::Late);
        let late: Vec<JobId> = late.map(|job| job.job.id.clone()).collect();
        for ids in late.chunks(READ_SIZE.get()) {
            for stored in cx.store.get(ids).await? {
                let number = self.numbers.get(&stored.id);
                if let Some(job) = number.and_then(|number| self.jobs.get_mut(number)) {
                    job.job.progress.settled = stored.progress.settled;
                }
            }
        }
        Ok(())
    }

    /// Adds or replaces a job. One that was recreated under its name is the last one.
    fn insert(&mut self, cx: &IndexContext<'_>, stored: &StoredJob) {
        let known = self.numbers.get(&stored.id).copied();
        let job = IndexedJob::new(stored, cx.summaries.get(stored, &cx.jobs, cx.clock));
        if let Some(known) = known {
            let is_same = self.jobs.get(&known).is_some_and(|job| job.job.uid == stored.uid);
            if is_same {
                self.jobs.insert(known, job);
                return;
            }
            self.jobs.remove(&known);
        }
        self.last += 1;
        self.jobs.insert(self.last, job);
        self.numbers.insert(stored.id.clone(), self.last);
    }
}

impl Feed {
    fn new(cx: &IndexContext<'_>) -> Self {
        match (cx.engine.replica(), Arc::clone(cx.store).shared()) {
            (Some(_), Some(store)) => {
                let cursors = Shard::all().map(|shard| (shard, ChangeCursor::default())).collect();
                Self::ChangeLog { store, cursors, read: None }
            }
            _ => Self::Edits(cx.engine.subscribe_to_edits()),
        }
    }
}
