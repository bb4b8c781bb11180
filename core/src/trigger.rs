//! The trigger trait: the condition that is evaluated at a tick.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure_methods;
use crate::fault::{Failure, FaultKind};
use crate::id::JobId;
use crate::permission::Permission;
use crate::scaling::{Demand, Scaling};
use crate::schedule::Schedule;

/// A moment at which a job is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tick {
    /// The moment on the schedule.
    pub nominal: Timestamp,
    /// The moment at which the engine reached it.
    pub observed: Timestamp,
}

impl Tick {
    /// Makes a tick that was reached at its moment on the schedule or later.
    #[must_use]
    pub const fn new(nominal: Timestamp, observed: Timestamp) -> Self {
        Self { nominal, observed }
    }

    /// Makes a tick of this moment, for an evaluation that follows no schedule.
    #[must_use]
    pub const fn at(moment: Timestamp) -> Self {
        Self::new(moment, moment)
    }
}

/// The context of an evaluation. The engine makes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct EvalContext<'a> {
    /// The job.
    pub job: &'a JobId,
    /// The tick.
    pub tick: Tick,
    /// The job's bounds, for use in reasons; a trigger never clamps.
    pub scaling: Scaling,
}

impl<'a> EvalContext<'a> {
    /// Makes the context of an evaluation of a job at a tick.
    #[must_use]
    pub const fn new(job: &'a JobId, tick: Tick, scaling: Scaling) -> Self {
        Self { job, tick, scaling }
    }
}

/// A number as it was read, stored with its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
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

impl Observation {
    /// Makes a number of an object, with its unit and the time that the source reports.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        subject: impl Into<String>,
        value: f64,
        unit: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self { name: name.into(), subject: subject.into(), value, unit: unit.into(), at }
    }
}

/// The counts of one queue, as returned by one call: the input of the modes `oneShot` and `drain`.
///
/// Counts are approximate and lag behind the queue, by at most the job's `settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QueueReading {
    /// Messages that a consumer can receive now.
    pub visible: u64,
    /// Messages that a consumer has received and not yet deleted.
    pub in_flight: u64,
    /// How long a received message stays invisible, in whole seconds; then the messages of a failed task become
    /// visible.
    pub visibility_timeout: Duration,
    /// How many messages one task takes; `messagesPerTask`.
    pub per_task: NonZeroU32,
}

impl QueueReading {
    /// Makes the counts of one queue. A received message stays invisible for `visibility_timeout`; one task takes
    /// `per_task` messages.
    #[must_use]
    pub const fn new(
        visible: u64,
        in_flight: u64,
        visibility_timeout: Duration,
        per_task: NonZeroU32,
    ) -> Self {
        Self { visible, in_flight, visibility_timeout, per_task }
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
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
    /// Makes the result of a condition that demands tasks, or none, for a reason.
    #[must_use]
    pub fn new(demand: Demand, reason: impl Into<String>) -> Self {
        Self { demand, reason: reason.into(), observations: Vec::new(), queue: None }
    }

    /// Makes the result of a condition that does not hold.
    #[must_use]
    pub fn idle(reason: impl Into<String>) -> Self {
        Self::new(Demand::Idle, reason)
    }

    /// Makes the result of a condition that holds and demands the job's floor.
    #[must_use]
    pub fn floor(reason: impl Into<String>) -> Self {
        Self::new(Demand::Floor, reason)
    }

    /// Makes the result of a demand for `n` tasks; 0 is idle.
    #[must_use]
    pub fn tasks(n: u32, reason: impl Into<String>) -> Self {
        Self::new(Demand::from_count(n), reason)
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

/// The error of a trigger that could not be evaluated. An unreadable source is an error, never a demand of zero.
#[derive(Debug, Clone)]
pub struct TriggerError {
    failure: Failure,
}

failure_methods!(TriggerError);

impl TriggerError {
    /// Makes an error; `message` names the failed operation and its object: `could not read depth of queue "orders"`.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Failure::new(kind, message).into()
    }
}

impl From<Failure> for TriggerError {
    fn from(failure: Failure) -> Self {
        Self { failure }
    }
}

/// A condition that determines how many tasks are demanded.
///
/// A trigger only measures. It never launches, clamps, retries or reads the clock: the given tick carries the time. It
/// may be called for several jobs at once and must be cheap to keep.
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
