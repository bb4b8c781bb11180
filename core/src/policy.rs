//! What a job wants done about overlap, lateness and failure.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How demand and running tasks make a number (`mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// As many tasks as asked for, counting those that already run: the Python version's arithmetic.
    #[default]
    Total,
    /// A task takes a fixed number of messages and exits.
    OneShot,
    /// A task works until its queue is empty and exits.
    Drain,
}

impl Mode {
    /// Returns how old a queue's counts may be at most where a job does not say so (`settle`): a minute for the modes that
    /// go by it, since the tasks of an empty queue cost more than waiting for its counts.
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

/// What to do when earlier tasks of the job still run (`overlap`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overlap {
    /// Start what is missing to the number asked for.
    #[default]
    TopUp,
    /// Start nothing while any earlier task runs.
    Skip,
    /// Start the number asked for beside what runs, within the cap.
    Allow,
    /// Stop what runs, then start the number asked for.
    Replace,
}

/// Which ticks are honoured after the scheduler was away (`catchUp.policy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CatchUpPolicy {
    /// The newest missed tick inside the window; the others are coalesced into it.
    #[default]
    Latest,
    /// Every missed tick inside the window, oldest first, at most `max` of them.
    All,
    /// No missed tick: what is later than [`CatchUp::ON_TIME_TOLERANCE`] is recorded as missed.
    None,
}

/// How late a tick is still honoured (`catchUp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// Which of the missed ticks.
    pub policy: CatchUpPolicy,
    /// How late a tick may be and still fire; 1 h by default.
    pub window: SignedDuration,
    /// How many ticks `all` fires at most after one outage; 10 by default.
    pub max: NonZeroU32,
}

impl CatchUp {
    /// The lateness that is not yet called missing, under every policy.
    ///
    /// # Source
    ///
    /// The engine sleeps at most 30 s before it looks at the wall clock again.
    pub const ON_TIME_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
    /// For how long a tick that cannot be decided yet is tried again at least, under every policy.
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

/// What to do when a trigger cannot be evaluated (`onError`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnError {
    /// Launch nothing and record why.
    #[default]
    Hold,
    /// After this many failures in a row, go on as if so many tasks were asked for.
    Assume {
        /// How many tasks to assume; 0 is idle.
        tasks: u32,
        /// How many evaluations in a row must fail first.
        after: NonZeroU32,
    },
}

/// Everything a job says about when not to launch, and for how long to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// How demand becomes a number.
    pub mode: Mode,
    /// What to do about tasks that still run.
    pub overlap: Overlap,
    /// What to do about late ticks.
    pub catch_up: CatchUp,
    /// What to do about a trigger that fails.
    pub on_error: OnError,
    /// For how long after a firing nothing more is launched; none by default.
    pub cooldown: Option<Duration>,
    /// By how much a tick may be put off, by a stable offset of its own; none by default.
    pub jitter: Option<Duration>,
    /// How old a queue's counts may be at most, for the modes `oneShot` and `drain`; [by default](Mode::default_settle) a
    /// minute.
    pub settle: Duration,
    /// For how long a launch is tried before it is given up; 10 m by default (`retry.launch.maxAge`).
    pub launch_max_age: Duration,
    /// How long a task may run before it is stopped; unbounded by default.
    pub timeout: Option<Duration>,
    /// How long a task may be pending before it is stopped; unbounded by default.
    pub start_timeout: Option<Duration>,
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
        }
    }
}
