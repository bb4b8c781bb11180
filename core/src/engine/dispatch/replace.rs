//! Stops everything earlier of a job, firings as well as tasks, before a replacement launches.
//!
//! Only the newest of several replacements launches. Once it is durable, the task tracker reports it to the older firings
//! of its job: those without a call under way end at once, the others end with their answer. Their tasks, too, are
//! stopped before the replacement launches.

use std::sync::Arc;

use super::FiringDriver;
use crate::decide::TickOutcome;
use crate::engine::faults::FaultyAction;
use crate::firing::{Firing, FiringState};
use crate::launcher::ObservedTasks;
use crate::task::{TaskId, TaskPhase};

/// The firings and tasks that a replacement still waits for.
struct Remaining {
    firings: usize,
    tasks: Vec<TaskId>,
    /// Whether the state of a task could not be read, so that it may have stopped.
    is_unread: bool,
}

impl Remaining {
    fn is_empty(&self) -> bool {
        self.firings == 0 && self.tasks.is_empty()
    }

    fn describe(&self) -> String {
        match self.tasks.len() {
            0 => format!("{} earlier firings had no answer in time", self.firings),
            tasks => format!("{tasks} of the tasks to be replaced did not stop in time"),
        }
    }
}

impl FiringDriver {
    /// Stops the tasks that are to be replaced and waits until nothing earlier of the job is left; returns whether to launch
    /// now. The firing holds no permit while it waits.
    pub(super) async fn stop_replaced_tasks(&mut self) -> bool {
        if !self.firing.is_replacement() {
            return true;
        }
        let engine = Arc::clone(&self.engine);
        let reason = format!("replaced by firing {} of job {}", self.firing.id, self.firing.job);
        // The time in which a task could not be seen to stop does not count.
        let mut left = engine.options.replace_deadline;
        let changed = engine.task_tracker.changed(&self.firing);
        // The task tracker does not follow tasks that this scheduler has no record of.
        let mut external = self.firing.replaces.clone();
        loop {
            let change = changed.notified();
            if self.abort_if_needed().await.is_break() {
                return false;
            }
            let remaining = self.remaining(&mut external).await;
            if remaining.is_empty() {
                let Firing { job, uid, .. } = &self.firing;
                engine.process.faults.end_lasting(job, *uid, FaultyAction::StopTasks);
                return self.acquire_permit().await;
            }
            if left.is_zero() {
                let note = remaining.describe();
                // The firing ends here, whether that is durable or not.
                let _ = self.end(FiringState::Refused, TickOutcome::LaunchFailed, note).await;
                return false;
            }
            self.permit = None;
            let began = tokio::time::Instant::now();
            for task in &remaining.tasks {
                engine.stop_task(self.firing.uid, task, &reason).await;
            }
            tokio::select! {
                biased;
                () = engine.stop.cancelled() => return false,
                () = change => {}
                () = tokio::time::sleep(engine.launcher.limits().observe_every.min(left)) => {}
            }
            if !remaining.is_unread {
                left = left.saturating_sub(began.elapsed());
            }
        }
    }

    /// Returns what remains, and keeps those of the `external` tasks that may still run.
    async fn remaining(&self, external: &mut Vec<TaskId>) -> Remaining {
        let earlier = self.engine.task_tracker.earlier_work(&self.firing);
        let mut tasks = earlier.tasks;
        external.retain(|task| !tasks.contains(task));
        let mut is_unread = tasks.iter().any(|task| self.engine.unread_tasks.lock().contains(task));
        if !external.is_empty() {
            match self.engine.observe_tasks(external).await {
                Ok(ObservedTasks { states, unread, .. }) => {
                    is_unread |= !unread.is_empty();
                    let live = states.into_iter().filter(|state| state.phase != TaskPhase::Stopped);
                    *external = live.map(|state| state.task_id).collect();
                    external.extend(unread.into_iter().flat_map(|unread| unread.tasks));
                }
                Err(_) => is_unread = true,
            }
            tasks.extend(external.iter().cloned());
        }
        Remaining { firings: earlier.firings, tasks, is_unread }
    }
}
