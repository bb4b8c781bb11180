//! Tracks sources, counts, launches and records that fail: for which jobs, and since when.
//!
//! Many jobs may read one source. The log has one line when a source begins to fail for the first of them, and one when
//! the last of them can read it again. It has one line when the launches of a job begin to fail for a reason, and one when the
//! job launches again; and the same for launches that start fewer tasks than requested, and for records that the store refuses.

mod failed_ticks;
mod failing_job;
mod incomplete;
mod lasting;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::failing_tasks::FailingTasks;
use crate::decide::TickOutcome;
use crate::firing::Firing;
use crate::job::{JobId, JobUid};
use crate::task::TaskEnd;
use incomplete::IncompleteLaunches;
use lasting::LastingFaults;

pub(crate) use failed_ticks::FailedTicks;
pub use failed_ticks::Failing;
pub(super) use failing_job::FailingJob;
pub(crate) use lasting::FaultyAction;

/// How many removed jobs are remembered.
const MAX_REMOVED: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// The subject of a read on behalf of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ReadSubject {
    /// The source of its trigger.
    Trigger,
    /// The running tasks of the job.
    Tasks,
}

/// A failed read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedRead<'a> {
    pub(crate) job: &'a JobId,
    pub(crate) tick: Timestamp,
    /// The failed action and its object, the same for every job that shares the source.
    pub(crate) source: &'a str,
    /// The same, with causes.
    pub(crate) error: &'a str,
}

/// The failing jobs and sources of a process.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    state: Mutex<FaultState>,
    /// Counts failures and recoveries of jobs.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct FaultState {
    /// The failing ticks of each job, and the number of its engine.
    jobs: HashMap<JobUid, (u64, FailedTicks)>,
    /// The failing tasks of each job, its name, and the number of its engine.
    failing_tasks: HashMap<JobUid, (u64, JobId, FailingTasks)>,
    /// Jobs whose failures are being read from the journal, and nothing newer is known.
    recalling: HashSet<JobUid>,
    /// The source that each job cannot read.
    unreadable: HashMap<(JobUid, ReadSubject), (u64, String)>,
    sources: HashMap<(ReadSubject, String), SourceFault>,
    lasting: LastingFaults,
    incomplete: IncompleteLaunches,
    /// Jobs that were removed. Their last launches and tasks may still fail, and concern nobody.
    removed: RemovedJobs,
}

/// The jobs that were removed last.
#[derive(Debug)]
struct RemovedJobs(LruCache<JobUid, ()>);

impl Default for RemovedJobs {
    fn default() -> Self {
        Self(LruCache::new(MAX_REMOVED))
    }
}

#[derive(Debug)]
struct SourceFault {
    error: String,
    since: Timestamp,
    /// The jobs that cannot read it now.
    jobs: usize,
    most_jobs: usize,
    failures: u64,
}

impl Faults {
    /// Records that something could not be read for a job.
    pub(crate) fn record_unreadable(
        &self,
        engine: u64,
        uid: JobUid,
        subject: ReadSubject,
        failure: FailedRead<'_>,
    ) {
        let mut known = self.state.lock();
        let before = known.unreadable.insert((uid, subject), (engine, failure.source.to_owned()));
        let is_new = before.as_ref().is_none_or(|(_, source)| source != failure.source);
        if let Some((_, source)) = before.filter(|_| is_new) {
            known.release_source(subject, &source, false);
        }
        match known.sources.entry((subject, failure.source.to_owned())) {
            Entry::Occupied(mut source) => {
                let source = source.get_mut();
                source.jobs += usize::from(is_new);
                source.most_jobs = source.most_jobs.max(source.jobs);
                source.failures += 1;
                failure.error.clone_into(&mut source.error);
            }
            Entry::Vacant(entry) => {
                let FailedRead { job, tick, error, .. } = failure;
                match subject {
                    ReadSubject::Trigger => tracing::warn!(%job, %tick, error, "a source cannot be read"),
                    ReadSubject::Tasks => {
                        tracing::warn!(%job, %tick, error, "running tasks cannot be counted")
                    }
                }
                let error = error.to_owned();
                entry.insert(SourceFault { error, since: tick, jobs: 1, most_jobs: 1, failures: 1 });
            }
        }
    }

    /// Records that it could be read for a job.
    pub(crate) fn record_readable(&self, uid: JobUid, subject: ReadSubject) {
        let mut known = self.state.lock();
        if known.unreadable.is_empty() {
            return;
        }
        if let Some((_, source)) = known.unreadable.remove(&(uid, subject)) {
            known.release_source(subject, &source, true);
        }
    }

