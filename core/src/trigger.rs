//! The trigger trait: the condition that is evaluated at a tick.

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

/// A moment at which a job is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// The moment on the schedule.
    pub nominal: Timestamp,
    /// The moment at which the engine reached it.
    pub observed: Timestamp,
}

/// The context of an evaluation.
#[derive(Debug)]
pub struct EvalContext<'a> {
    /// The job.
    pub job: &'a JobId,
    /// The tick.
    pub tick: Tick,
    /// The job's bounds, for use in reasons; a trigger never clamps.
    pub scaling: Scaling,
}

/// A number as it was read, stored with its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// The name of the measured value, for example `visible`.
    pub name: String,
    /// The measured object: the name of a queue or a metric.
    pub subject: String,
    /// The number.
    pub value: f64,
    /// Its unit, for example `messages`.
    pub unit: String,
    /// Its time, as the source reports it.
    pub at: Timestamp,
}

/// The counts of one queue, as returned by one call: the input of the modes `oneShot` and `drain`.
///
/// Counts are approximate and lag behind the queue, by at most the job's `settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueReading {
    /// Messages that a consumer can receive now.
    pub visible: u64,
    /// Messages that a consumer has received and not yet deleted.
    pub in_flight: u64,
    /// How long a received message stays invisible, in whole seconds; then the messages of a failed task become visible.
    pub visibility_timeout: Duration,
    /// How many messages one task takes; `messagesPerTask`.
    pub per_task: NonZeroU32,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// The demanded number of tasks, unclamped.
    pub demand: Demand,
    /// The reason, in words that fit after a colon: `1150 messages ÷ 100 per task, rounded up`.
    #[serde(rename = "because")]
    pub reason: String,
    /// The numbers that it is based on.
    pub observations: Vec<Observation>,
    /// The queue's counts, where the trigger [counts a queue](Trigger::reports_queue_depth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueReading>,
}

impl Evaluation {
    /// Makes the result of a condition that does not hold.
    #[must_use]
    pub fn idle(reason: impl Into<String>) -> Self {
        Self { demand: Demand::Idle, reason: reason.into(), observations: Vec::new(), queue: None }
    }

    /// Makes the result of a condition that holds and demands the job's floor.
    #[must_use]
    pub fn floor(reason: impl Into<String>) -> Self {
        Self { demand: Demand::Floor, reason: reason.into(), observations: Vec::new(), queue: None }
    }

    /// Makes the result of a demand for `n` tasks; 0 is idle.
    #[must_use]
    pub fn tasks(n: u32, reason: impl Into<String>) -> Self {
        Self { demand: Demand::from_count(n), reason: reason.into(), observations: Vec::new(), queue: None }
    }

    /// Adds a number that the result is based on.
    #[must_use]
    pub fn with_observation(mut self, observation: Observation) -> Self {
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

/// Why a trigger could not be evaluated. An unreadable source is an error, never a demand of zero.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TriggerError {
    kind: FaultKind,
    message: String,
    #[source]
    cause: Option<Cause>,
}

impl TriggerError {
    /// Makes an error; `message` names the failed operation and its object: `could not read depth of queue "orders"`.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// Adds the cause, which stays out of `Display`.
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Tells whether the next tick may succeed without any change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

/// A condition that determines how many tasks are demanded.
///
/// A trigger only measures. It never launches, clamps, retries or reads the clock: the given tick carries the time. It may
/// be called for several jobs at once and must be cheap to keep.
#[async_trait]
pub trait Trigger: fmt::Debug + Send + Sync + 'static {
    /// Returns the schedule that this trigger provides for jobs without a schedule of their own.
    ///
    /// Only `cron`, and triggers that contain it, provide one.
    fn schedule(&self) -> Option<&Schedule> {
        None
    }

    /// Tells whether the result depends on the tick alone, so that a past tick can still be evaluated.
    ///
    /// False for triggers that measure the present; `catchUp: all` is rejected for their jobs.
    fn is_time_based(&self) -> bool {
        false
    }

    /// Tells whether every evaluation includes the counts of one queue, which the modes `oneShot` and `drain` need.
    fn reports_queue_depth(&self) -> bool {
        false
    }

    /// Lists the permissions that [`evaluate`](Self::evaluate) needs to read its sources.
    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }

    /// Returns how many tasks are demanded at this tick, and why.
    ///
    /// # Errors
    ///
    /// Fails when a source cannot be read; the engine then applies the job's `onError`.
    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError>;
}
