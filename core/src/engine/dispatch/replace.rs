//! Making room for a replacement: everything earlier of the job ends first, firings as well as tasks.
//!
//! Of several replacements only the newest launches. It becomes durable, and with that the ledger says so to the older
//! firings of its job: those that have no call under way end, the others end with their answer. Their tasks, too, are
//! stopped before anything is launched.

use std::sync::Arc;

use super::Carrier;
use crate::decide::Outcome;
use crate::firing::FiringState;
use crate::task::{TaskId, TaskPhase};

/// The reasons why a replacement still waits.
struct Left {
    firings: usize,
    tasks: Vec<TaskId>,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.firings == 0 && self.tasks.is_empty()
    }

    fn in_words(&self) -> String {
        match self.tasks.len() {
            0 => format!("{} earlier firings had no answer in time", self.firings),
            tasks => format!("{tasks} of the tasks to be replaced did not stop in time"),
        }
    }
}

impl Carrier {
    /// Stops the tasks that are to be replaced and waits until nothing earlier of the job is left; tells whether to
    /// launch now. The firing has no place in the queue while it waits.
    pub(super) async fn clear_the_way(&mut self) -> bool {
        if !self.firing.is_replacement() {
            return true;
        }
        let core = Arc::clone(&self.core);
        let reason = format!("replaced by firing {} of job {}", self.firing.id, self.firing.job);
        let deadline = tokio::time::Instant::now() + core.options.replace_deadline;
        let changed = core.ledger.changed(&self.firing);
        // The ledger does not follow tasks that this scheduler has no record of.
        let mut strangers = self.firing.replaces.clone();
        loop {
            let change = changed.notified();
            if self.called_off().await.is_some() {
                return false;
            }
            let left = self.left(&mut strangers).await;
            if left.is_nothing() {
                return self.take_place().await;
            }
            if tokio::time::Instant::now() >= deadline {
                self.end(FiringState::Refused, Outcome::LaunchFailed, left.in_words()).await;
                return false;
            }
            self.permit = None;
            for task in &left.tasks {
                core.stop_task(task, &reason).await;
            }
            tokio::select! {
                biased;
                () = core.stop.cancelled() => return false,
                () = change => {}
                () = tokio::time::sleep(core.launcher.limits().observe_every) => {}
            }
        }
    }

    /// Says what is left; of `strangers` those stay that may still run.
    async fn left(&self, strangers: &mut Vec<TaskId>) -> Left {
        let older = self.core.ledger.older(&self.firing);
        let mut tasks = older.tasks;
        strangers.retain(|task| !tasks.contains(task));
        if !strangers.is_empty() {
            let states = self.core.launcher.observe(strangers).await;
            self.core.note_launcher(&states);
            if let Ok(states) = states {
                let live = states.into_iter().filter(|state| state.phase != TaskPhase::Stopped);
                *strangers = live.map(|state| state.task_id).collect();
            }
            tasks.extend(strangers.iter().cloned());
        }
        Left { firings: older.firings, tasks }
    }
}