    /// Records failed ticks of a job.
    pub(crate) fn record_failed_ticks(&self, engine: u64, uid: JobUid, failed: FailedTicks) {
        let mut known = self.state.lock();
        if known.removed.0.contains(&uid) {
            return;
        }
        known.recalling.remove(&uid);
        self.record_change(true);
        let row = known.jobs.remove(&uid).filter(|(_, row)| row.failing.outcome == failed.failing.outcome);
        let failed = match row {
            Some((_, FailedTicks { failing: Failing { since, ticks, .. }, .. })) => FailedTicks {
                failing: Failing { since, ticks: ticks + failed.failing.ticks, ..failed.failing },
                ..failed
            },
            None => failed,
        };
        known.jobs.insert(uid, (engine, failed));
    }

    /// Begins to read the failures of a job from the journal.
    pub(crate) fn begin_recall(&self, uid: JobUid) {
        self.state.lock().recalling.insert(uid);
    }

    /// Records the failures of a job from the journal, unless this process knows of earlier ones in the same row. Returns whether
    /// nothing newer has happened since [`Self::begin_recall`].
    pub(crate) fn end_recall(
        &self,
        engine: u64,
        uid: JobUid,
        ticks: Option<FailedTicks>,
        tasks: Option<(JobId, FailingTasks)>,
    ) -> bool {
        let mut known = self.state.lock();
        if !known.recalling.remove(&uid) {
            return false;
        }
        self.record_change(ticks.is_some() || tasks.is_some());
        if let Some(failed) = ticks
            && known.jobs.get(&uid).is_none_or(|(_, row)| failed.failing.since < row.failing.since)
        {
            known.jobs.insert(uid, (engine, failed));
        }
        if let Some((job, failing)) = tasks
            && known.failing_tasks.get(&uid).is_none_or(|(.., row)| failing.since < row.since)
        {
            known.failing_tasks.insert(uid, (engine, job, failing));
        }
        true
    }

    /// Records a decided tick of a job, and whether it launched tasks. A tick that launches nothing does not show that
    /// launches work again.
    pub(crate) fn record_decided(&self, uid: &JobUid, launched: bool) {
        let mut known = self.state.lock();
        known.recalling.remove(uid);
        let Some((_, FailedTicks { failing: Failing { outcome, since, ticks, .. }, .. })) =
            known.jobs.get(uid)
        else {
            return;
        };
        let of_launch = matches!(outcome, TickOutcome::LaunchFailed | TickOutcome::Unknown);
        if launched && of_launch {
            tracing::warn!(%since, failed_ticks = ticks, "a job launches again");
        }
        if launched || !of_launch {
            known.jobs.remove(uid);
            self.record_change(true);
        }
    }

    /// Records whether a firing started all of its tasks.
    pub(crate) fn record_launched(&self, engine: u64, firing: &Firing) {
        let mut known = self.state.lock();
        if firing.shortfall() == 0 {
            known.incomplete.record_complete(&firing.uid);
        } else {
            known.incomplete.record_partial(engine, firing);
        }
    }

    /// Tells whether the newest tick of a job failed or started too few tasks for a reason, or for one that ends with it.
    pub(crate) fn is_repeated(&self, uid: &JobUid, reason: &str) -> bool {
        let known = self.state.lock();
        let row = known.jobs.get(uid);
        row.is_some_and(|(_, row)| row.failing.reason.ends_with(reason))
            || known.incomplete.is_repeated(uid, reason)
    }

    /// Records why a call of a tick's firing is retried; returns whether the job's last one was for another reason.
    pub(crate) fn record_retry(&self, engine: u64, uid: JobUid, reason: &str) -> bool {
        self.state.lock().incomplete.record_retry(engine, uid, reason)
    }

    /// Records that an action fails for a job for a reason that does not pass, which concerns this many ticks; returns whether it
    /// did not fail before.
    pub(crate) fn record_lasting(
        &self,
        engine: u64,
        (uid, action): (JobUid, FaultyAction),
        error: &str,
        ticks: u64,
        now: Timestamp,
    ) -> bool {
        let mut known = self.state.lock();
        !known.removed.0.contains(&uid) && known.lasting.record(engine, (uid, action), error, ticks, now)
    }

    /// Records that an action works for a job.
    pub(crate) fn end_lasting(&self, job: &JobId, uid: JobUid, action: FaultyAction) {
        let ended = self.state.lock().lasting.end(uid, action);
        if let Some(since) = ended {
            tracing::info!(%job, %since, ?action, "an action that failed for a job works again");
        }
    }

