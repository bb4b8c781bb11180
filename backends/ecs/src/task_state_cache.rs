//! A cache of task states, filled by responses and events.

use std::collections::HashMap;
use std::time::Duration;

use ecs_scheduler_core::{TaskId, TaskPhase, TaskState};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::task_snapshot::TaskProgress;

#[cfg(test)]
mod tests;

/// Time after which an unused state is evicted.
const ENTRY_TTL: Duration = Duration::from_hours(1);

/// Time for which a pending task is not polled again. If the event of its start was lost, it counts as pending for so long; its
/// `startTimeout` ends no earlier than by the next poll.
const PENDING_TTL: Duration = Duration::from_secs(10);

/// Number of new states after which unused ones are evicted.
const EVICTION_STEP: usize = 4_096;

/// The newest known state of each task.
#[derive(Debug, Default)]
pub(crate) struct TaskStateCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<TaskId, CachedState>,
    len_after_eviction: usize,
}

#[derive(Debug)]
struct CachedState {
    progress: TaskProgress,
    state: TaskState,
    /// The time of the newest response about the task.
    confirmed_at: Option<Instant>,
    used_at: Instant,
}

/// The source of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateSource {
    /// A response of ECS.
    Response,
    /// An event from the queue.
    Event,
}

impl TaskStateCache {
    /// Adds a state and returns the newest one. A state older than the cached one changes nothing.
    pub(crate) fn update(&self, progress: TaskProgress, state: TaskState, source: StateSource) -> TaskState {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        if inner.states.len() > inner.len_after_eviction + EVICTION_STEP {
            inner.states.retain(|_, entry| entry.used_at.elapsed() < ENTRY_TTL);
            inner.len_after_eviction = inner.states.len();
        }
        let id = state.task_id.clone();
        let entry = inner.states.entry(id).or_insert_with(|| CachedState {
            progress,
            state: state.clone(),
            confirmed_at: None,
            used_at: now,
        });
        if progress.supersedes(entry.progress) {
            entry.progress = progress;
            entry.state = state;
        }
        if source == StateSource::Response {
            entry.confirmed_at = Some(now);
        }
        entry.used_at = now;
        entry.state.clone()
    }

    /// Returns the newest known state, at any age.
    pub(crate) fn latest(&self, task: &TaskId) -> Option<TaskState> {
        self.inner.lock().states.get(task).map(|entry| entry.state.clone())
    }

    /// Returns a state that need not be polled: a stopped task never changes; a running one is fresh if ECS was asked
    /// within `fresh`, and a pending one if also within [`PENDING_TTL`].
    pub(crate) fn get_fresh(&self, task: &TaskId, fresh: Duration) -> Option<TaskState> {
        let mut inner = self.inner.lock();
        let entry = inner.states.get_mut(task)?;
        entry.used_at = Instant::now();
        let within = |ttl| entry.confirmed_at.is_some_and(|at| at.elapsed() < ttl);
        let holds = match entry.state.phase {
            TaskPhase::Pending => within(fresh.min(PENDING_TTL)),
            TaskPhase::Running => within(fresh),
            TaskPhase::Stopped => true,
        };
        holds.then(|| entry.state.clone())
    }
}
