//! How tasks stand, as far as answers and events have told.

use std::collections::HashMap;
use std::time::Duration;

use ecs_scheduler_core::{TaskId, TaskPhase, TaskState};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::task_snapshot::Progress;

#[cfg(test)]
mod tests;

/// How long a state is kept that nobody asks for.
const FORGET: Duration = Duration::from_hours(1);

/// With so many more states than after the last tidying, it is tidied again.
const TIDY: usize = 4_096;

/// The newest known state of each task.
#[derive(Debug, Default)]
pub(crate) struct Book {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<TaskId, Entry>,
    tidied: usize,
}

#[derive(Debug)]
struct Entry {
    progress: Progress,
    state: TaskState,
    /// When ECS itself was last asked.
    asked: Option<Instant>,
    touched: Instant,
}

/// Where a state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Answer,
    Event,
}

impl Book {
    /// Enters a state; an older one than is known changes nothing. Returns the newest.
    pub(crate) fn enter(&self, progress: Progress, state: TaskState, from: From) -> TaskState {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        if inner.states.len() > inner.tidied + TIDY {
            inner.states.retain(|_, entry| entry.touched.elapsed() < FORGET);
            inner.tidied = inner.states.len();
        }
        let id = state.task_id.clone();
        let entry = inner.states.entry(id).or_insert_with(|| Entry {
            progress,
            state: state.clone(),
            asked: None,
            touched: now,
        });
        if progress.follows(entry.progress) {
            entry.progress = progress;
            entry.state = state;
        }
        if from == From::Answer {
            entry.asked = Some(now);
        }
        entry.touched = now;
        entry.state.clone()
    }

    /// Returns the newest known state, however old it is.
    pub(crate) fn last(&self, task: &TaskId) -> Option<TaskState> {
        self.inner.lock().states.get(task).map(|entry| entry.state.clone())
    }

    /// Returns a state that need not be asked for: an end is one for good; another one holds if ECS was asked within `fresh`.
    pub(crate) fn known(&self, task: &TaskId, fresh: Duration) -> Option<TaskState> {
        let mut inner = self.inner.lock();
        let entry = inner.states.get_mut(task)?;
        entry.touched = Instant::now();
        let holds = entry.asked.is_some_and(|at| at.elapsed() < fresh);
        (entry.state.phase == TaskPhase::Stopped || holds).then(|| entry.state.clone())
    }
}