    /// Records the jobs whose tasks cannot be observed now, each with the reason.
    pub(crate) fn record_unobserved(&self, engine: u64, jobs: &HashMap<JobUid, &str>, now: Timestamp) {
        let mut known = self.state.lock();
        let action = FaultyAction::ObserveTasks;
        known.lasting.end_others(engine, action, |uid| jobs.contains_key(uid));
        let RemovedJobs(removed) = &known.removed;
        let there: Vec<_> = jobs.iter().filter(|(uid, _)| !removed.contains(*uid)).collect();
        for (uid, error) in there {
            known.lasting.record(engine, (*uid, action), error, 0, now);
        }
    }

    /// Forgets a job that was removed, and what is still recorded about it.
    pub(crate) fn remove(&self, uid: &JobUid) {
        self.forget(uid);
        self.state.lock().removed.0.put(*uid, ());
    }

    /// Takes back a removal: the job is there.
    pub(crate) fn restore(&self, uid: &JobUid) {
        self.state.lock().removed.0.pop(uid);
    }

    /// Forgets a job that was edited.
    pub(crate) fn forget(&self, uid: &JobUid) {
        let mut known = self.state.lock();
        known.recalling.remove(uid);
        let failed = (known.jobs.remove(uid).is_some(), known.failing_tasks.remove(uid).is_some());
        self.record_change(failed.0 || failed.1);
        known.lasting.forget(uid);
        known.incomplete.forget(uid);
        drop(known);
        self.forget_reads(uid);
    }

    /// Forgets the failed reads of a job that has no further ticks.
    pub(crate) fn forget_reads(&self, uid: &JobUid) {
        let mut known = self.state.lock();
        for subject in [ReadSubject::Trigger, ReadSubject::Tasks] {
            if let Some((_, source)) = known.unreadable.remove(&(*uid, subject)) {
                known.release_source(subject, &source, false);
            }
        }
    }

    /// Forgets every job of an engine that has stopped.
    pub(crate) fn forget_engine(&self, engine: u64) {
        let mut known = self.state.lock();
        known.jobs.retain(|_, (of, _)| *of != engine);
        known.failing_tasks.retain(|_, (of, ..)| *of != engine);
        known.lasting.forget_engine(engine);
        known.incomplete.forget_engine(engine);
        let gone: Vec<_> =
            known.unreadable.iter().filter(|(_, (of, _))| *of == engine).map(|(key, _)| *key).collect();
        for key in gone {
            if let Some((_, source)) = known.unreadable.remove(&key) {
                known.release_source(key.1, &source, false);
            }
        }
    }

    /// Records the end of a firing's tasks. The log has one line when the tasks of a job begin to fail, and one when they succeed
    /// again.
    pub(crate) fn record_end(&self, engine: u64, firing: &Firing) {
        let mut known = self.state.lock();
        if known.removed.0.contains(&firing.uid) {
            return;
        }
        if matches!(firing.end(), Some(TaskEnd::Failed | TaskEnd::Succeeded)) {
            known.recalling.remove(&firing.uid);
        }
        match firing.end() {
            // The firing that starts its tasks again tells.
            Some(TaskEnd::Failed) if firing.retry.by.is_some() => {}
            Some(TaskEnd::Failed) => {
                drop(known);
                self.record_failed_tasks(engine, firing);
            }
            Some(TaskEnd::Succeeded) => {
                if let Some((.., FailingTasks { since, firings, .. })) =
                    known.failing_tasks.remove(&firing.uid)
                {
                    self.record_change(true);
                    tracing::warn!(job = %firing.job, firing = %firing.id, %since, failed_firings = firings, "the tasks of a job succeed again");
                }
            }
            Some(TaskEnd::Stopped) | None => {}
        }
    }

    /// Records that tasks of a firing have failed, and that no other firing starts them again.
    pub(crate) fn record_failed_tasks(&self, engine: u64, firing: &Firing) {
        let mut known = self.state.lock();
        let Some(mut failing) =
            FailingTasks::from_firing(firing).filter(|_| !known.removed.0.contains(&firing.uid))
        else {
            return;
        };
        known.recalling.remove(&firing.uid);
        let before = known.failing_tasks.get(&firing.uid).map(|(.., failing)| failing);
        let failed = firing.tasks.iter().filter(|task| task.end() == Some(TaskEnd::Failed)).count();
        let (cause, of) = (&failing.diagnosis, firing.tasks.len());
        match before {
            None => {
                tracing::warn!(job = %firing.job, firing = %firing.id, failed, of, %cause, "the tasks of a job fail");
            }
            Some(earlier) => (failing.since, failing.firings) = (earlier.since, earlier.firings + 1),
        }
        self.record_change(true);
        known.failing_tasks.insert(firing.uid, (engine, firing.job.clone(), failing));
    }

