//! The task tracker: the tasks that the scheduler has launched and that have not ended, in memory.

mod event_counter;
mod job_tasks;
mod launch_history;
mod lifetime;

use std::sync::Arc;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::firing::{Firing, FiringId};
use crate::job::{JobUid, Revision};
use crate::queue::{HistorySample, OwnTasks, QueueFacts};
use crate::task::{Population, TaskId};
use crate::trigger::QueueReading;
use job_tasks::JobTasks;
use launch_history::LaunchHistory;

#[cfg(test)]
mod tests;

/// How often unused queue histories are dropped.
const SWEEP_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// Tracks, per job, the tasks that are reserved, pending or running.
#[derive(Debug, Default)]
pub(super) struct TaskTracker {
    jobs: Mutex<TasksByJob>,
}

#[derive(Debug, Default)]
struct TasksByJob {
    by_job: HashMap<JobUid, JobTasks>,
    swept: Option<Timestamp>,
}

/// A reading of a job's queue, to be combined with the tasks that are known at the same moment.
#[derive(Debug)]
pub(super) struct QueueSample<'a> {
    pub(super) uid: &'a JobUid,
    pub(super) revision: Revision,
    /// When the counts were requested.
    pub(super) asked: Timestamp,
    pub(super) now: Timestamp,
    pub(super) settle: SignedDuration,
    pub(super) reading: &'a QueueReading,
    pub(super) reported: &'a Population,
    /// Whether the sample is kept in the queue's history; that of a dry run is not.
    pub(super) remember: bool,
}

/// Tasks and firings of a job that were decided before a firing and have not ended.
#[derive(Debug, Default)]
pub(super) struct EarlierWork {
    /// The number of firings that may still start tasks.
    pub(super) firings: usize,
    /// The tasks that are pending or running.
    pub(super) tasks: Vec<TaskId>,
}

impl TaskTracker {
    /// Records the tasks that a firing still reserves and those that it has started.
    pub(super) fn record_firing(&self, firing: &Firing, now: Timestamp) {
        let mut jobs = self.jobs.lock();
        let tasks = jobs.by_job.entry(firing.uid).or_default();
        tasks.record_firing(firing, now);
        if tasks.is_empty() {
            jobs.by_job.remove(&firing.uid);
        }
    }

    /// Forgets the reserved and live tasks of a firing that no part of the engine works on any more. Tasks that still run count
    /// as long as the launcher reports them.
    pub(super) fn release(&self, firing: &Firing) {
        let mut jobs = self.jobs.lock();
        if let Some(tasks) = jobs.by_job.get_mut(&firing.uid) {
            tasks.release(firing);
            if tasks.is_empty() {
                jobs.by_job.remove(&firing.uid);
            }
        }
    }

    /// Returns how many tasks of the job are pending, running or reserved: the known tasks united with those that the launcher
    /// reports, less those that are known to have ended.
    pub(super) fn busy(&self, uid: &JobUid, reported: &Population, now: Timestamp) -> u32 {
        match self.jobs.lock().by_job.get_mut(uid) {
            None => u32::try_from(reported.tasks.len()).unwrap_or(u32::MAX),
            Some(tasks) => tasks.busy(reported, now),
        }
    }

    /// Returns whether the job has a history of launches and exits for the queue rule.
    pub(super) fn has_launch_history(&self, uid: &JobUid) -> bool {
        let jobs = self.jobs.lock();
        let history = jobs.by_job.get(uid).and_then(|tasks| tasks.launch_history.as_ref());
        history.is_some_and(|history| !history.is_invalidated())
    }

    /// Invalidates the history of the job if it cannot answer for this settle time and visibility timeout.
    pub(super) fn require_launch_history(
        &self,
        uid: &JobUid,
        settle: SignedDuration,
        hidden: SignedDuration,
    ) {
        let mut jobs = self.jobs.lock();
        let history = jobs.by_job.get_mut(uid).and_then(|tasks| tasks.launch_history.as_mut());
        if let Some(history) = history.filter(|history| !history.covers(settle, hidden)) {
            history.invalidate();
        }
    }

