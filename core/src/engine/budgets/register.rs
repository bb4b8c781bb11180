//! The register of all budgets: for each shard of jobs, what its tasks use and which of its jobs wait.
//!
//! One register holds all budgets, so that a job of two budgets gets its tasks from both or from none. Each part is written by the
//! owner of its shard alone, in absolute numbers, so that a write without an answer can be repeated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::budget::{Amounts, BudgetLimit};
use crate::fault::FaultKind;
use crate::store::{Shard, StoreError};

/// The register's name.
pub(crate) const BUDGETS_REGISTER: &str = "budgets";
/// The jobs of one shard and budget that the register names while they wait: the first ones.
pub(crate) const MAX_WAITING: usize = 6;
/// The number of steps that cover the time of a limit that ends now, whatever the second: an hour in steps of five minutes, a day in
/// steps of two hours.
const STEPS: i64 = 13;
/// How long after its announced moment a job that does not ask leaves the queue, in seconds.
const ASK_GRACE: i64 = 120;
/// The shortest time for which room is kept before a waiting job asks, in seconds.
const MIN_HOLD: i64 = 60;
/// How far in the future another clock may see its present, in seconds.
const CLOCK_TOLERANCE: i64 = 300;

/// The content of the register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BudgetRegister {
    /// The parts, by the number of the shard.
    pub(crate) parts: BTreeMap<u8, BudgetPart>,
}

/// The part of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BudgetPart {
    /// The version of the shard's ownership; 0 for the only process of its scheduler.
    pub(crate) owner: u64,
    /// The use of each budget, by its name.
    pub(crate) budgets: BTreeMap<String, PartUse>,
}

/// The use of one budget by the jobs of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PartUse {
    /// The amounts of open firings: tasks that are reserved, pending or running, and launches that may still happen.
    #[serde(skip_serializing_if = "Amounts::is_zero")]
    pub(crate) held: Amounts,
    /// Launched tasks.
    #[serde(skip_serializing_if = "Past::is_empty")]
    pub(crate) launches: Past,
    /// Prices of ended firings, in millionths of a dollar.
    #[serde(skip_serializing_if = "Past::is_empty")]
    pub(crate) prices: Past,
    /// The jobs that wait, the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<WaitingJob>,
}

/// Amounts of the past, by step since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Past(pub(crate) BTreeMap<i64, u64>);

/// A job that asked for tasks and got none. Moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WaitingRow", into = "WaitingRow")]
pub(crate) struct WaitingJob {
    /// The hash of its identity.
    pub(crate) job: u64,
    /// When it first got nothing.
    pub(crate) since: i64,
    /// When it asked last.
    pub(crate) asked: i64,
    /// When it asks next.
    pub(crate) next: i64,
    /// The amounts that it asked for.
    pub(crate) wanted: Amounts,
}

/// A waiting job in the register.
type WaitingRow = (u64, i64, i64, i64, Amounts);

impl From<WaitingRow> for WaitingJob {
    fn from((job, since, asked, next, wanted): WaitingRow) -> Self {
        Self { job, since, asked, next, wanted }
    }
}

impl From<WaitingJob> for WaitingRow {
    fn from(job: WaitingJob) -> Self {
        (job.job, job.since, job.asked, job.next, job.wanted)
    }
}

impl BudgetRegister {
    /// Reads the value of the register.
    pub(crate) fn parse(value: &str) -> Result<Self, StoreError> {
        serde_json::from_str(value).map_err(|error| {
            StoreError::with_source(
                FaultKind::Config,
                "could not read the use of budgets from the store",
                error,
            )
        })
    }

    pub(crate) fn to_value(&self) -> String {
        serde_json::to_string(self).expect("the use of budgets is plain data")
    }

    /// Returns what a shard uses of a budget, if the register has it.
    pub(crate) fn part_use(&self, shard: Shard, budget: &str) -> Option<&PartUse> {
        self.parts.get(&shard.number())?.budgets.get(budget)
    }
}

impl PartUse {
    /// Tells whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Drops what is too old to count.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.launches.prune(BudgetLimit::LaunchesPerHour, now);
        self.prices.prune(BudgetLimit::DollarsPerDay, now);
        self.waiting.retain(|job| job.is_live(now.as_second()));
    }

    /// Returns what counts now: what open firings hold, and the past of limits in a time.
    pub(crate) fn used(&self, now: Timestamp) -> Amounts {
        self.held.plus(self.past(now))
    }

    /// Returns the past of limits in a time.
    pub(crate) fn past(&self, now: Timestamp) -> Amounts {
        let mut past = Amounts::default();
        past[BudgetLimit::LaunchesPerHour] = self.launches.sum(BudgetLimit::LaunchesPerHour, now);
        past[BudgetLimit::DollarsPerDay] = self.prices.sum(BudgetLimit::DollarsPerDay, now);
        past
    }

    /// Adds the past of another part.
    pub(crate) fn add_past(&mut self, other: &Self) {
        for (past, other) in [(&mut self.launches, &other.launches), (&mut self.prices, &other.prices)] {
            other.0.iter().for_each(|(step, amount)| past.add(*step, *amount));
        }
    }
}

impl Past {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an amount to a step.
    pub(crate) fn add(&mut self, step: i64, amount: u64) {
        if amount > 0 {
            let sum = self.0.entry(step).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// Drops steps that are too old to count. Those that lie in the future, because the clock was ahead, count as the present one.
    pub(crate) fn prune(&mut self, limit: BudgetLimit, now: Timestamp) {
        let (present, mut moved) = (step_of(limit, now), 0_u64);
        self.0.retain(|step, amount| {
            if *step > present {
                moved = moved.saturating_add(*amount);
            }
            *amount > 0 && *step > present - STEPS && *step <= present
        });
        self.add(present, moved);
    }

    /// Returns the sum of the steps that count.
    pub(crate) fn sum(&self, limit: BudgetLimit, now: Timestamp) -> u64 {
        let steps = self.0.range(step_of(limit, now) - STEPS + 1..);
        steps.map(|(_, amount)| *amount).fold(0, u64::saturating_add)
    }
}

impl WaitingJob {
    /// Tells whether it still waits: it has not missed the moment at which it was to ask again.
    pub(crate) const fn is_live(&self, now: i64) -> bool {
        now <= self.next.saturating_add(ASK_GRACE) && self.since <= now.saturating_add(CLOCK_TOLERANCE)
    }

    /// Tells whether room is kept for it: it asks soon. The longer it has waited, the earlier room is kept, so that it gets some in
    /// the end, although others ask more often.
    pub(crate) fn holds(&self, now: i64) -> bool {
        let waited = self.asked.saturating_sub(self.since);
        self.is_live(now) && self.next.saturating_sub(now) <= waited.max(MIN_HOLD)
    }
}

/// Returns the step of a moment, in which the past of a limit is counted.
pub(crate) fn step_of(limit: BudgetLimit, moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(limit.step_seconds())
}

#[cfg(test)]
mod tests;
