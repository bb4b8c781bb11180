//! The scheduler's interface for the rest of the program: a single engine or a replica.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::ReplicaHandle;
use crate::backfill::{Backfill, BackfillError, BackfillRequest};
use crate::budget::BudgetUse;
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::engine::{
    Brake, BreakerState, Counters, EngineHandle, EngineStatus, EvalOverrides, Failing, FailingTasks,
    FireError, FireRequest, Retrying,
};
use crate::event::Event;
use crate::job::{Job, JobId, StoredJob};
use crate::launcher::{LaunchError, Launcher, LogPage, LogRequest};
use crate::notify::Notifier;
use crate::store::StoreError;

/// A single engine that runs every job, or a replica that runs its share of them.
#[derive(Debug, Clone)]
pub enum SchedulerNode {
    /// The only process of its scheduler.
    Single(EngineHandle),
    /// One of several.
    Replica(ReplicaHandle),
}

/// Delegates a call to the engine or the replica.
macro_rules! delegate {
    ($self:ident, $one:ident => $done:expr) => {
        match $self {
            Self::Single($one) => $done,
            Self::Replica($one) => $done,
        }
    };
}

impl SchedulerNode {
    /// Returns the replica, unless this is a single engine.
    #[must_use]
    pub fn replica(&self) -> Option<&ReplicaHandle> {
        match self {
            Self::Single(_) => None,
            Self::Replica(replica) => Some(replica),
        }
    }

    /// Returns the engine for calls that are about the whole process.
    fn any_engine(&self) -> &EngineHandle {
        match self {
            Self::Single(engine) => engine,
            Self::Replica(replica) => replica.idle_engine(),
        }
    }

    /// Returns the launcher, for checks that start nothing.
    #[must_use]
    pub fn launcher(&self) -> &dyn Launcher {
        self.any_engine().launcher()
    }

    /// Returns the way to deliver notifications, if channels are configured.
    #[must_use]
    pub fn notifier(&self) -> Option<&Arc<dyn Notifier>> {
        self.any_engine().notifier()
    }

    /// Returns the names of the configured channels of notifications.
    #[must_use]
    pub fn channels(&self) -> &[String] {
        self.notifier().map_or(&[], |notifier| notifier.channels())
    }

    /// Reads the use of the configured budgets, by all replicas.
    ///
    /// # Errors
    ///
    /// Those of [`EngineHandle::budgets`].
    pub async fn budgets(&self) -> Result<Vec<BudgetUse>, StoreError> {
        self.any_engine().budgets().await
    }

    /// Returns the use of the configured budgets as this process knows it, without a read of the store.
    #[must_use]
    pub fn last_budgets(&self) -> Vec<BudgetUse> {
        self.any_engine().last_budgets()
    }