    /// Starts the history of the job's launches and exits with those in the journal.
    pub(super) fn start_launch_history(&self, uid: &JobUid, journalled: &[Firing], now: Timestamp) {
        let mut jobs = self.jobs.lock();
        if jobs.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL) {
            jobs.swept = Some(now);
            for tasks in jobs.by_job.values_mut() {
                tasks.launch_history.take_if(|history| history.is_stale(now));
            }
            jobs.by_job.retain(|_, tasks| !tasks.is_empty());
        }
        let tasks = jobs.by_job.entry(*uid).or_default();
        if tasks.launch_history.as_ref().is_none_or(|history| history.is_invalidated()) {
            let past = tasks.lifetimes(journalled, now);
            tasks.launch_history = Some(Box::new(LaunchHistory::new(past, now)));
        }
    }

    /// Returns the facts that follow from a sample of the queue, and the number of busy tasks at the same moment.
    ///
    /// A job without a [history](Self::start_launch_history) has no tasks of its own.
    pub(super) fn record_sample(&self, sample: &QueueSample<'_>) -> (QueueFacts, u32) {
        let mut jobs = self.jobs.lock();
        let mut unknown_job = JobTasks::default();
        let tasks = jobs.by_job.get_mut(sample.uid).unwrap_or(&mut unknown_job);
        let busy = tasks.busy(sample.reported, sample.now);
        let unclaimed = tasks.not_started(sample.now).min(busy);
        let reserved = tasks.reserved_tasks();
        // A dry run leaves the history as it is.
        let mut temporary;
        let history = match &mut tasks.launch_history {
            Some(history) if sample.remember => history,
            history => {
                temporary =
                    history.clone().unwrap_or_else(|| Box::new(LaunchHistory::new(Vec::new(), sample.now)));
                &mut temporary
            }
        };
        let tasks = OwnTasks { busy, not_started: unclaimed, ..history.own_tasks(sample, reserved) };
        let counted = HistorySample {
            requested: sample.asked,
            reading: sample.reading,
            tasks: &tasks,
            settle: sample.settle,
        };
        let mut memory = history.memory(sample.revision);
        let facts = memory.record(&counted);
        if sample.remember {
            history.remember(sample.revision, memory, sample.now);
        }
        (facts, busy)
    }

    /// Returns the later replacement that supersedes this firing, if there is one.
    pub(super) fn superseding(&self, firing: &Firing) -> Option<FiringId> {
        self.jobs.lock().by_job.get(&firing.uid)?.superseding(firing.decision)
    }

    /// Waits until a later replacement supersedes this open firing.
    pub(super) async fn superseded(&self, firing: &Firing) {
        let changed = self.changed(firing);
        loop {
            let change = changed.notified();
            if self.superseding(firing).is_some() {
                return;
            }
            change.await;
        }
    }

    /// Returns the job's firings and tasks that were decided before this firing and have not ended.
    pub(super) fn earlier_work(&self, firing: &Firing) -> EarlierWork {
        let jobs = self.jobs.lock();
        jobs.by_job.get(&firing.uid).map(|tasks| tasks.earlier_work(firing.decision)).unwrap_or_default()
    }

    /// Returns the number of the job's tasks that exist, or may exist at any moment, without those that this firing is still to
    /// start. If it is below the limit, the tasks of this firing are reserved: they count for every other firing from now on.
    pub(super) fn reserve(&self, firing: &Firing, limit: u32) -> u32 {
        self.jobs.lock().by_job.get_mut(&firing.uid).map_or(0, |tasks| tasks.reserve(firing, limit))
    }

    /// Returns a notifier of changes to the tasks of an open firing's job.
    pub(super) fn changed(&self, firing: &Firing) -> Arc<Notify> {
        self.jobs.lock().by_job.entry(firing.uid).or_default().changed()
    }

    /// Returns the known tasks of the job that have not ended.
    pub(super) fn live_tasks(&self, uid: &JobUid) -> Vec<TaskId> {
        let jobs = self.jobs.lock();
        jobs.by_job.get(uid).map(|tasks| tasks.live.keys().cloned().collect()).unwrap_or_default()
    }

    /// Describes a few of the job's tasks that are pending, running or reserved, and since when.
    pub(super) fn describe_tasks(&self, uid: &JobUid, reported: &Population) -> String {
        let jobs = self.jobs.lock();
        match jobs.by_job.get(uid) {
            None => JobTasks::default().describe_tasks(reported),
            Some(tasks) => tasks.describe_tasks(reported),
        }
    }

    /// Invalidates every launch history; it is read again from the journal when its job is next evaluated.
    pub(super) fn invalidate_launch_history(&self) {
        let mut jobs = self.jobs.lock();
        jobs.by_job
            .values_mut()
            .filter_map(|tasks| tasks.launch_history.as_mut())
            .for_each(|history| history.invalidate());
    }

    /// Returns the number of pending or running tasks of all jobs.
    pub(super) fn total_live(&self) -> usize {
        self.jobs.lock().by_job.values().map(|tasks| tasks.live.len()).sum()
    }
}
