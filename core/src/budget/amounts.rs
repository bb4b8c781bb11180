//! An amount of each kind that budgets limit.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use super::{Budget, BudgetLimit};
use crate::task::TaskSize;

/// Seconds of a day.
pub(crate) const DAY: u64 = 86_400;
/// The shortest time that is paid for, in seconds.
///
/// # Source
///
/// <https://aws.amazon.com/fargate/pricing/>: a minimum of one minute.
pub(crate) const MIN_PAID: u64 = 60;

/// An amount of each kind, in its smallest unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub(crate) struct Amounts([u64; BudgetLimit::ALL.len()]);

impl From<Vec<u64>> for Amounts {
    fn from(given: Vec<u64>) -> Self {
        let mut amounts = Self::default();
        amounts.0.iter_mut().zip(given).for_each(|(amount, given)| *amount = given);
        amounts
    }
}

impl From<Amounts> for Vec<u64> {
    fn from(amounts: Amounts) -> Self {
        amounts.0.to_vec()
    }
}

impl Index<BudgetLimit> for Amounts {
    type Output = u64;

    fn index(&self, limit: BudgetLimit) -> &u64 {
        &self.0[limit as usize]
    }
}

impl IndexMut<BudgetLimit> for Amounts {
    fn index_mut(&mut self, limit: BudgetLimit) -> &mut u64 {
        &mut self.0[limit as usize]
    }
}

impl Amounts {
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.combine(other, |_, one, other| one.saturating_add(other))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.combine(other, |_, one, other| one.saturating_sub(other))
    }

    /// Adds what takes the place of this at each moment. The past stays.
    pub(crate) fn replaced_by(self, other: Self) -> Self {
        self.combine(
            other,
            |limit, one, other| {
                if limit.is_at_once() { one.max(other) } else { one.saturating_add(other) }
            },
        )
    }

    fn combine(mut self, other: Self, how: impl Fn(BudgetLimit, u64, u64) -> u64) -> Self {
        for limit in BudgetLimit::ALL {
            self[limit] = how(limit, self[limit], other[limit]);
        }
        self
    }
}

/// The size of a task as one budget counts it. An unknown number counts as nothing: a launch is not allowed then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskShare {
    cpu: u64,
    memory: u64,
    /// Millionths of a dollar for an hour.
    hourly_price: u64,
}

impl TaskShare {
    pub(crate) fn new(budget: &Budget, size: &TaskSize) -> Self {
        let (cpu, memory) = (size.cpu.unwrap_or(0).into(), size.memory.unwrap_or(0).into());
        Self { cpu, memory, hourly_price: budget.hourly_price(size).unwrap_or(0) }
    }

    /// Returns the amounts of a number of tasks, none of which has been launched yet, that may run for so many seconds.
    pub(crate) fn of_tasks(self, tasks: u32, seconds: u64) -> Amounts {
        let (count, mut amounts) = (u64::from(tasks), Amounts::default());
        amounts[BudgetLimit::MaxTasks] = count;
        amounts[BudgetLimit::LaunchesPerHour] = count;
        amounts[BudgetLimit::MaxVcpu] = count.saturating_mul(self.cpu);
        amounts[BudgetLimit::MaxMemory] = count.saturating_mul(self.memory);
        amounts[BudgetLimit::DollarsPerDay] = count.saturating_mul(self.price_of(seconds));
        amounts
    }

    /// Returns the price of so many seconds, rounded up.
    pub(crate) fn price_of(self, seconds: u64) -> u64 {
        self.hourly_price.saturating_mul(seconds).div_ceil(3_600)
    }
}
