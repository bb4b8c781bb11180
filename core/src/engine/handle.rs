//! The handle to a running engine, for the rest of the program.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::breaker::BreakerState;
use super::evaluate::{EvalOverrides, EvalRequest, TriggerSource};
use super::failing_tasks::FailingTasks;
use super::faults::Failing;
use super::inner::EngineInner;
use super::job_cache::CachedJob;
use super::message::{FireError, FireKind, FireOrder, ManualFiring, Message};
use super::status::{Brake, Counters, EngineStatus};
use super::tick_retry::Retrying;
use crate::backfill::{Backfill, BackfillError, BackfillRequest};
use crate::budget::BudgetUse;
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::event::Event;
use crate::job::{Job, JobId, JobUid, Revision, StoredJob};
use crate::launcher::{LaunchError, Launcher, LogPage, LogRequest};
use crate::notify::Notifier;
use crate::store::StoreError;
use crate::trigger::Tick;

/// A request to fire a job now.
#[derive(Debug, Clone, Default)]
pub struct FireRequest {
    /// The differences from a tick.
    pub options: ManualFiring,
    /// Part of the firing's id, with the job and `at`; a random key when absent.
    pub key: Option<String>,
    /// The moment in the firing's id; the present when absent. Requests with the same key and moment fire once.
    pub at: Option<Timestamp>,
}

/// A running engine. Clones talk to the same one.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    engine: Arc<EngineInner>,
    commands: mpsc::Sender<Message>,
}

impl EngineHandle {
    pub(super) fn new(engine: Arc<EngineInner>, commands: mpsc::Sender<Message>) -> Self {
        Self { engine, commands }
    }

    /// Returns the launcher, for checks that start nothing.
    #[must_use]
    pub fn launcher(&self) -> &dyn Launcher {
        self.engine.launcher.inner()
    }

    /// Returns the way to deliver notifications, if channels are configured.
    #[must_use]
    pub fn notifier(&self) -> Option<&Arc<dyn Notifier>> {
        self.engine.options.notifier.as_ref()
    }

