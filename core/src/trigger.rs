//! The condition checked at a tick: what a trigger is asked and what it answers.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::{Cause, FaultKind};
use crate::job::JobId;
use crate::permission::Permission;
use crate::scaling::{Demand, Scaling};
use crate::schedule::Schedule;

/// One moment at which a job is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// The moment on the schedule.
    pub nominal: Timestamp,
    /// The moment at which the engine got to it.
    pub observed: Timestamp,
}

/// What a trigger is told about the evaluation it makes.
#[derive(Debug)]
pub struct EvalContext<'a> {
    /// The job for which it is asked.
    pub job: &'a JobId,
    /// The tick at which it is asked.
    pub tick: Tick,
    /// The job's bounds, for reasons in words; a trigger never clamps.
    pub scaling: Scaling,
}

/// One number as it was read, kept with the decision it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// What was measured, for example `visible`.
    pub name: String,
    /// Of what: a queue's name, a metric's.
    pub subject: String,
    /// The number.
    pub value: f64,
    /// Its unit, for example `messages`.
    pub unit: String,
    /// When it was true, as the source says.
    pub at: Timestamp,
}

/// The counts of one queue as one call returned them: what the modes `oneShot` and `drain` work on.
///
/// Counts are approximate and lag behind the queue; the job's `settle` says by how much at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueReading {
    /// Messages that a consumer can receive now.
    pub visible: u64,
    /// Messages that a consumer has received and not yet deleted.
    pub in_flight: u64,
    /// For how long a received message stays invisible, in whole seconds: a failed task's messages come back after it.
    pub visibility_timeout: Duration,
    /// How many messages one task takes; `messagesPerTask`.
    pub per_task: NonZeroU32,
}

/// What a trigger concluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// How many tasks the world asks for, unclamped.
    pub demand: Demand,
    /// Why, in words that fit behind a colon: `1150 messages ÷ 100 per task, rounded up`.
    pub because: String,
    /// The numbers it rests on.
    pub observations: Vec<Observation>,
    /// The queue's counts, where the trigger [counts a queue](Trigger::counts_queue).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueReading>,
}

impl Evaluation {
    /// Concludes that the condition does not hold.
    #[must_use]
    pub fn idle(because: impl Into<String>) -> Self {
        Self { demand: Demand::Idle, because: because.into(), observations: Vec::new(), queue: None }
    }

    /// Concludes that the condition holds and the job's floor says how many.
    #[must_use]
    pub fn floor(because: impl Into<String>) -> Self {
        Self { demand: Demand::Floor, because: because.into(), observations: Vec::new(), queue: None }
    }

    /// Concludes that `n` tasks are asked for; none is idle.
    #[must_use]
    pub fn tasks(n: u32, because: impl Into<String>) -> Self {
        Self { demand: Demand::from_count(n), because: because.into(), observations: Vec::new(), queue: None }
    }

    /// Adds a number that the conclusion rests on.
    #[must_use]
    pub fn observing(mut self, observation: Observation) -> Self {
        self.observations.push(observation);
        self
    }

    /// Adds the queue's counts.
    #[must_use]
    pub fn with_queue_reading(mut self, queue: QueueReading) -> Self {
        self.queue = Some(queue);
        self
    }
}

/// Why a trigger could not be evaluated. An unreadable source is this, never a demand of zero.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TriggerError {
    kind: FaultKind,
    message: String,
    #[source]
    cause: Option<Cause>,
}

impl TriggerError {
    /// Makes an error; `message` says what was attempted and on what: `could not read depth of queue "orders"`.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// Adds the cause, which stays out of `Display`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns what kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Tells whether the next tick may succeed without anyone changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

/// A condition that says how many tasks the outside world asks for.
///
/// A trigger only measures. It never launches, clamps, retries or reads the clock: the tick it is given carries the
/// time. It may be called for several jobs at once and must be cheap to keep.
#[async_trait]
pub trait Trigger: fmt::Debug + Send + Sync + 'static {
    /// Returns the ticks that this trigger asks for beside the job's own schedule.
    ///
    /// Only `cron` and what contains it have any.
    fn schedule(&self) -> Option<&Schedule> {
        None
    }

    /// Tells whether the answer depends on the tick alone, so that a past tick can still be evaluated.
    ///
    /// False where something is measured now; `catchUp: all` is refused for such jobs.
    fn is_timeless(&self) -> bool {
        false
    }

    /// Tells whether every evaluation carries the counts of one queue, which the modes `oneShot` and `drain` need.
    fn counts_queue(&self) -> bool {
        false
    }

    /// Lists what must be permitted for [`evaluate`](Self::evaluate) to read its sources.
    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }

    /// Says how many tasks the outside world asks for at this tick, and why.
    ///
    /// # Errors
    ///
    /// Fails when a source cannot be read; the engine then follows the job's `onError`.
    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError>;
}
