//! Numbers of tasks: floor, cap, demand, and the arithmetic that triggers share.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// The default maximum number of concurrent tasks of one job.
///
/// # Source
///
/// The Python version's documented limit of 50 tasks a job (`ECSS_MAX_TASKS`).
pub const DEFAULT_MAX_TASKS: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");

/// The bounds on a job's number of tasks: `taskCount`, `maxCount` and the installation's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// `taskCount`: the minimum number of tasks that a firing trigger demands; 1…`ECSS_MAX_TASKS`.
    pub floor: NonZeroU32,
    /// `maxCount`: the maximum number of concurrent tasks of the job that the scheduler starts.
    pub cap: Option<NonZeroU32>,
    /// `ECSS_MAX_TASKS`: the limit of every job, with a cap or without.
    pub ceiling: NonZeroU32,
}

impl Scaling {
    /// Returns the effective limit: the cap if there is one, at most the ceiling.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.cap.unwrap_or(self.ceiling).min(self.ceiling).get()
    }

    /// Returns the name of the effective limit, as users set it.
    #[must_use]
    pub fn limit_name(&self) -> &'static str {
        if self.cap.is_some_and(|cap| cap <= self.ceiling) { "maxCount" } else { "ECSS_MAX_TASKS" }
    }
}

impl Default for Scaling {
    fn default() -> Self {
        Self { floor: NonZeroU32::MIN, cap: None, ceiling: DEFAULT_MAX_TASKS }
    }
}

/// How many tasks a trigger demands, before the job's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Demand {
    /// The condition does not hold.
    Idle,
    /// The condition holds and demands the job's floor.
    Floor,
    /// The condition holds and demands this many.
    Tasks(NonZeroU32),
}

impl Demand {
    /// Returns how many tasks are demanded, given the job's floor.
    #[must_use]
    pub fn tasks(self, floor: NonZeroU32) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Floor => floor.get(),
            Self::Tasks(n) => n.get().max(floor.get()),
        }
    }

    /// Makes the demand for `n` tasks; 0 is idle.
    #[must_use]
    pub fn from_count(n: u32) -> Self {
        NonZeroU32::new(n).map_or(Self::Idle, Self::Tasks)
    }
}

/// Divides work among tasks, rounding up: how many tasks `amount` needs at `each` per task.
///
/// Saturates at `u32::MAX`.
///
/// # Example
///
/// ```
/// use std::num::NonZeroU32;
/// use ecs_scheduler_core::per_task;
/// let hundred = NonZeroU32::new(100).unwrap();
/// assert_eq!(per_task(1_150, hundred), 12);
/// assert_eq!(per_task(0, hundred), 0);
/// ```
#[must_use]
pub fn per_task(amount: u64, each: NonZeroU32) -> u32 {
    u32::try_from(amount.div_ceil(u64::from(each.get()))).unwrap_or(u32::MAX)
}