    /// Reads a page of the output of a task, within a deadline. Its texts are printable.
    ///
    /// # Errors
    ///
    /// Those of [`TaskLogs::read_log`](crate::TaskLogs::read_log), and a page beyond its bounds.
    pub async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        self.engine.read_log(request).await
    }

    /// Announces that a job was created, replaced or removed: the engine reads the store again.
    ///
    /// A nudge carries no data, and nudges collapse. Subscribers receive the version that is stored now.
    pub fn nudge(&self, id: &JobId) {
        self.engine.nudge(id);
    }

    /// Reads the use of the configured budgets, by all replicas.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn budgets(&self) -> Result<Vec<BudgetUse>, StoreError> {
        self.engine.store.budget_uses(self.engine.clock.now()).await
    }

    /// Returns the use of the configured budgets as this process knows it, without a read of the store.
    #[must_use]
    pub fn last_budgets(&self) -> Vec<BudgetUse> {
        self.engine.process.budgets.last_uses(self.engine.clock.now())
    }

    /// Fires a job now, independent of its schedule and trigger, and returns the decision once it is durable. An edit at the same
    /// moment is tried again once.
    ///
    /// # Errors
    ///
    /// See [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        let key = request.key.unwrap_or_else(|| JobUid::random().to_string());
        let (options, at) = (request.options, request.at.unwrap_or_else(|| self.engine.clock.now()));
        let fire = async || {
            let (answer, answered) = oneshot::channel();
            let kind = FireKind::Manual { key: key.clone(), at, options: options.clone() };
            let order = FireOrder { kind, answer, span: tracing::Span::current() };
            let sent = self.commands.send(Message::Fire(id.clone(), order)).await;
            sent.map_err(|_| FireError::Stopping)?;
            answered.await.unwrap_or(Err(FireError::Stopping))
        };
        match fire().await {
            // The engine did not know the newest version of the job yet, and has read it now. Nothing was recorded.
            Err(FireError::Changed) => fire().await,
            answer => answer,
        }
    }

    /// Evaluates a job as if a tick were due now. It reads real sources where `overrides` has no value, launches nothing and
    /// records nothing. `stored` is the job's record, when the job is stored.
    pub async fn evaluate(
        &self,
        job: &Job,
        stored: Option<&StoredJob>,
        overrides: EvalOverrides,
    ) -> DecisionDraft {
        let now = self.engine.clock.now();
        let loaded = CachedJob {
            uid: stored.map_or_else(JobUid::random, |stored| stored.uid),
            revision: stored.map_or(Revision::FIRST, |stored| stored.revision),
            job: Ok(job.clone()),
            last_fired: Mutex::new(stored.and_then(|stored| stored.progress.last_fired)),
            last_row: Mutex::default(),
        };
        let tick = Tick::at(now);
        let request =
            EvalRequest { job, loaded: &loaded, tick, source: TriggerSource::DryRun, overrides, tried: 0 };
        self.engine.evaluate(&request).await.draft
    }

    /// Starts a backfill of a job, and returns it once it is durable.
    ///
    /// # Errors
    ///
    /// See [`BackfillError`].
    pub async fn start_backfill(
        &self,
        id: &JobId,
        request: BackfillRequest,
    ) -> Result<Backfill, BackfillError> {
        self.engine.start_backfill(id, request, &self.commands.downgrade()).await
    }

    /// Stops the backfill of a job, durably, and returns it; one that has ended stays as it is. No further firing begins after the
    /// answer. Tasks that run continue.
    ///
    /// # Errors
    ///
    /// See [`BackfillError`].
    pub async fn stop_backfill(&self, id: &JobId) -> Result<Backfill, BackfillError> {
        self.engine.stop_backfill(id, &self.commands.downgrade()).await
    }

    /// Decides about each tick of a backfill without recording or launching anything. Tasks that run at present do not count. Also
    /// returns why the backfill would wait now, because of the brake or a suspension.
    ///
    /// # Errors
    ///
    /// See [`BackfillError`].
    pub async fn preview_backfill(
        &self,
        id: &JobId,
        request: &BackfillRequest,
    ) -> Result<(Vec<(Timestamp, DecisionDraft)>, Option<String>), BackfillError> {
        self.engine.preview_backfill(id, request).await
    }

    /// Returns the tick of a job that could not be decided yet, or else the launch that failed, and that is tried again.
    #[must_use]
    pub fn retrying(&self, job: &JobUid) -> Option<Retrying> {
        self.engine.retries.get(job)
    }

    /// Returns how the newest ticks of a job fail, if they do and are not tried again.
    #[must_use]
    pub fn failing(&self, job: &JobUid) -> Option<Failing> {
        self.engine.process.faults.get(job)
    }

    /// Returns how the tasks of the job's newest firings fail, if they do.
    #[must_use]
    pub fn failing_tasks(&self, job: &JobUid) -> Option<FailingTasks> {
        self.engine.process.faults.failing_tasks(job)
    }

    /// Returns the state of the job's breaker, if it has one and this process has evaluated or recalled this version of the job.
    #[must_use]
    pub fn breaker(&self, job: &StoredJob) -> Option<BreakerState> {
        self.engine.breakers.state((job.uid, job.revision), self.engine.clock.now())
    }

    /// Reads from the journal how the newest ticks and tasks of a job failed, and the state of its breaker, unless this process
    /// knows it; [`Self::failing`], [`Self::failing_tasks`] and [`Self::breaker`] return the results. A job is read once. A failed read of the journal is ignored.
    pub async fn recall_failing(&self, job: &StoredJob) {
        self.engine.recall_failing(job).await;
        self.engine.recall_breaker(job).await;
    }

    /// Makes the ticks of a job count from now on, if they are settled in the future because the clock was ahead.
    pub fn resume(&self, id: &JobId) {
        self.engine.resumed.lock().insert(id.clone());
        self.engine.nudged.notify_one();
    }

    /// Returns a moment's view of the engine.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let engine = &self.engine;
        let (stats, faults, clock) =
            (*engine.loop_stats.lock(), &engine.process.faults, &engine.process.clock);
        let launcher_fault = engine.process.launcher_faults.newest();
        let status = EngineStatus {
            jobs: stats.jobs,
            invalid_jobs: stats.invalid,
            in_rounds: stats.in_rounds,
            retrying: engine.retries.len(),
            dispatching: engine.options.dispatch
                - engine.process.limits.dispatch.available_permits().min(engine.options.dispatch),
            live_tasks: engine.task_tracker.total_live(),
            next_due: stats.next_due,
            brake: engine.process.brake(),
            store_fault: engine.process.store_fault.read().clone(),
            launcher_fault: launcher_fault.or_else(|| faults.launcher_fault(engine.clock.now())),
            source_fault: faults.source_fault(),
            failing: faults.failing_jobs(),
            failing_tasks: faults.jobs_with_failing_tasks(),
            open_breakers: engine.breakers.count_open(),
            clock_fault: None,
            clock_steps: clock.steps(),
            jobs_ahead: 0,
            pending_notifications: engine.notices.pending.load(Ordering::Relaxed),
        };
        status.with_ahead(clock.fault(), stats.ahead)
    }

    /// Returns the counts since the start of the process.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.engine.process.counters
    }

    /// Returns the number of triggers that are being evaluated.
    #[must_use]
    pub fn evaluating(&self) -> usize {
        self.engine.options.evaluations
            - self.engine.process.limits.evaluations.available_permits().min(self.engine.options.evaluations)
    }

    /// Returns the number of firings, by tick and by hand, that were journalled since the start.
    #[must_use]
    pub fn firings(&self) -> u64 {
        self.engine.process.counters.firings.load(Ordering::Relaxed)
    }

    /// Returns how many tasks of a job are pending or running, as far as this process knows.
    #[must_use]
    pub fn live_tasks(&self, job: &JobUid) -> usize {
        self.engine.task_tracker.live_tasks(job).len()
    }

    /// Subscribes to the names of jobs that are created, replaced or removed from now on. A reader may lag by [`EVENT_BUFFER`] of them.
    ///
    /// [`EVENT_BUFFER`]: crate::EVENT_BUFFER
    #[must_use]
    pub fn subscribe_to_edits(&self) -> broadcast::Receiver<JobId> {
        self.engine.process.edited_jobs.subscribe()
    }

    /// Subscribes to events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.engine.process.events.subscribe()
    }

    /// Stops all launches at once, durably. Calls that were sent continue, and ticks are recorded as suspended.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then not on.
    pub async fn brake(&self, reason: String) -> Result<Brake, StoreError> {
        let brake = Brake { reason, since: self.engine.clock.now() };
        self.engine.store.set_brake(Some(brake.clone())).await?;
        Ok(brake)
    }

    /// Releases the brake. Ticks that passed meanwhile are not fired.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then still on.
    pub async fn release(&self) -> Result<(), StoreError> {
        self.engine.store.set_brake(None).await
    }

    /// Requests a comparison of every job with the store.
    pub(crate) fn rescan(&self) {
        self.engine.rescan.store(true, Ordering::Relaxed);
        self.engine.nudged.notify_one();
    }

    /// Returns the token that is cancelled when the engine stops.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.engine.stop.clone()
    }

    /// Starts a task that [`Self::stop`] waits for.
    pub(super) fn spawn_tracked(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.engine.spawn(work);
    }

    /// Waits until the engine stops.
    pub(crate) async fn stopping(&self) {
        self.engine.stop.cancelled().await;
    }

    /// Stops the engine: evaluates no further ticks, waits for calls that are under way, and returns when everything has ended
    /// or the time is up.
    ///
    /// Nothing is lost either way: the next start resumes open firings. Returns whether everything ended in time.
    pub async fn stop(&self, within: Duration) -> bool {
        self.engine.stop.cancel();
        tokio::time::timeout(within, self.engine.finish()).await.is_ok()
    }
}
