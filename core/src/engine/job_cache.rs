//! A cache of parsed jobs that are due soon or were due lately, so that a tick does not parse a document.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::value::to_raw_value;

use super::agenda::AgendaEntry;
use super::catch_up::Ticks;
use super::inner::EngineInner;
use super::store_calls::StoreCalls;
use crate::clock::is_ahead;
use crate::decide::DecisionId;
use crate::job::{FieldError, Job, JobContext, JobId, JobUid, Revision, ScheduleView, StoredJob};
use crate::schedule::Strictness;
use crate::store::StoreError;

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

impl EngineInner {
    fn job_context(&self) -> JobContext<'_> {
        JobContext {
            registry: &self.registry,
            max_tasks: self.options.max_tasks,
            strictness: Strictness::Lenient,
            launcher: Some(&*self.launcher),
        }
    }

    /// Parses a stored job. Versions that were replaced while a clock was ahead are over; the loop makes that durable.
    pub(super) fn parse(&self, stored: &StoredJob) -> Result<Job, Vec<FieldError>> {
        let Some(document) = stored.end_future_versions(self.clock.now()) else {
            return stored.parse(&self.job_context());
        };
        self.future_versions.lock().insert(stored.id.clone());
        Job::parse(&stored.id, &document, &self.job_context())
    }

    /// Replaces a job whose earlier version lasts beyond now; does nothing when there is no such version.
    pub(super) async fn correct_future_version(
        &self,
        stored: &StoredJob,
        store: &StoreCalls,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Some(document) = crate::job::correction(stored, &self.job_context(), now) else { return Ok(()) };
        let document = to_raw_value(&document).expect("a document of a store is plain data");
        match store.replace(stored, document, now).await {
            // The job was edited or removed in the meantime, which ends the version as well.
            Ok(_) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the agenda's entry of a stored job.
    pub(super) fn agenda_entry(&self, stored: &StoredJob) -> AgendaEntry {
        let mut entry = AgendaEntry::new(stored.id.clone(), stored.uid, stored.revision, stored.changed);
        entry.settled = stored.progress.settled;
        entry.since = self.ticks_count_from(entry.settled, stored.changed);
        match self.next_due(stored, &mut entry) {
            Ok(due) => entry.due = due,
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(job = %stored.id, problem, "a stored job is not valid and is not evaluated");
                entry.invalid = true;
            }
        }
        entry
    }

    /// Returns the moment after which ticks of a version count. A version that was written while the clock was ahead counts
    /// from the newest settled tick.
    fn ticks_count_from(&self, settled: Option<Timestamp>, since: Timestamp) -> Timestamp {
        let now = self.clock.now();
        settled.filter(|settled| is_ahead(since, now) && !is_ahead(*settled, now)).unwrap_or(since)
    }

    /// Reads when a stored job is due next. A job with a schedule of its own is not parsed in full.
    fn next_due(
        &self,
        stored: &StoredJob,
        entry: &mut AgendaEntry,
    ) -> Result<Option<Timestamp>, Vec<FieldError>> {
        if let Ok(view) = ScheduleView::read(stored.document.get())
            && let Ok(Some(schedule)) = view.schedule(&stored.id, &self.process.schedules)
        {
            let (job, jitter, after) = (stored.id.as_str(), view.jitter, entry.after());
            return Ok(Ticks { job, schedule: &schedule, jitter, earlier: &[], after }.next_due());
        }
        let job = self.parse(stored)?;
        entry.since = self.ticks_count_from(entry.settled, job.counts_from(stored.changed));
        Ok(Ticks::of(&job, entry.after()).and_then(|ticks| ticks.next_due()))
    }

    /// Returns the parsed jobs, from the cache or the store; jobs that no longer exist are left out.
    pub(super) async fn load_jobs(&self, ids: &[JobId]) -> Result<Vec<(JobId, Arc<CachedJob>)>, StoreError> {
        let mut loaded = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.job_cache.get(id) {
                Some(cached) => loaded.push((id.clone(), cached)),
                None => missing.push(id.clone()),
            }
        }
        if !missing.is_empty() {
            for stored in self.store.get(&missing).await? {
                let cached = Arc::new(CachedJob {
                    uid: stored.uid,
                    revision: stored.revision,
                    job: self.parse(&stored),
                    last_fired: Mutex::new(stored.progress.last_fired),
                    last_row: Mutex::default(),
                });
                self.job_cache.jobs.lock().put(stored.id.clone(), Arc::clone(&cached));
                loaded.push((stored.id, cached));
            }
        }
        Ok(loaded)
    }
}
