//! What the launcher knows of its tasks, in memory: every question but a start is answered from here.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ecs_scheduler_core::{JobId, LaunchReport, TaskId, TaskPhase, TaskState, Timestamp};
use jiff::SignedDuration;
use tokio::sync::{Mutex, watch};

use crate::data_dir::StopOrder;

#[cfg(test)]
mod tests;

/// How long an ended task is kept that nobody has asked for since it ended.
const UNSEEN_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The report of a token's first call, once there is one; held while that call is under way.
pub(crate) type Slot = Arc<Mutex<Option<LaunchReport>>>;

/// One task.
#[derive(Debug)]
struct Entry {
    state: TaskState,
    job: JobId,
    name: String,
    stop: watch::Sender<Option<StopOrder>>,
    /// When this launcher learnt that it ended, and whether it has told anybody.
    ended: Option<(Timestamp, bool)>,
}

/// A launch whose token still counts.
#[derive(Debug)]
struct Remembered {
    slot: Slot,
    accepted_at: Timestamp,
    tasks: Vec<TaskId>,
}

/// All tasks and tokens.
#[derive(Debug, Default)]
pub(crate) struct Book {
    tasks: HashMap<TaskId, Entry>,
    live: HashMap<JobId, BTreeSet<TaskId>>,
    live_count: usize,
    /// Room held for launches that are being written.
    reserved: usize,
    ended: VecDeque<TaskId>,
    tokens: HashMap<String, Remembered>,
}

impl Book {
    /// Returns the place where a token's report stands or will stand.
    pub(crate) fn slot(&mut self, token: &str, now: Timestamp) -> Slot {
        let fresh = || Remembered { slot: Slot::default(), accepted_at: now, tasks: Vec::new() };
        self.tokens.entry(token.to_owned()).or_insert_with(fresh).slot.clone()
    }

    /// Ties a token to its tasks, so that it is remembered at least as long as they are.
    pub(crate) fn remember(&mut self, token: &str, slot: &Slot, accepted_at: Timestamp, tasks: Vec<TaskId>) {
        self.tokens.insert(token.to_owned(), Remembered { slot: slot.clone(), accepted_at, tasks });
    }

    /// Forgets a token whose call started nothing, unless another call waits for the same slot: the caller's own
    /// `slot` and the book's are the only two then.
    pub(crate) fn forget(&mut self, token: &str, slot: &Slot) {
        if Arc::strong_count(slot) <= 2 {
            self.tokens.remove(token);
        }
    }

    /// Takes room for up to `count` tasks out of `max` and returns how many fit.
    pub(crate) fn reserve(&mut self, count: usize, max: usize) -> usize {
        let room = max.saturating_sub(self.live_count + self.reserved).min(count);
        self.reserved += room;
        room
    }

    /// Gives room back: the launch failed, or its tasks are entered now.
    pub(crate) fn release(&mut self, count: usize) {
        self.reserved -= count;
    }

    /// Enters a task. Returns what its driver listens to for a stop.
    pub(crate) fn enter(
        &mut self,
        name: &str,
        job: &JobId,
        state: TaskState,
        now: Timestamp,
    ) -> watch::Receiver<Option<StopOrder>> {
        let (stop, orders) = watch::channel(None);
        let id = state.task_id.clone();
        let ended = (state.phase == TaskPhase::Stopped).then_some((now, false));
        match ended {
            Some(_) => self.ended.push_back(id.clone()),
            None => {
                self.live.entry(job.clone()).or_default().insert(id.clone());
                self.live_count += 1;
            }
        }
        self.tasks.insert(id, Entry { state, job: job.clone(), name: name.to_owned(), stop, ended });
        orders
    }

    /// Changes what is known of a live task.
    pub(crate) fn update(&mut self, id: &TaskId, now: Timestamp, change: impl FnOnce(&mut TaskState)) {
        let Some(entry) = self.tasks.get_mut(id) else { return };
        change(&mut entry.state);
        if entry.state.phase != TaskPhase::Stopped || entry.ended.is_some() {
            return;
        }
        entry.ended = Some((now, false));
        self.ended.push_back(id.clone());
        self.live_count -= 1;
        if let Some(tasks) = self.live.get_mut(&entry.job) {
            tasks.remove(id);
            if tasks.is_empty() {
                self.live.remove(&entry.job);
            }
        }
    }

    /// Returns the live tasks of a job.
    pub(crate) fn population(&self, job: &JobId) -> Vec<TaskId> {
        self.live.get(job).map(|tasks| tasks.iter().cloned().collect()).unwrap_or_default()
    }

    /// Returns what is known of tasks; those asked for count as seen.
    pub(crate) fn observe(&mut self, ids: &[TaskId]) -> Vec<TaskState> {
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(entry) = self.tasks.get_mut(id) {
                if let Some((_, seen)) = &mut entry.ended {
                    *seen = true;
                }
                states.push(entry.state.clone());
            }
        }
        states
    }

    /// Returns the folder's name of a task, if the task is known.
    pub(crate) fn name(&self, id: &TaskId) -> Option<&str> {
        self.tasks.get(id).map(|entry| &*entry.name)
    }

    /// Tells whether a task can still be stopped: it is known, has not ended and nobody stopped it before.
    pub(crate) fn can_stop(&self, id: &TaskId) -> bool {
        self.tasks.get(id).is_some_and(|entry| entry.ended.is_none() && entry.stop.borrow().is_none())
    }

    /// Passes a stop to the task's driver; the first order counts.
    pub(crate) fn order_stop(&self, id: &TaskId, order: StopOrder) {
        if let Some(entry) = self.tasks.get(id) {
            entry.stop.send_if_modified(|standing| {
                let first = standing.is_none();
                if first {
                    *standing = Some(order);
                }
                first
            });
        }
    }

    /// Takes out ended tasks that need not be kept: older than `keep_for`, or beyond the newest `keep`. One of whose
    /// end nobody has heard stays for an hour in any case. Returns the names of their folders.
    pub(crate) fn prune_tasks(
        &mut self,
        now: Timestamp,
        keep: usize,
        keep_for: SignedDuration,
    ) -> Vec<String> {
        let mut names = Vec::new();
        let mut beyond = self.ended.len().saturating_sub(keep);
        let tasks = &mut self.tasks;
        self.ended.retain(|id| {
            let Some((at, seen)) = tasks.get(id).and_then(|entry| entry.ended) else {
                return false;
            };
            let age = now.duration_since(at);
            let old = age >= keep_for || beyond > 0;
            if !old || (!seen && age < UNSEEN_FOR) {
                return true;
            }
            beyond = beyond.saturating_sub(1);
            names.extend(tasks.remove(id).map(|entry| entry.name));
            false
        });
        names
    }

    /// Takes out tokens older than `life` none of whose tasks is kept any more, and returns them.
    pub(crate) fn prune_tokens(&mut self, now: Timestamp, life: SignedDuration) -> Vec<String> {
        let tasks = &self.tasks;
        let over = |entry: &Remembered| {
            now.duration_since(entry.accepted_at) >= life
                && Arc::strong_count(&entry.slot) == 1
                && !entry.tasks.iter().any(|id| tasks.contains_key(id))
        };
        self.tokens.extract_if(|_, entry| over(entry)).map(|(token, _)| token).collect()
    }
}
