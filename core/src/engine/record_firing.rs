//! The moves of launched firings: each is made durable, then counted and published.

use super::faults::FaultyAction;
use super::inner::EngineInner;
use super::status::Counters;
use super::strip_details;
use crate::event::Event;
use crate::fault;
use crate::firing::{Firing, FiringId, FiringState};
use crate::store::StoreError;
use crate::task::{TaskEnd, TaskPhase};

/// Makes the new states of a firing durable, and publishes them.
pub(super) async fn record(engine: &EngineInner, from: Firing, mut to: Firing) {
    let id = to.id.clone();
    let mut answer = engine.store.advance(FiringState::Launched, &to, None).await;
    if answer.as_ref().is_err_and(StoreError::is_lasting) {
        to = strip_details::firing(&to);
        answer = engine.store.advance(FiringState::Launched, &to, None).await;
    }
    match answer {
        Ok(()) => {
            let faults = &engine.process.faults;
            count_ends(engine, &from, &to);
            faults.record_end(engine.number, &to);
            engine.after_move(&to).await;
            if to.state == FiringState::Finished {
                // Another task that cannot be stopped is recorded again.
                faults.end_lasting(&to.job, to.uid, FaultyAction::StopTasks);
                drop_firing(engine, &id);
                engine.backfills.wake(&to.uid);
            } else {
                engine.monitored.lock().insert(id, to);
            }
        }
        // The next poll records it; or the new owner does.
        Err(error) if error.is_lasting() => {
            engine.record_refused((&to.job, to.uid), FaultyAction::RecordFiring, &error, 1);
        }
        Err(StoreError::Fault { .. } | StoreError::Fenced(_)) => {}
        Err(error) => {
            tracing::error!(error = %fault::chain(&error), "a firing was changed by another writer");
            engine.task_tracker.record_firing(&to, engine.clock.now());
            engine.forget_tasks(&to);
            drop_firing(engine, &id);
        }
    }
}

impl EngineInner {
    /// Logs, counts and publishes the state of a firing that became durable.
    pub(super) async fn after_move(&self, firing: &Firing) {
        self.process.faults.end_lasting(&firing.job, firing.uid, FaultyAction::RecordFiring);
        let Firing { state, requested, .. } = firing;
        tracing::debug!(state = state.as_str(), requested, started = firing.started(), "a firing moved");
        self.record_tasks(firing, self.clock.now());
        self.record_start(firing).await;
        self.publish(|| Event::Firing(Box::new(firing.clone())));
    }
}

fn drop_firing(engine: &EngineInner, id: &FiringId) {
    engine.monitored.lock().remove(id);
    engine.in_flight.end(id);
}

fn count_ends(engine: &EngineInner, from: &Firing, to: &Firing) {
    for (before, after) in from.tasks.iter().zip(&to.tasks) {
        let counters = &engine.process.counters;
        let counter = match after.end().filter(|_| before.phase != TaskPhase::Stopped) {
            None => continue,
            Some(TaskEnd::Succeeded) => &counters.tasks_succeeded,
            Some(TaskEnd::Failed) => &counters.tasks_failed,
            Some(TaskEnd::Stopped) => &counters.tasks_stopped,
        };
        Counters::add(counter, 1);
    }
}
