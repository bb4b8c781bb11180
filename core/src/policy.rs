//! A job's policies for overlap, lateness and failure.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

mod breaker;
mod notify;
mod task_retry;

pub use breaker::Breaker;
pub use notify::{NotifyCondition, NotifyRule};
pub use task_retry::{RetryAction, RetryCondition, RetryRule, TaskRetry};

/// How the number of tasks follows from demand and running tasks (`mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// As many tasks as demanded, counting those that already run: the Python version's arithmetic.
    #[default]
    Total,
    /// A task takes a fixed number of messages and exits.
    OneShot,
    /// A task works until its queue is empty and exits.
    Drain,
}

impl Mode {
    /// Returns the default of `settle`, the maximum age of a queue's counts: a minute for the modes that depend on it,
    /// because tasks for an empty queue cost more than waiting for its counts.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>: the counts become
    /// consistent a minute after producers stop sending.
    #[must_use]
    pub const fn default_settle(self) -> Duration {
        match self {
            Self::Total => Duration::from_secs(10),
            Self::OneShot | Self::Drain => Duration::from_secs(60),
        }
    }
}

/// The policy for ticks while earlier tasks of the job still run (`overlap`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overlap {
    /// Start the difference between the demanded number and the running tasks.
    #[default]
    TopUp,
    /// Start nothing while any earlier task runs.
    Skip,
    /// Start the demanded number in addition, within the cap.
    Allow,
    /// Stop the running tasks, then start the demanded number.
    Replace,
}

/// The ticks that fire after the scheduler was down (`catchUp.policy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CatchUpPolicy {
    /// The newest missed tick inside the window; the others are coalesced into it.
    #[default]
    Latest,
    /// Every missed tick inside the window, oldest first, at most `max` of them.
    All,
    /// No missed tick: a tick later than [`CatchUp::ON_TIME_TOLERANCE`] is recorded as missed.
    None,
}

/// How late a tick may fire (`catchUp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// The policy for missed ticks.
    pub policy: CatchUpPolicy,
    /// The maximum lateness of a tick that fires; 1 h by default.
    pub window: SignedDuration,
    /// The maximum number of ticks that `all` fires after one outage; 10 by default.
    pub max: NonZeroU32,
}

impl CatchUp {
    /// The lateness up to which a tick counts as on time, under every policy.
    ///
    /// # Source
    ///
    /// The engine sleeps at most 30 s before it reads the wall clock again.
    pub const ON_TIME_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
    /// The minimum time for which an undecided tick is retried, under every policy.
    pub const MIN_RETRY_WINDOW: SignedDuration = SignedDuration::from_mins(1);
}

impl Default for CatchUp {
    fn default() -> Self {
        Self {
            policy: CatchUpPolicy::default(),
            window: SignedDuration::from_hours(1),
            max: NonZeroU32::new(10).expect("10 is not zero"),
        }
    }
}

/// The policy for a trigger that cannot be evaluated (`onError`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnError {
    /// Launch nothing and record why.
    #[default]
    Hold,
    /// After `after` consecutive failures, assume a demand for `tasks` tasks.
    Assume {
        /// The assumed number of tasks; 0 is idle.
        tasks: u32,
        /// How many consecutive evaluations must fail first.
        after: NonZeroU32,
    },
}

/// How much history of a job is kept (`history`); the installation's rule where a part is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryRule {
    /// The number of newest decisions that are kept whatever their age, each with its firing; 1…[`Self::MAX_KEEP`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// The age in days up to which decisions and their firings are kept; 1…[`Self::MAX_DAYS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

impl HistoryRule {
    /// The greatest `keep`: a store reads so many rows of the job whenever it prunes.
    pub const MAX_KEEP: u32 = 10_000;
    /// The greatest `days`: a hundred years.
    pub const MAX_DAYS: u32 = 36_500;

    /// Reads the rule of a stored document, without the other fields. `None` if the document has none, or an invalid one.
    #[must_use]
    pub fn of_document(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            history: Option<HistoryRule>,
        }
        if !text.contains("\"history\"") {
            return None;
        }
        let document: Document = serde_json::from_str(text).ok()?;
        document.history.filter(|rule| !rule.is_default())
    }

    /// Tells whether the installation's rule applies.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// All policies of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// How demand becomes a number of tasks.
    pub mode: Mode,
    /// The policy for tasks that still run.
    pub overlap: Overlap,
    /// The policy for late ticks.
    pub catch_up: CatchUp,
    /// The policy for a failing trigger.
    pub on_error: OnError,
    /// The time after a firing during which nothing is launched; none by default.
    pub cooldown: Option<Duration>,
    /// The maximum delay of a tick, which is a stable pseudo-random offset; none by default.
    pub jitter: Option<Duration>,
    /// The maximum age of a queue's counts, for the modes `oneShot` and `drain`; [by default](Mode::default_settle) a
    /// minute.
    pub settle: Duration,
    /// How long a launch is retried; 10 m by default (`retry.launch.maxAge`).
    pub launch_max_age: Duration,
    /// How long a task may run before it is stopped; unbounded by default.
    pub timeout: Option<Duration>,
    /// How long a task may be pending before it is stopped; unbounded by default.
    pub start_timeout: Option<Duration>,
    /// The retry of failed tasks; none by default.
    pub task_retry: Option<TaskRetry>,
    /// The breaker; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// How much history is kept.
    #[serde(default, skip_serializing_if = "HistoryRule::is_default")]
    pub history: HistoryRule,
    /// Which events go to which channels; when absent, those that the configuration gives to all jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Vec<NotifyRule>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            on_error: OnError::default(),
            cooldown: None,
            jitter: None,
            settle: Mode::default().default_settle(),
            launch_max_age: Duration::from_secs(600),
            timeout: None,
            start_timeout: None,
            task_retry: None,
            breaker: None,
            history: HistoryRule::default(),
            notify: None,
        }
    }
}
