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
            faults.end_lasting(&to.job, to.uid, FaultyAction::RecordFiring);
            tracing::debug!(state = to.state.as_str(), started = to.started(), "a firing moved");
            count_ends(engine, &from, &to);
            faults.record_end(engine.number, &to);
            engine.record_tasks(&to, engine.clock.now());
            engine.record_start(&to).await;
            engine.publish(|| Event::Firing(Box::new(to.clone())));
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
