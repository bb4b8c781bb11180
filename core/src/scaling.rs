//! How many: floor, cap, demand, and the arithmetic that triggers share.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// The most tasks of one job that may exist at once when nothing else is configured.
///
/// # Source
///
/// The Python version's documented limit of 50 tasks a job (`ECSS_MAX_TASKS`).
pub const DEFAULT_MAX_TASKS: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");

/// How a job turns demand into a number: `taskCount`, `maxCount` and the installation's own bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// `taskCount`: how many tasks a firing trigger asks for at least; 1…`ECSS_MAX_TASKS`.
    pub floor: NonZeroU32,
    /// `maxCount`: at no moment do more tasks of the job exist that the scheduler started.
    pub cap: Option<NonZeroU32>,
    /// `ECSS_MAX_TASKS`: bounds every job, also one without a cap.
    pub ceiling: NonZeroU32,
}

impl Scaling {
    /// Returns the bound in force: the cap where there is one, never above the ceiling.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.cap.unwrap_or(self.ceiling).min(self.ceiling).get()
    }

    /// Returns the name of the bound in force, as a user sets it.
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

/// How many tasks the outside world asks for, before any bound of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Demand {
    /// The condition does not hold.
    Idle,
    /// The condition holds; the job's floor says how many.
    Floor,
    /// The condition holds and asks for this many.
    Tasks(NonZeroU32),
}

impl Demand {
    /// Returns how many tasks are asked for, given the job's floor.
    #[must_use]
    pub fn tasks(self, floor: NonZeroU32) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Floor => floor.get(),
            Self::Tasks(n) => n.get().max(floor.get()),
        }
    }

    /// Builds the demand for `n` tasks, idle when there are none.
    #[must_use]
    pub fn from_count(n: u32) -> Self {
        NonZeroU32::new(n).map_or(Self::Idle, Self::Tasks)
    }
}

/// Divides work over tasks, rounding up: how many tasks `amount` needs at `each` per task.
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
