//! Budgets: bounds of what the jobs with certain labels use together.

mod amounts;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::task::{ComputePrice, TaskSize};
pub(crate) use amounts::{Amounts, DAY, MIN_PAID, TaskShare};

/// The labels of a job, or of a selector.
pub type Labels = BTreeMap<String, String>;

/// A bound of what the jobs with certain labels use together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// The labels that a job must have, each with this value; every job has those of an empty selector.
    pub selector: Labels,
    /// The maximum number of tasks at once; unbounded when absent.
    pub max_tasks: Option<NonZeroU32>,
    /// The maximum number of tasks that are launched in any 60 minutes; unbounded when absent.
    pub launches_per_hour: Option<NonZeroU32>,
    /// The maximum number of CPU units at once, 1,024 to a vCPU; unbounded when absent.
    pub max_cpu: Option<NonZeroU64>,
    /// The maximum memory at once in MiB; unbounded when absent.
    pub max_memory: Option<NonZeroU64>,
    /// The maximum price of what runs in any 24 hours, in millionths of a dollar; unbounded when absent.
    pub max_daily_price: Option<NonZeroU64>,
    /// The price of its tasks; that of their launcher when absent.
    pub price: Option<ComputePrice>,
}

impl Budget {
    /// Makes a budget without limits.
    #[must_use]
    pub fn new(name: impl Into<String>, selector: Labels) -> Self {
        Self {
            name: name.into(),
            selector,
            max_tasks: None,
            launches_per_hour: None,
            max_cpu: None,
            max_memory: None,
            max_daily_price: None,
            price: None,
        }
    }

    /// Tells whether jobs with these labels belong to it.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Returns a limit in its smallest unit; none if it is unbounded.
    #[must_use]
    pub fn limit(&self, limit: BudgetLimit) -> Option<u64> {
        match limit {
            BudgetLimit::MaxTasks => self.max_tasks.map(NonZeroU64::from),
            BudgetLimit::LaunchesPerHour => self.launches_per_hour.map(NonZeroU64::from),
            BudgetLimit::MaxVcpu => self.max_cpu,
            BudgetLimit::MaxMemory => self.max_memory,
            BudgetLimit::DollarsPerDay => self.max_daily_price,
        }
        .map(NonZeroU64::get)
    }

    /// Tells whether it bounds the size or the price of tasks.
    #[must_use]
    pub fn needs_size(&self) -> bool {
        self.max_cpu.is_some() || self.max_memory.is_some() || self.max_daily_price.is_some()
    }

    /// Returns the price of a task for an hour in millionths of a dollar, if it is known.
    #[must_use]
    pub fn hourly_price(&self, size: &TaskSize) -> Option<u64> {
        match self.price {
            Some(price) => size.with_price(Some(price)).hourly_price,
            None => size.hourly_price,
        }
    }

    /// Returns why it cannot count a task of a size, with the remedy: it bounds something that is not known of the task.
    #[must_use]
    pub fn uncounted(&self, size: &TaskSize) -> Option<String> {
        let (limit, remedy) = self.unknown_for(size)?;
        let (name, limit) = (&self.name, limit.as_str());
        Some(format!("budget \"{name}\" cannot count the task towards {limit}: {remedy}"))
    }

    fn unknown_for(&self, size: &TaskSize) -> Option<(BudgetLimit, &'static str)> {
        const CPU: &str =
            "its CPU is not known: give the task definition a cpu, or the job launch.overrides.cpu";
        const MEMORY: &str =
            "its memory is not known: give the task definition a memory, or the job launch.overrides.memory";
        const PRICE: &str = "its price is not known: it does not run on Fargate, or in a region or on a system that is not in the \
                             table of prices; give the budget a price";
        if self.max_cpu.is_some() && size.cpu.is_none() {
            return Some((BudgetLimit::MaxVcpu, CPU));
        }
        if self.max_memory.is_some() && size.memory.is_none() {
            return Some((BudgetLimit::MaxMemory, MEMORY));
        }
        if self.max_daily_price.is_none() || self.hourly_price(size).is_some() {
            return None;
        }
        let remedy = match (size.cpu, size.memory) {
            (None, _) => CPU,
            (_, None) => MEMORY,
            (Some(_), Some(_)) => PRICE,
        };
        Some((BudgetLimit::DollarsPerDay, remedy))
    }
}

/// A kind of limit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BudgetLimit {
    /// Tasks at once.
    MaxTasks,
    /// Tasks that are launched in any 60 minutes.
    LaunchesPerHour,
    /// vCPU at once.
    MaxVcpu,
    /// Memory at once, in MiB.
    MaxMemory,
    /// Dollars for what runs in any 24 hours.
    DollarsPerDay,
}

impl BudgetLimit {
    /// Every kind of limit.
    pub const ALL: [Self; 5] =
        [Self::MaxTasks, Self::LaunchesPerHour, Self::MaxVcpu, Self::MaxMemory, Self::DollarsPerDay];

    /// Returns the name used in the API and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTasks => "maxTasks",
            Self::LaunchesPerHour => "launchesPerHour",
            Self::MaxVcpu => "maxVcpu",
            Self::MaxMemory => "maxMemory",
            Self::DollarsPerDay => "dollarsPerDay",
        }
    }

    /// Returns how many of the smallest unit make one of the unit that people see: CPU units of a vCPU, millionths of a dollar.
    #[must_use]
    pub const fn scale(self) -> u32 {
        match self {
            Self::MaxTasks | Self::LaunchesPerHour | Self::MaxMemory => 1,
            Self::MaxVcpu => 1_024,
            Self::DollarsPerDay => 1_000_000,
        }
    }

    /// Returns an amount in the unit that people see.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53")]
    pub fn shown(self, amount: u64) -> f64 {
        amount as f64 / f64::from(self.scale())
    }

    /// Tells whether it bounds what is used at once, not what was used in a time.
    pub(crate) const fn is_at_once(self) -> bool {
        matches!(self, Self::MaxTasks | Self::MaxVcpu | Self::MaxMemory)
    }

    /// Returns the width of the steps in which the past is counted, in seconds.
    pub(crate) const fn step_seconds(self) -> i64 {
        if matches!(self, Self::DollarsPerDay) { 7_200 } else { 300 }
    }
}

/// The use of a budget by its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// The budget.
    pub budget: Budget,
    pub(crate) used: Amounts,
    /// The jobs that got nothing and wait, at most six of each shard of another replica.
    pub waiting: usize,
    /// Since when the first of them waits.
    pub waiting_since: Option<Timestamp>,
}

impl BudgetUse {
    /// Returns the use of what a limit bounds, in its smallest unit.
    ///
    /// Tasks that are about to be started count. Launches count up to five minutes longer than an hour, and prices up to two hours
    /// longer than a day; a task that runs counts with the price of the longest time that it may run on.
    #[must_use]
    pub fn used(&self, limit: BudgetLimit) -> u64 {
        self.used[limit]
    }
}
