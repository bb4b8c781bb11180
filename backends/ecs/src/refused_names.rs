//! Tasks whose names ECS refuses.

use std::num::NonZeroUsize;

use ecs_scheduler_core::TaskId;
use lru::LruCache;
use parking_lot::Mutex;

/// How many refused names are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// The tasks whose names ECS has refused. They are asked for alone, so that they spoil no call for others.
#[derive(Debug)]
pub(crate) struct Unreadable(Mutex<LruCache<TaskId, ()>>);

impl Default for Unreadable {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Unreadable {
    /// Divides tasks into calls: one for those that nothing is known against, and one for each of the others.
    pub(crate) fn calls(&self, tasks: &[TaskId]) -> Vec<Vec<TaskId>> {
        let known = self.0.lock();
        let (alone, together): (Vec<_>, Vec<_>) =
            tasks.iter().cloned().partition(|task| known.contains(task));
        // The last call is made first.
        let mut calls: Vec<_> = alone.into_iter().map(|task| vec![task]).collect();
        calls.extend(Some(together).filter(|together| !together.is_empty()));
        calls
    }

    /// Notes that a name is refused; tells whether that is news.
    pub(crate) fn note(&self, task: &TaskId) -> bool {
        self.0.lock().put(task.clone(), ()).is_none()
    }

    pub(crate) fn forget(&self, tasks: &[TaskId]) {
        let mut known = self.0.lock();
        for task in tasks {
            known.pop(task);
        }
    }
}
