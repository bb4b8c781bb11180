//! How the rest of the program talks to a running engine.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::evaluate::{Asker, Question};
use super::faults::Failing;
use super::inner::Core;
use super::job_cache::Loaded;
use super::retry::Retrying;
use super::scheduler_loop::Message;
use super::status::{Brake, Counters, EngineStatus};
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::event::Event;
use crate::job::{Job, JobId, JobUid, Revision, StoredJob};
use crate::launcher::Launcher;
use crate::store::StoreError;
use crate::trigger::{Evaluation, Tick};

/// What to assume instead of reading it, for an evaluation that launches nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// What the trigger concludes.
    pub evaluation: Option<Evaluation>,
    /// How many tasks of the job are pending or running.
    pub busy: Option<u32>,
}

/// A wish to fire a job now.
#[derive(Debug, Clone, Default)]
pub struct FireRequest {
    /// How many tasks to ask for; `taskCount` when absent. Bounds and overlap hold as for a tick.
    pub tasks: Option<NonZeroU32>,
    /// Makes the firing's name, with the job and the moment; a fresh one when absent.
    pub key: Option<String>,
}

/// Why a job could not be fired by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FireError {
    /// There is no such job.
    #[error("the job does not exist")]
    NotFound,
    /// Its stored document is not a valid job.
    #[error("the stored job is not valid, and so cannot be fired")]
    Invalid,
    /// It was edited at the same moment: try again.
    #[error("the job was changed in between")]
    Changed,
    /// The store did not confirm the firing. Nothing is launched before it is found in the journal.
    #[error("the store does not answer, so nothing was launched yet")]
    Store,
    /// This replica does not look at the job, so nothing was launched.
    #[error("another replica looks at the job, or will in a moment")]
    Elsewhere,
    /// The engine is stopping; nothing was launched.
    #[error("the scheduler is stopping, so nothing was launched")]
    Stopping,
}

/// A firing by hand on its way through the keeper.
#[derive(Debug)]
pub(super) struct FireOrder {
    pub(super) key: String,
    pub(super) tasks: Option<NonZeroU32>,
    pub(super) answer: oneshot::Sender<Result<DecisionRecord, FireError>>,
}

/// A running engine. Clones talk to the same one.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    core: Arc<Core>,
    commands: mpsc::Sender<Message>,
}

impl EngineHandle {
    pub(super) fn new(core: Arc<Core>, commands: mpsc::Sender<Message>) -> Self {
        Self { core, commands }
    }

    /// Returns the launcher, for checks that start nothing.
    #[must_use]
    pub fn launcher(&self) -> &dyn Launcher {
        &*self.core.launcher
    }

    /// Says that a job was created, replaced or removed: look at the store again.
    ///
    /// A nudge carries no data and nudges collapse. Whoever watches is told what is stored now.
    pub fn nudge(&self, id: &JobId) {
        self.core.nudge(id);
    }

