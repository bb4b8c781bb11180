//! The engine: finds due ticks, evaluates them, records decisions, launches tasks and follows them.
//!
//! ```text
//!            nudge ─┐
//!                   ▼         due jobs            settled             firing
//!  store ──scan──▶ scheduler loop ──────▶ round ───────────▶ journal ─────────▶ dispatch ──▶ launcher
//!                   ▲  agenda             evaluate, decide                        │
//!                   └───────────────── next tick ◀────────────                   ▼
//!                                                          journal ◀── task monitor ◀── launcher
//! ```
//!
//! One task, the scheduler loop, owns the agenda: the next tick of every job. Due jobs leave the agenda in rounds. A
//! job is in at most one round at a time, and firings by hand go through the loop too, so no two parts of the engine
//! work on the same job at once. A round evaluates, decides and settles: the outcome of every tick, and the intent to
//! launch, are durable before the launcher is called. Dispatch drives each intent to its end; the task monitor follows
//! the tasks to theirs. After a crash, [`recover`](self) finds the open firings in the journal and resumes them.
//!
//! Rejected: a task and a timer per job (a million timers, no rounds to batch reads in); nudges that carry the new
//! document (two code paths for the same change, and a lost message loses an edit); evaluation inside the scheduler
//! loop (one hanging trigger stops the clock for all).

mod agenda;
mod backfill;
mod breaker;
mod breaker_recall;
mod budget_sync;
mod budgets;
mod catch_up;
mod clock_check;
mod dispatch;
mod driven_backfills;
mod evaluate;
mod failing_jobs;
mod failing_tasks;
mod faults;
mod handle;
mod history_pruner;
mod in_flight;
mod inner;
mod job_cache;
mod job_loader;
mod launcher_calls;
mod launcher_faults;
mod launcher_guard;
mod lease;
mod message;
mod notices;
mod notifications;
mod options;
mod process;
mod recall;
mod record_firing;
mod recover;
mod refused_jobs;
mod round;
mod scheduler_loop;
mod settle;
mod shard_register;
mod spans;
mod status;
mod stop_requests;
mod store_calls;
mod store_waits;
mod strip_details;
mod task_monitor;
mod task_retry;
mod task_tracker;
mod tick_retry;
mod tick_try_register;
mod time_limit;

pub use crate::clock::is_ahead;
pub use breaker::{BreakerPhase, BreakerState};
pub use evaluate::EvalOverrides;
pub(crate) use failing_jobs::{FAILING_JOBS, names_of_register};
pub use failing_tasks::FailingTasks;
pub use faults::Failing;
pub use handle::{EngineHandle, FireRequest};
pub(crate) use history_pruner::HistoryPruner;
pub(crate) use lease::Lease;
pub use message::{FireError, ManualFiring};
pub use options::EngineOptions;
pub use process::BRAKE_REGISTER;
pub(crate) use process::ProcessState;
pub use status::{Brake, Counters, EngineStatus, LATENESS_BOUNDS_MS};
pub use tick_retry::Retrying;

use std::sync::Arc;

use crate::clock::Clock;
use crate::launcher::Launcher;
use crate::registry::TriggerRegistry;
use crate::store::{Shard, Store, StoreError};

/// The engine's parts, as [`Engine::start`] takes them.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Numbers and names.
    pub options: EngineOptions,
    /// The store of jobs and journal.
    pub store: Arc<dyn Store>,
    /// Starts tasks.
    pub launcher: Arc<dyn Launcher>,
    /// The installed triggers.
    pub registry: Arc<TriggerRegistry>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

impl Engine {
    /// Reads the journal and the jobs, and starts to evaluate ticks.
    ///
    /// On return, the open firings of an earlier run are resumed and every job has its next tick.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn start(self) -> Result<EngineHandle, StoreError> {
        let process = ProcessState::new(&self.options, Lease::endless());
        process.read_brake(&*self.store).await?;
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let pruner =
            HistoryPruner::new(store, clock, Arc::clone(&process), &self.options).check_newest().await;
        let engine = self.start_with(process, Shard::all().collect(), None).await?;
        engine.spawn_tracked(pruner.run(engine.stop_token(), || true));
        Ok(engine)
    }

    /// Does the same for one of several engines of this process. `shards` are those whose jobs the store lists, and `owner` is the
    /// version of their ownership, if there may be other owners.
    pub(crate) async fn start_with(
        self,
        process: Arc<ProcessState>,
        shards: Vec<Shard>,
        owner: Option<u64>,
    ) -> Result<EngineHandle, StoreError> {
        let (engine, backlog) = inner::EngineInner::new(self, process);
        engine.process.budgets.open(engine.number, owner, &shards);
        recover::resume_open_firings(&engine).await?;
        let tries = tick_try_register::load(&engine, &shards).await?;
        engine.process.budgets.end_recovery(engine.number);
        let (scheduler, commands) = scheduler_loop::SchedulerLoop::load(Arc::clone(&engine)).await?;
        engine.spawn(dispatch::run(Arc::clone(&engine), backlog));
        engine.spawn(scheduler.run());
        engine.spawn(task_monitor::run(Arc::clone(&engine), commands.downgrade()));
        engine.spawn(tick_try_register::run(Arc::clone(&engine), tries));
        engine.spawn(failing_jobs::run(Arc::clone(&engine), shards.clone()));
        engine.spawn(backfill::run(Arc::clone(&engine), shards.clone(), commands.downgrade()));
        engine.spawn(notifications::run(Arc::clone(&engine), shards));
        if !engine.process.budgets.is_empty() {
            engine.spawn(budget_sync::run(Arc::clone(&engine)));
        }
        Ok(EngineHandle::new(engine, commands))
    }

    /// Makes an engine without jobs: it evaluates on request, and fires nothing.
    pub(crate) fn idle(self, process: Arc<ProcessState>) -> EngineHandle {
        let (engine, _) = inner::EngineInner::new(self, process);
        EngineHandle::new(engine, tokio::sync::mpsc::channel(1).0)
    }
}