    /// Subscribes to failures and recoveries of jobs.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn record_change(&self, is_change: bool) {
        if is_change {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Returns the names of an engine's failing jobs.
    pub(crate) fn names_of(&self, engine: u64) -> BTreeSet<JobId> {
        let known = self.state.lock();
        let ticks = known.jobs.values().filter(|(of, _)| *of == engine).map(|(_, row)| &row.job);
        let tasks = known.failing_tasks.values().filter(|(of, ..)| *of == engine).map(|(_, job, _)| job);
        ticks.chain(tasks).cloned().collect()
    }

    /// Returns the number of jobs whose tasks fail.
    pub(crate) fn jobs_with_failing_tasks(&self) -> usize {
        self.state.lock().failing_tasks.len()
    }

    pub(crate) fn failing_tasks(&self, uid: &JobUid) -> Option<FailingTasks> {
        self.state.lock().failing_tasks.get(uid).map(|(.., failing)| failing.clone())
    }

    /// Returns the fault of a job: of its records, of its ticks, or of its tasks.
    pub(crate) fn get(&self, uid: &JobUid) -> Option<Failing> {
        let known = self.state.lock();
        let ticks = || known.jobs.get(uid).map(|(_, row)| &row.failing);
        known.lasting.get(uid, true).or_else(ticks).or_else(|| known.lasting.get(uid, false)).cloned()
    }

    /// Returns the number of jobs that fail.
    pub(crate) fn failing_jobs(&self) -> usize {
        let known = self.state.lock();
        let lasting: HashSet<&JobUid> = known.lasting.jobs().collect();
        known.jobs.len() + lasting.iter().filter(|uid| !known.jobs.contains_key(**uid)).count()
    }

    /// Describes the source that fails for most jobs.
    pub(crate) fn source_fault(&self) -> Option<String> {
        self.state.lock().worst_source(ReadSubject::Trigger)
    }

    /// Describes why tasks cannot be counted, launched, observed or stopped.
    pub(crate) fn launcher_fault(&self, now: Timestamp) -> Option<String> {
        let known = self.state.lock();
        if let Some(text) = known.worst_source(ReadSubject::Tasks) {
            return Some(text);
        }
        let counting =
            known.jobs.values().filter(|(_, row)| row.counts_until.is_none_or(|until| now < until));
        let failing = counting.map(|(_, row)| &row.failing);
        let launches: Vec<_> =
            failing.filter(|failing| failing.outcome == TickOutcome::LaunchFailed).collect();
        match launches.iter().min_by_key(|failing| failing.since) {
            Some(oldest) => Some(describe_fault(&oldest.reason, launches.len(), oldest.since)),
            None => known.lasting.launcher_fault(),
        }
    }
}

impl FaultState {
    /// Counts one job less for a failing source, and removes the source with its last job.
    fn release_source(&mut self, subject: ReadSubject, source: &str, readable: bool) {
        let Entry::Occupied(mut entry) = self.sources.entry((subject, source.to_owned())) else { return };
        entry.get_mut().jobs -= 1;
        if entry.get().jobs > 0 {
            return;
        }
        let SourceFault { error, since, most_jobs: jobs, failures, .. } = entry.remove();
        if !readable {
            return;
        }
        match subject {
            ReadSubject::Trigger => {
                tracing::info!(%since, jobs, failures, error, "a source can be read again")
            }
            ReadSubject::Tasks => {
                tracing::info!(%since, jobs, failures, error, "running tasks can be counted again")
            }
        }
    }

    fn worst_source(&self, subject: ReadSubject) -> Option<String> {
        let sources = self.sources.iter().filter(|((of, _), _)| *of == subject).map(|(_, source)| source);
        let worst = sources.max_by_key(|source| (source.jobs, std::cmp::Reverse(source.since)))?;
        Some(describe_fault(&worst.error, worst.jobs, worst.since))
    }
}

fn describe_fault(reason: &str, jobs: usize, since: Timestamp) -> String {
    let jobs = if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") };
    format!("{reason} ({jobs}, since {since:.0})")
}
