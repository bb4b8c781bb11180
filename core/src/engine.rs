//! The loop that keeps every promise: look when a tick is due, decide, journal, launch, follow.
//!
//! ```text
//!            nudge ─┐
//!                   ▼         due jobs            settled             firing
//!  store ──scan──▶ keeper ──────────────▶ round ───────────▶ journal ─────────▶ dispatch ──▶ launcher
//!                   ▲  agenda             evaluate, decide                        │
//!                   └───────────────── next tick ◀────────────                   ▼
//!                                                                 journal ◀── watch ◀── launcher
//! ```
//!
//! One task, the keeper, owns the agenda: the next tick of every job. Jobs that are due leave it in rounds; a job is
//! in at most one round at a time, and firings by hand go through the keeper too, so nothing about one job ever
//! happens twice at once. A round evaluates, decides and settles: the outcome of every tick, and the intent to launch,
//! are durable before a launcher hears of it. Dispatch carries an intent to its end; watch follows the tasks to
//! theirs. After a crash, [`recover`](self) finds the open firings in the journal and goes on where they were.
//!
//! Rejected: a task and a timer per job (a million timers, no rounds to batch reads in); nudges that carry the new
//! document (two code paths for the same news, and a lost message loses an edit); evaluating inside the keeper (one
//! hanging trigger stops the clock for all).

mod agenda;
mod catch_up;
mod clock_check;
mod dispatch;
mod evaluate;
mod faults;
mod handle;
mod history_pruner;
mod inner;
mod job_cache;
mod lease;
mod options;
mod process;
mod recall;
mod recover;
mod retry;
mod round;
mod scheduler_loop;
mod settle;
mod status;
mod stop_requests;
mod task_monitor;
mod task_tracker;

pub use clock_check::is_ahead;
pub use faults::Failing;
pub use handle::{EngineHandle, FireError, FireRequest, Given};
pub(crate) use history_pruner::Sweeper;
pub(crate) use lease::Lease;
pub use options::EngineOptions;
pub use process::BRAKE_REGISTER;
pub(crate) use process::Commons;
pub use retry::Retrying;
pub use status::{Brake, Counters, EngineStatus, LATENESS_BOUNDS_MS};

use std::sync::Arc;

use crate::clock::Clock;
use crate::launcher::Launcher;
use crate::registry::TriggerRegistry;
use crate::store::{Store, StoreError};

/// The engine's parts, as [`Engine::start`] takes them.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Numbers and names.
    pub options: EngineOptions,
    /// Where jobs and journal are.
    pub store: Arc<dyn Store>,
    /// What starts tasks.
    pub launcher: Arc<dyn Launcher>,
    /// The installed triggers.
    pub registry: Arc<TriggerRegistry>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Engine {
    /// Reads the journal and the jobs, and begins to look at ticks.
    ///
    /// On return open firings of an earlier run are being carried on and every job has its next tick.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn start(self) -> Result<EngineHandle, StoreError> {
        let commons = Commons::new(&self.options, Lease::endless());
        commons.read_brake(&*self.store).await?;
        let (store, clock, options) =
            (Arc::clone(&self.store), Arc::clone(&self.clock), self.options.clone());
        let engine = self.start_among(Arc::clone(&commons)).await?;
        let sweeper = Sweeper::new(store, clock, commons, &options, engine.stop_token());
        engine.accompany(sweeper.run(|| true));
        Ok(engine)
    }

    /// Does the same as one of several engines of this process.
    pub(crate) async fn start_among(self, commons: Arc<Commons>) -> Result<EngineHandle, StoreError> {
        let (core, backlog) = inner::Core::new(self, commons);
        recover::adopt(&core).await?;
        let (keeper, commands) = scheduler_loop::Keeper::load(Arc::clone(&core)).await?;
        core.spawn(dispatch::run(Arc::clone(&core), backlog));
        core.spawn(keeper.run());
        core.spawn(task_monitor::run(Arc::clone(&core)));
        Ok(EngineHandle::new(core, commands))
    }

    /// Makes an engine that looks at no job: it evaluates what it is asked to, and fires nothing.
    pub(crate) fn stand_by(self, commons: Arc<Commons>) -> EngineHandle {
        let (core, _) = inner::Core::new(self, commons);
        EngineHandle::new(core, tokio::sync::mpsc::channel(1).0)
    }
}
