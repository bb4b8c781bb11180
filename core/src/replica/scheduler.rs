//! What the rest of the program talks to, however many processes the scheduler is.

use std::time::Duration;

use tokio::sync::broadcast;

use super::ReplicaHandle;
use crate::decide::{DecisionDraft, DecisionRecord};
use crate::engine::{
    Brake, Counters, EngineHandle, EngineStatus, EvalOverrides, Failing, FireError, FireRequest, Retrying,
};
use crate::event::Event;
use crate::job::{Job, JobId, StoredJob};
use crate::launcher::Launcher;
use crate::store::StoreError;

/// One engine that looks at every job, or a replica that looks at its share of them.
#[derive(Debug, Clone)]
pub enum Scheduler {
    /// The only process of its scheduler.
    Alone(EngineHandle),
    /// One of several.
    Replica(ReplicaHandle),
}

/// Does the same with whichever it is.
macro_rules! either {
    ($self:ident, $one:ident => $done:expr) => {
        match $self {
            Self::Alone($one) => $done,
            Self::Replica($one) => $done,
        }
    };
}

impl Scheduler {
    /// Returns the replica, where there may be others.
    #[must_use]
    pub fn replica(&self) -> Option<&ReplicaHandle> {
        match self {
            Self::Alone(_) => None,
            Self::Replica(replica) => Some(replica),
        }
    }

    /// Returns the launcher, for checks that start nothing.
    #[must_use]
    pub fn launcher(&self) -> &dyn Launcher {
        either!(self, one => one.launcher())
    }

    /// Says that a job was created, replaced or removed.
    pub fn nudge(&self, id: &JobId) {
        either!(self, one => one.nudge(id));
    }

    /// Fires a job now, whatever its schedule and trigger say, and returns the decision once it is durable.
    ///
    /// # Errors
    ///
    /// See [`FireError`].
    pub async fn fire_now(&self, id: &JobId, request: FireRequest) -> Result<DecisionRecord, FireError> {
        either!(self, one => one.fire_now(id, request).await)
    }

    /// Decides about a job as if a tick were due now; launches and records nothing.
    pub async fn evaluate(
        &self,
        job: &Job,
        stored: Option<&StoredJob>,
        given: EvalOverrides,
    ) -> DecisionDraft {
        either!(self, one => one.evaluate(job, stored, given).await)
    }

    /// Returns the tick of a job that this process could not decide yet and tries again, if there is one.
    #[must_use]
    pub fn retrying(&self, job: &StoredJob) -> Option<Retrying> {
        match self {
            Self::Alone(engine) => engine.retrying(&job.uid),
            Self::Replica(replica) => replica.retrying(job),
        }
    }

    /// Returns how the newest ticks of a job fail, as far as this process looks at it.
    #[must_use]
    pub fn failing(&self, job: &StoredJob) -> Option<Failing> {
        match self {
            Self::Alone(engine) => engine.failing(&job.uid),
            Self::Replica(replica) => replica.failing(job),
        }
    }

    /// Reads of the journal how the newest ticks of a job failed, where this process looks at it and has not seen one since
    /// its start.
    pub async fn recall_failing(&self, job: &StoredJob) {
        either!(self, one => one.recall_failing(job).await);
    }

    /// Lets the ticks of a job count from now on, if they are settled in the future because the clock was ahead.
    pub fn resume(&self, id: &JobId) {
        either!(self, one => one.resume(id));
    }

    /// Returns a moment's view of this process.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        either!(self, one => one.status())
    }

    /// Returns the counts since the start of this process.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        either!(self, one => one.counters())
    }

    /// Returns how many triggers are being evaluated now.
    #[must_use]
    pub fn evaluating(&self) -> usize {
        either!(self, one => one.evaluating())
    }

    /// Listens to what this process does from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        either!(self, one => one.subscribe())
    }

    /// Stops all launches, durably.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then not on.
    pub async fn brake(&self, reason: String) -> Result<Brake, StoreError> {
        either!(self, one => one.brake(reason).await)
    }

    /// Allows launches again.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written; the brake is then still on.
    pub async fn release(&self) -> Result<(), StoreError> {
        either!(self, one => one.release().await)
    }

    /// Stops looking at ticks and returns when everything has ended or the time is up; tells which.
    pub async fn stop(&self, within: Duration) -> bool {
        either!(self, one => one.stop(within).await)
    }
}

impl From<EngineHandle> for Scheduler {
    fn from(engine: EngineHandle) -> Self {
        Self::Alone(engine)
    }
}

impl From<ReplicaHandle> for Scheduler {
    fn from(replica: ReplicaHandle) -> Self {
        Self::Replica(replica)
    }
}
