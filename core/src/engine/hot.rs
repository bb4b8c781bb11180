//! Parsed jobs that are due soon or were due lately, so that a tick does not parse a document.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;

use super::agenda::{Entry, Timing};
use super::core::Core;
use super::plan::Ticks;
use crate::job::{AgendaView, FieldError, Job, JobContext, JobId, JobUid, Revision, StoredJob};
use crate::schedule::{Dialect, Schedule};
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
}

/// When a job is looked at, parsed and as the agenda keeps it.
struct Outline {
    schedule: Option<Schedule>,
    jitter: Option<std::time::Duration>,
    timing: Timing,
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

    /// Makes the agenda's entry of a stored job.
    pub(super) fn entry(&self, stored: &StoredJob) -> Entry {
        let mut entry = Entry::new(stored.id.clone(), stored.uid, stored.revision, stored.changed);
        entry.settled = stored.progress.settled;
        match self.outline(stored) {
            Ok(Outline { schedule, jitter, timing }) => {
                let after = entry.after();
                let ticks = |schedule| Ticks { job: stored.id.as_str(), schedule, jitter, after };
                entry.due = schedule.as_ref().and_then(|schedule| ticks(schedule).next_due());
                entry.timing = timing;
            }
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(job = %stored.id, problem, "a stored job is not valid and is not looked at");
                entry.invalid = true;
            }
        }
        entry
    }

    /// Reads when a stored job is looked at, without building it where its own schedule says so.
    fn outline(&self, stored: &StoredJob) -> Result<Outline, Vec<FieldError>> {
        if let Ok(view) = AgendaView::read(stored.document.get())
            && let Ok(Some(schedule)) = view.schedule(&stored.id, &self.commons.schedules)
            && let Some(timing) = keep(&view, &schedule)
        {
            return Ok(Outline { schedule: Some(schedule), jitter: view.jitter, timing });
        }
        let job = stored.parse(&self.job_context())?;
        let (schedule, jitter) = (job.ticks().cloned(), job.policy.jitter);
        let timing =
            schedule.clone().map_or(Timing::Never, |schedule| Timing::Parsed(Box::new((schedule, jitter))));
        Ok(Outline { schedule, jitter, timing })
    }

    /// Returns the ticks of a job in the agenda.
    pub(super) fn schedule(&self, entry: &Entry) -> Option<Schedule> {
        match &entry.timing {
            Timing::Never => None,
            Timing::Text(text) => {
                let view = AgendaView::read(text).ok()?;
                view.schedule(&entry.id, &self.commons.schedules).ok()?
            }
            Timing::Shared(schedule) => Some(schedule.clone()),
            Timing::Parsed(parsed) => Some(parsed.0.clone()),
        }
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
                    job: stored.parse(&self.job_context()),
                    last_fired: Mutex::new(stored.progress.last_fired),
                });
                self.hot.jobs.lock().put(stored.id.clone(), Arc::clone(&hot));
                loaded.push((stored.id, hot));
            }
        }
        Ok(loaded)
    }
}

/// Keeps when a job is looked at in as little memory as it takes; nothing when the job must be built for that.
fn keep(view: &AgendaView<'_>, schedule: &Schedule) -> Option<Timing> {
    if schedule.is_shared() && view.jitter.is_none() {
        return Some(Timing::Shared(schedule.clone()));
    }
    view.compact().ok().map(|text| Timing::Text(text.into()))
}
