//! The register of all budgets: for each shard of jobs, what its tasks use and which of its jobs wait.
//!
//! One register holds all budgets, so that a job of two budgets gets its tasks from both or from none. Each part is written by the
//! owner of its shard alone, in absolute numbers, so that a write without an answer can be repeated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;
use crate::store::{Shard, StoreError};

/// The register's name.
pub(crate) const BUDGETS_REGISTER: &str = "budgets";
/// The jobs of one shard and budget that the register names while they wait: the first ones.
pub(crate) const MAX_WAITING: usize = 8;
/// The width of the steps in which launches are counted, in seconds.
pub(crate) const STEP_SECONDS: i64 = 300;
/// The number of steps that cover any 60 minutes that end now, whatever the second.
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
    /// Tasks that are reserved, pending or running.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) tasks: u32,
    /// Launched tasks, by step of [`STEP_SECONDS`] since 1970.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) launches: BTreeMap<i64, u32>,
    /// The jobs that wait, the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<WaitingJob>,
}

/// A job that asked for tasks and got none. Moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitingJob {
    /// The hash of its identity.
    pub(crate) job: u64,
    /// When it first got nothing.
    pub(crate) since: i64,
    /// When it asked last.
    pub(crate) asked: i64,
    /// When it asks next.
    pub(crate) next: i64,
    /// The number of tasks that it asked for.
    pub(crate) tasks: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
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

    /// Drops what is too old to count. Steps that lie in the future, because the clock was ahead, count as the present one.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        let (present, mut moved) = (step_of(now), 0);
        self.launches.retain(|step, count| {
            if *step > present {
                moved += *count;
            }
            *count > 0 && *step > present - STEPS && *step <= present
        });
        if moved > 0 {
            *self.launches.entry(present).or_default() += moved;
        }
        self.waiting.retain(|job| job.is_live(now.as_second()));
    }

    /// Returns the number of tasks that were launched in the last 60 minutes, or up to a step before them.
    pub(crate) fn launched(&self, now: Timestamp) -> u32 {
        self.launches.range(step_of(now) - STEPS + 1..).map(|(_, count)| *count).fold(0, u32::saturating_add)
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

/// Returns the step of a moment.
pub(crate) fn step_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(STEP_SECONDS)
}

#[cfg(test)]
mod tests;
