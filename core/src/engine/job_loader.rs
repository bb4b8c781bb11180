//! Reads jobs from the store: parsed jobs for rounds, entries for the agenda.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::value::to_raw_value;

use super::agenda::AgendaEntry;
use super::catch_up::Ticks;
use super::inner::EngineInner;
use super::job_cache::CachedJob;
use super::notices::Notice;
use super::store_calls::StoreCalls;
use crate::clock::is_ahead;
use crate::id::JobId;
use crate::job::{self, FieldError, Job, JobContext, ScheduleView, StoredJob};
use crate::schedule::Strictness;
use crate::store::StoreError;

impl EngineInner {
    /// Returns the context for reading stored documents.
    pub(super) fn job_context(&self) -> JobContext<'_> {
        JobContext {
            registry: &self.registry,
            max_tasks: self.options.max_tasks,
            strictness: Strictness::Lenient,
            launcher: Some(self.launcher.inner()),
            channels: None,
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
        let Some(document) = job::correction(stored, &self.job_context(), now) else { return Ok(()) };
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
        // A start also finds suspensions that nobody was notified of before a crash.
        let oldest = self.clock.now().saturating_sub(Notice::MAX_AGE).unwrap_or(Timestamp::MIN);
        if entry.suspended && stored.changed >= oldest {
            self.notices.push(|| Notice::suspension(stored));
        }
        entry
    }

    /// Returns the moment after which ticks of a version count. A version that was written while the clock was ahead counts
    /// from the newest settled tick.
    pub(super) fn ticks_count_from(&self, settled: Option<Timestamp>, since: Timestamp) -> Timestamp {
        let now = self.clock.now();
        settled.filter(|settled| is_ahead(since, now) && !is_ahead(*settled, now)).unwrap_or(since)
    }

    /// Returns the first tick of a stored job that has no outcome.
    pub(super) fn first_open_tick(&self, stored: &StoredJob, job: &Job) -> Option<Timestamp> {
        let settled = stored.progress.settled;
        let since = self.ticks_count_from(settled, job.counts_from(stored.changed));
        job.ticks()?.next_after(settled.map_or(since, |settled| settled.max(since)))
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
            entry.suspended = view.suspension.is_some();
            return Ok(Ticks { job, schedule: &schedule, jitter, earlier: &[], after }.next_due());
        }
        let job = self.parse(stored)?;
        entry.suspended = job.suspension.is_some();
        entry.since = self.ticks_count_from(entry.settled, job.counts_from(stored.changed));
        Ok(Ticks::from_job(&job, entry.after()).and_then(|ticks| ticks.next_due()))
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
                self.job_cache.insert(stored.id.clone(), Arc::clone(&cached));
                loaded.push((stored.id, cached));
            }
        }
        Ok(loaded)
    }
}