    /// Reads a page of the output of a task, also of a job that another replica owns.
    ///
    /// # Errors
    ///
    /// Those of [`EngineHandle::read_log`].
    pub async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        self.any_engine().read_log(request).await
    }

    /// Notifies the engine that a job was created, replaced or removed.
    pub fn nudge(&self, id: &JobId) {
        delegate!(self, one => one.nudge(id));
    }

    /// Fires a job now, regardless of its schedule and trigger, and returns the decision once it is durable.
    ///
    /// # Errors
    ///
    /// See [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        delegate!(self, one => one.fire_now(id, request).await)
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
        delegate!(self, one => one.start_backfill(id, request).await)
    }

    /// Stops the backfill of a job, and returns it.
    ///
    /// # Errors
    ///
    /// See [`BackfillError`].
    pub async fn stop_backfill(&self, id: &JobId) -> Result<Backfill, BackfillError> {
        delegate!(self, one => one.stop_backfill(id).await)
    }

    /// Decides about each tick of a backfill; launches and records nothing. Also returns why the backfill would wait now.
    ///
    /// # Errors
    ///
    /// See [`BackfillError`].
    pub async fn preview_backfill(
        &self,
        id: &JobId,
        request: &BackfillRequest,
    ) -> Result<(Vec<(Timestamp, DecisionDraft)>, Option<String>), BackfillError> {
        self.any_engine().preview_backfill(id, request).await
    }

    /// Evaluates a job as if a tick were due now; launches and records nothing.
    pub async fn evaluate(
        &self,
        job: &Job,
        stored: Option<&StoredJob>,
        given: EvalOverrides,
    ) -> DecisionDraft {
        delegate!(self, one => one.evaluate(job, stored, given).await)
    }

    /// Returns the undecided tick of a job that this process retries, if there is one.
    #[must_use]
    pub fn retrying(&self, job: &StoredJob) -> Option<Retrying> {
        match self {
            Self::Single(engine) => engine.retrying(&job.uid),
            Self::Replica(replica) => replica.retrying(job),
        }
    }

    /// Returns how the newest ticks of a job fail, if this process owns the job.
    #[must_use]
    pub fn failing(&self, job: &StoredJob) -> Option<Failing> {
        match self {
            Self::Single(engine) => engine.failing(&job.uid),
            Self::Replica(replica) => replica.failing(job),
        }
    }

    /// Returns how the tasks of the job's newest firings fail, if this process owns the job.
    #[must_use]
    pub fn failing_tasks(&self, job: &StoredJob) -> Option<FailingTasks> {
        match self {
            Self::Single(engine) => engine.failing_tasks(&job.uid),
            Self::Replica(replica) => replica.failing_tasks(job),
        }
    }

    /// Returns the state of the job's breaker, if it has one and this process owns the job and knows it.
    #[must_use]
    pub fn breaker(&self, job: &StoredJob) -> Option<BreakerState> {
        delegate!(self, one => one.breaker(job))
    }

    /// Tells whether a job fails, if another process owns it; see [`Self::refresh_failing_names`].
    #[must_use]
    pub fn fails_elsewhere(&self, job: &JobId) -> bool {
        self.replica().is_some_and(|replica| replica.fails_elsewhere(job))
    }

    /// Reads the names of failing jobs that other processes own, unless they were read within five seconds.
    pub async fn refresh_failing_names(&self) {
        if let Some(replica) = self.replica() {
            replica.refresh_failing_names().await;
        }
    }

    /// Reads from the journal how the newest ticks and tasks of a job failed, if this process owns it and has not settled one since
    /// its start.
    pub async fn recall_failing(&self, job: &StoredJob) {
        delegate!(self, one => one.recall_failing(job).await);
    }

    /// Lets the ticks of a job count from now on, if they are settled in the future because the clock was ahead.
    pub fn resume(&self, id: &JobId) {
        delegate!(self, one => one.resume(id));
    }

    /// Returns the current status of this process.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        delegate!(self, one => one.status())
    }

    /// Returns the counts since the start of this process.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.any_engine().counters()
    }

    /// Returns how many triggers are being evaluated now.
    #[must_use]
    pub fn evaluating(&self) -> usize {
        self.any_engine().evaluating()
    }

    /// Returns how many tasks of a job are pending or running, if this process owns the job.
    #[must_use]
    pub fn live_tasks(&self, job: &StoredJob) -> Option<usize> {
        match self {
            Self::Single(engine) => Some(engine.live_tasks(&job.uid)),
            Self::Replica(replica) => replica.live_tasks(job),
        }
    }

    /// Subscribes to the names of jobs of this process that are created, replaced or removed, as
    /// [`EngineHandle::subscribe_to_edits`] does.
    #[must_use]
    pub fn subscribe_to_edits(&self) -> broadcast::Receiver<JobId> {
        self.any_engine().subscribe_to_edits()
    }

    /// Subscribes to the events of this process.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.any_engine().subscribe()
    }

    /// Stops all launches of all replicas, durably: of this process at once, of the others within a second.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then not on.
    pub async fn brake(&self, reason: String) -> Result<Brake, StoreError> {
        self.any_engine().brake(reason).await
    }

    /// Allows launches again.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then still on.
    pub async fn release(&self) -> Result<(), StoreError> {
        self.any_engine().release().await
    }

    /// Stops evaluating ticks, and waits for running work to end; returns whether it ended in time.
    pub async fn stop(&self, within: Duration) -> bool {
        delegate!(self, one => one.stop(within).await)
    }
}

impl From<EngineHandle> for SchedulerNode {
    fn from(engine: EngineHandle) -> Self {
        Self::Single(engine)
    }
}

impl From<ReplicaHandle> for SchedulerNode {
    fn from(replica: ReplicaHandle) -> Self {
        Self::Replica(replica)
    }
}
