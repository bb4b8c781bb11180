//! The table of tasks and tokens in memory, which answers every call but a launch. Their ages are those of the monotonic clock:
//! a wall clock that is ahead for a moment would make all of them old.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{JobId, LaunchReport, TaskId, TaskPhase, TaskState};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::data_dir::StopMarker;
use crate::limits::TOKEN_TTL;

#[cfg(test)]
mod tests;

/// How long an ended task is kept whose end no caller has observed.
const UNSEEN_RETENTION: Duration = Duration::from_hours(1);

/// The report of a token's first call, once there is one; locked while that call runs.
pub(crate) type ReportCell = Arc<Mutex<Option<LaunchReport>>>;

/// A task in the table.
#[derive(Debug)]
struct TrackedTask {
    state: TaskState,
    job: JobId,
    folder_name: String,
    stop: watch::Sender<Option<StopMarker>>,
    /// When this launcher learnt that the task ended, and whether a caller has observed it since.
    ended: Option<(Instant, bool)>,
}

/// A launch whose token is still valid.
#[derive(Debug)]
struct TokenRecord {
    report: ReportCell,
    expires: Instant,
    tasks: Vec<TaskId>,
}

/// All tasks and tokens of the launcher.
#[derive(Debug, Default)]
pub(crate) struct TaskTable {
    tasks: HashMap<TaskId, TrackedTask>,
    live: HashMap<JobId, BTreeSet<TaskId>>,
    live_count: usize,
    /// Capacity that is reserved for launches whose records are being written.
    reserved: usize,
    ended: VecDeque<TaskId>,
    tokens: HashMap<String, TokenRecord>,
}

impl TaskTable {
    /// Returns the cell of a token's report; adds the token when it is new.
    pub(crate) fn report_cell(&mut self, token: &str, now: Instant) -> ReportCell {
        let expires = now + TOKEN_TTL;
        let new = || TokenRecord { report: ReportCell::default(), expires, tasks: Vec::new() };
        self.tokens.entry(token.to_owned()).or_insert_with(new).report.clone()
    }

    /// Binds a token to its tasks, so that the token is kept at least as long as they are, and until it expires.
    pub(crate) fn bind_token(
        &mut self,
        token: &str,
        report: &ReportCell,
        expires: Instant,
        tasks: Vec<TaskId>,
    ) {
        self.tokens.insert(token.to_owned(), TokenRecord { report: report.clone(), expires, tasks });
    }

    /// Removes a token whose call started nothing, unless another call waits for the same report: if none does, the
    /// only two references are the caller's and the table's.
    pub(crate) fn remove_unused_token(&mut self, token: &str, report: &ReportCell) {
        if Arc::strong_count(report) <= 2 {
            self.tokens.remove(token);
        }
    }

    /// Reserves capacity for up to `count` tasks, of `max` in all; returns how many it reserved.
    pub(crate) fn reserve_capacity(&mut self, count: usize, max: usize) -> usize {
        let capacity = max.saturating_sub(self.live_count + self.reserved).min(count);
        self.reserved += capacity;
        capacity
    }

    /// Releases reserved capacity: the launch failed, or its tasks are about to be inserted.
    pub(crate) fn release_capacity(&mut self, count: usize) {
        self.reserved -= count;
    }

    /// Inserts a task. Returns the channel on which its supervisor receives a stop request.
    pub(crate) fn insert(
        &mut self,
        folder_name: &str,
        job: &JobId,
        state: TaskState,
        now: Instant,
    ) -> watch::Receiver<Option<StopMarker>> {
        let (stop, stop_requests) = watch::channel(None);
        let id = state.task_id.clone();
        let ended = (state.phase == TaskPhase::Stopped).then_some((now, false));
        match ended {
            Some(_) => self.ended.push_back(id.clone()),
            None => {
                self.live.entry(job.clone()).or_default().insert(id.clone());
                self.live_count += 1;
            }
        }
        let task = TrackedTask { state, job: job.clone(), folder_name: folder_name.to_owned(), stop, ended };
        self.tasks.insert(id, task);
        stop_requests
    }

