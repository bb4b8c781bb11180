//! Parsed jobs that are due soon or were due lately, so that a tick does not parse a document.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;

use super::agenda::Entry;
use super::catch_up::Ticks;
use super::clock_check::{is_ahead, latest_past};
use super::inner::Core;
use crate::decide::DecisionId;
use crate::job::{AgendaView, FieldError, Job, JobContext, JobId, JobUid, Revision, StoredJob};
use crate::schedule::Dialect;
use crate::store::StoreError;

/// A stored job, parsed.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    /// The job, or why the stored document is none.
    pub(super) job: Result<Job, Vec<FieldError>>,
    /// `Progress::last_fired`, as of this process' own settlements.
    pub(super) last_fired: Mutex<Option<Timestamp>>,
    /// The newest row of its history, as of this process' own settlements; the default while there was none.
    pub(super) last_row: Mutex<DecisionId>,
}

impl Loaded {
    /// Counts the rows of a settlement that are new; the others were folded into the one before.
    pub(super) fn count_rows(&self, ids: &[DecisionId]) -> u64 {
        let mut last = self.last_row.lock();
        ids.iter().filter(|id| std::mem::replace(&mut *last, **id) != **id).count() as u64
    }
}

/// A bounded cache of parsed jobs; the keeper drops what was edited.
#[derive(Debug)]
pub(super) struct HotJobs {
    jobs: Mutex<LruCache<JobId, Arc<Loaded>>>,
}

impl HotJobs {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self { jobs: Mutex::new(LruCache::new(capacity)) }
    }

    pub(super) fn get(&self, id: &JobId) -> Option<Arc<Loaded>> {
        self.jobs.lock().get(id).cloned()
    }

    pub(super) fn forget(&self, id: &JobId) {
        self.jobs.lock().pop(id);
    }

    pub(super) fn contains(&self, id: &JobId) -> bool {
        self.jobs.lock().contains(id)
    }

    /// Drops the jobs with an earlier version that lasts beyond this moment, and returns them.
    pub(super) fn forget_lasting(&self, latest: Timestamp) -> Vec<JobId> {
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

impl Core {
    fn job_context(&self) -> JobContext<'_> {
        JobContext {
            registry: &self.registry,
            max_tasks: self.options.max_tasks,
            dialect: Dialect::Stored,
            launcher: Some(&*self.launcher),
        }
    }

    /// Makes a job of what the store holds. Versions that were replaced while a clock was ahead do not hold any more.
    pub(super) fn parse(&self, stored: &StoredJob) -> Result<Job, Vec<FieldError>> {
        stored.parse_with_ends(&self.job_context(), latest_past(self.clock.now()))
    }

    /// Makes the agenda's entry of a stored job.
    pub(super) fn entry(&self, stored: &StoredJob) -> Entry {
        let mut entry = Entry::new(stored.id.clone(), stored.uid, stored.revision, stored.changed);
        entry.settled = stored.progress.settled;
        entry.since = self.counts_since(entry.settled, stored.changed);
        match self.next_due(stored, &mut entry) {
            Ok(due) => entry.due = due,
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(job = %stored.id, problem, "a stored job is not valid and is not looked at");
                entry.invalid = true;
            }
        }
        entry
    }

    /// Returns from when on ticks of a version count. A version that was written while the clock was ahead counts from where
    /// ticks are settled.
    fn counts_since(&self, settled: Option<Timestamp>, since: Timestamp) -> Timestamp {
        let now = self.clock.now();
        settled.filter(|settled| is_ahead(since, now) && !is_ahead(*settled, now)).unwrap_or(since)
    }

    /// Reads when a stored job is looked at next, without building it where its own schedule says so.
    fn next_due(&self, stored: &StoredJob, entry: &mut Entry) -> Result<Option<Timestamp>, Vec<FieldError>> {
        if let Ok(view) = AgendaView::read(stored.document.get())
            && let Ok(Some(schedule)) = view.schedule(&stored.id, &self.commons.schedules)
        {
            let (job, jitter, after) = (stored.id.as_str(), view.jitter, entry.after());
            return Ok(Ticks { job, schedule: &schedule, jitter, earlier: &[], after }.next_due());
        }
        let job = self.parse(stored)?;
        entry.since = self.counts_since(entry.settled, job.counts_from(stored.changed));
        Ok(Ticks::of(&job, entry.after()).and_then(|ticks| ticks.next_due()))
    }

    /// Returns the jobs, parsed; those that no longer exist are left out.
    pub(super) async fn load_jobs(&self, ids: &[JobId]) -> Result<Vec<(JobId, Arc<Loaded>)>, StoreError> {
        let mut loaded = Vec::with_capacity(ids.len());
        let mut cold = Vec::new();
        for id in ids {
            match self.hot.get(id) {
                Some(hot) => loaded.push((id.clone(), hot)),
                None => cold.push(id.clone()),
            }
        }
        if !cold.is_empty() {
            let stored = self.store.get(&cold).await;
            self.note_read(&stored);
            for stored in stored? {
                let hot = Arc::new(Loaded {
                    uid: stored.uid,
                    revision: stored.revision,
                    job: self.parse(&stored),
                    last_fired: Mutex::new(stored.progress.last_fired),
                    last_row: Mutex::default(),
                });
                self.hot.jobs.lock().put(stored.id.clone(), Arc::clone(&hot));
                loaded.push((stored.id, hot));
            }
        }
        Ok(loaded)
    }
}
