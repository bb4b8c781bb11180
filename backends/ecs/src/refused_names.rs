//! A cache of the task names that ECS refuses.

use std::num::NonZeroUsize;

use ecs_scheduler_core::TaskId;
use lru::LruCache;
use parking_lot::Mutex;

/// Maximum number of cached names.
const MAX_NAMES: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// The tasks whose names ECS refused. Each is read in a call of its own, so that it does not spoil a call for others.
#[derive(Debug)]
pub(crate) struct RefusedNames(Mutex<LruCache<TaskId, ()>>);

impl Default for RefusedNames {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_NAMES)))
    }
}

impl RefusedNames {
    /// Splits tasks into calls: one for all tasks that were not refused, and one for each of the others.
    pub(crate) fn split_calls(&self, tasks: &[TaskId]) -> Vec<Vec<TaskId>> {
        let known = self.0.lock();
        let (alone, together): (Vec<_>, Vec<_>) =
            tasks.iter().cloned().partition(|task| known.contains(task));
        // The caller makes the last call first.
        let mut calls: Vec<_> = alone.into_iter().map(|task| vec![task]).collect();
        calls.extend(Some(together).filter(|together| !together.is_empty()));
        calls
    }

    /// Adds a refused name. Returns whether it is new.
    pub(crate) fn insert(&self, task: &TaskId) -> bool {
        self.0.lock().put(task.clone(), ()).is_none()
    }

    pub(crate) fn remove(&self, tasks: &[TaskId]) {
        let mut known = self.0.lock();
        for task in tasks {
            known.pop(task);
        }
    }
}