    /// Changes the state of a live task.
    pub(crate) fn update(&mut self, id: &TaskId, now: Instant, change: impl FnOnce(&mut TaskState)) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        change(&mut task.state);
        if task.state.phase != TaskPhase::Stopped || task.ended.is_some() {
            return;
        }
        task.ended = Some((now, false));
        self.ended.push_back(id.clone());
        self.live_count -= 1;
        if let Some(tasks) = self.live.get_mut(&task.job) {
            tasks.remove(id);
            if tasks.is_empty() {
                self.live.remove(&task.job);
            }
        }
    }

    /// Returns the live tasks of a job.
    pub(crate) fn population(&self, job: &JobId) -> Vec<TaskId> {
        self.live.get(job).map(|tasks| tasks.iter().cloned().collect()).unwrap_or_default()
    }

    /// Returns the states of those of the tasks that are in the table, and marks the ended ones as observed.
    pub(crate) fn observe(&mut self, ids: &[TaskId]) -> Vec<TaskState> {
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(task) = self.tasks.get_mut(id) {
                if let Some((_, observed)) = &mut task.ended {
                    *observed = true;
                }
                states.push(task.state.clone());
            }
        }
        states
    }

    /// Returns the name of a task's folder, if the task is in the table.
    pub(crate) fn folder_name(&self, id: &TaskId) -> Option<&str> {
        self.tasks.get(id).map(|task| &*task.folder_name)
    }

    /// Returns the name of a task's folder and whether the task has ended, if the task is in the table.
    pub(crate) fn folder_and_end(&self, id: &TaskId) -> Option<(String, bool)> {
        self.tasks.get(id).map(|task| (task.folder_name.clone(), task.ended.is_some()))
    }

    /// Tells whether a task can be stopped: it is in the table, has not ended and has no stop request yet.
    pub(crate) fn can_stop(&self, id: &TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| task.ended.is_none() && task.stop.borrow().is_none())
    }

    /// Sends a stop request to the task's supervisor; later requests have no effect.
    pub(crate) fn request_stop(&self, id: &TaskId, request: StopMarker) {
        if let Some(task) = self.tasks.get(id) {
            task.stop.send_if_modified(|current| {
                let first = current.is_none();
                if first {
                    *current = Some(request);
                }
                first
            });
        }
    }

    /// Removes ended tasks that are older than `keep_for`, or are not among the newest `keep`. A task whose end no
    /// caller has observed is kept for an hour. Returns the names of their folders.
    pub(crate) fn prune_tasks(&mut self, now: Instant, keep: usize, keep_for: Duration) -> Vec<String> {
        let mut names = Vec::new();
        let mut excess = self.ended.len().saturating_sub(keep);
        let tasks = &mut self.tasks;
        self.ended.retain(|id| {
            let Some((at, observed)) = tasks.get(id).and_then(|task| task.ended) else {
                return false;
            };
            let age = now.saturating_duration_since(at);
            let old = age >= keep_for || excess > 0;
            if !old || (!observed && age < UNSEEN_RETENTION) {
                return true;
            }
            excess = excess.saturating_sub(1);
            names.extend(tasks.remove(id).map(|task| task.folder_name));
            false
        });
        names
    }

    /// Removes the tokens that have expired and have no task in the table, and returns them.
    pub(crate) fn prune_tokens(&mut self, now: Instant) -> Vec<String> {
        let tasks = &self.tasks;
        let expired = |record: &TokenRecord| {
            record.expires <= now
                && Arc::strong_count(&record.report) == 1
                && !record.tasks.iter().any(|id| tasks.contains_key(id))
        };
        self.tokens.extract_if(|_, record| expired(record)).map(|(token, _)| token).collect()
    }
}