    /// Fires a job now, whatever its schedule and trigger say, and returns the decision once it is durable.
    ///
    /// # Errors
    ///
    /// See [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        let (answer, answered) = oneshot::channel();
        let key = request.key.unwrap_or_else(|| JobUid::random().to_string());
        let order = FireOrder { key, tasks: request.tasks, answer };
        let sent = self.commands.send(Message::Fire(id.clone(), order)).await;
        sent.map_err(|_| FireError::Stopping)?;
        answered.await.unwrap_or(Err(FireError::Stopping))
    }

    /// Decides about a job as if a tick were due now: reads real sources where nothing is given, launches nothing,
    /// records nothing. `stored` is the job's record, for a job that is stored.
    pub async fn evaluate(&self, job: &Job, stored: Option<&StoredJob>, given: Given) -> DecisionDraft {
        let now = self.core.clock.now();
        let loaded = Loaded {
            uid: stored.map_or_else(JobUid::random, |stored| stored.uid),
            revision: stored.map_or(Revision::FIRST, |stored| stored.revision),
            job: Ok(job.clone()),
            last_fired: Mutex::new(stored.and_then(|stored| stored.progress.last_fired)),
            last_row: Mutex::default(),
        };
        let tick = Tick { nominal: now, observed: now };
        let question = Question { job, loaded: &loaded, tick, by: Asker::Curious, given, tried: 0 };
        self.core.judge(&question).await.draft
    }

    /// Returns the tick of a job that could not be decided yet and is tried again, if there is one.
    #[must_use]
    pub fn retrying(&self, job: &JobUid) -> Option<Retrying> {
        self.core.retries.get(job)
    }

    /// Returns how the newest ticks of a job fail, if they do and are not tried again.
    #[must_use]
    pub fn failing(&self, job: &JobUid) -> Option<Failing> {
        self.core.commons.faults.get(job)
    }

    /// Reads of the journal how the newest ticks of a job failed, where this process has not seen one since its start;
    /// [`Self::failing`] returns it from then on. A job is read once. When the journal cannot be read, nothing is known.
    pub async fn recall_failing(&self, job: &StoredJob) {
        self.core.recall_failing(job).await;
    }

    /// Lets the ticks of a job count from now on, if they are settled in the future because the clock was ahead.
    pub fn resume(&self, id: &JobId) {
        self.core.resumed.lock().insert(id.clone());
        self.core.nudged.notify_one();
    }

    /// Returns a moment's view of the engine.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let core = &self.core;
        let (keeper, faults, clock) = (*core.keeper.lock(), &core.commons.faults, &core.commons.clock);
        let launcher_fault = core.commons.launcher_fault.read().clone();
        let status = EngineStatus {
            jobs: keeper.jobs,
            invalid_jobs: keeper.invalid,
            in_rounds: keeper.in_rounds,
            retrying: core.retries.len(),
            dispatching: core.options.dispatch
                - core.commons.dispatch.available_permits().min(core.options.dispatch),
            live_tasks: core.ledger.total_live(),
            next_due: keeper.next_due,
            brake: core.commons.brake(),
            store_fault: core.commons.store_fault.read().clone(),
            launcher_fault: launcher_fault.or_else(|| faults.of_launcher(core.clock.now())),
            source_fault: faults.of_sources(),
            failing: faults.failing(),
            clock_fault: None,
            clock_steps: clock.steps(),
            jobs_ahead: 0,
        };
        status.with_ahead(clock.fault(), keeper.ahead)
    }

    /// Returns the counts since the start of the process.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.core.commons.counters
    }

    /// Returns how many triggers are being evaluated now.
    #[must_use]
    pub fn evaluating(&self) -> usize {
        self.core.options.evaluations
            - self.core.commons.evaluations.available_permits().min(self.core.options.evaluations)
    }

    /// Tells how many firings by hand and by tick have been journalled since the start.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.core.commons.counters.firings.load(Ordering::Relaxed)
    }

    /// Listens to what happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.core.commons.events.subscribe()
    }

    /// Stops all launches at once, durably; what was sent already goes on, and ticks are recorded as suspended.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then not on.
    pub async fn brake(&self, reason: String) -> Result<Brake, StoreError> {
        let brake = Brake { reason, since: self.core.clock.now() };
        self.core.commons.set_brake(&*self.core.store, Some(brake.clone())).await?;
        Ok(brake)
    }

    /// Allows launches again. Ticks that passed meanwhile are not fired.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then still on.
    pub async fn release(&self) -> Result<(), StoreError> {
        self.core.commons.set_brake(&*self.core.store, None).await
    }

    /// Compares every job with the store, soon.
    pub(crate) fn rescan(&self) {
        self.core.rescan.store(true, Ordering::Relaxed);
        self.core.nudged.notify_one();
    }

    /// Returns what is cancelled when the engine stops.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.core.stop.clone()
    }

    /// Runs something that [`Self::stop`] waits for.
    pub(super) fn accompany(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.core.spawn(work);
    }

    /// Waits until the engine stops, by itself or because it was told to.
    pub(crate) async fn stopping(&self) {
        self.core.stop.cancelled().await;
    }

    /// Stops looking at ticks, lets calls under way end, and returns when everything has ended or the time is up.
    ///
    /// Nothing is lost either way: what is open goes on at the next start. Returns whether everything ended in time.
    pub async fn stop(&self, within: Duration) -> bool {
        self.core.stop.cancel();
        tokio::time::timeout(within, self.core.finish()).await.is_ok()
    }
}
