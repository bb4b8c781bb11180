//! The ground truth of all launches and calls, kept for ever, for crash tests to compare with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;
use crate::ecs::{Tag, Task};

/// A task that was started, regardless of the call's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    /// The task.
    pub task_arn: String,
    /// Its cluster.
    pub cluster_arn: String,
    /// The task definition's revision that it runs.
    pub task_definition_arn: String,
    /// The client token of the call.
    pub token: Option<String>,
    /// The `startedBy` of the call.
    pub started_by: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its overrides.
    pub overrides: Value,
    /// The time of creation.
    pub created_at: Timestamp,
}

impl Launch {
    pub(crate) fn from_task(task: &Task, token: Option<&str>) -> Self {
        Self {
            task_arn: task.arn.clone(),
            cluster_arn: task.cluster.arn(),
            task_definition_arn: task.definition.clone(),
            token: token.map(str::to_owned),
            started_by: task.started_by.clone(),
            tags: task.tags.clone(),
            overrides: task.overrides.clone(),
            created_at: task.created_at,
        }
    }
}

/// Calls of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// All calls that arrived.
    pub calls: u64,
    /// Calls that were answered with an error of any kind.
    pub failed: u64,
    /// Calls that were throttled, by a quota or a fault.
    pub throttled: u64,
    /// Calls whose answer was never sent.
    pub lost: u64,
}

/// Tasks alive under one `startedBy`.
#[derive(Debug, Clone, Copy, Default)]
struct AliveTasks {
    now: usize,
    max: usize,
}

#[derive(Debug, Default)]
pub(crate) struct LaunchLog {
    launches: Vec<Launch>,
    alive: BTreeMap<String, AliveTasks>,
    calls: BTreeMap<(Service, String), Calls>,
}

impl LaunchLog {
    pub(crate) fn record_launch(&mut self, launch: Launch) {
        let alive = self.alive.entry(launch.started_by.clone().unwrap_or_default()).or_default();
        alive.now += 1;
        alive.max = alive.max.max(alive.now);
        self.launches.push(launch);
    }

    pub(crate) fn record_end(&mut self, started_by: Option<&str>) {
        if let Some(alive) = self.alive.get_mut(started_by.unwrap_or_default()) {
            alive.now -= 1;
        }
    }

    pub(crate) fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// Returns the maximum number of tasks that were alive at once, by `startedBy`.
    pub(crate) fn max_alive(&self) -> BTreeMap<String, usize> {
        self.alive.iter().map(|(name, alive)| (name.clone(), alive.max)).collect()
    }

    /// Returns the counters of an operation.
    pub(crate) fn counters(&mut self, service: Service, operation: &str) -> &mut Calls {
        self.calls.entry((service, operation.to_owned())).or_default()
    }

    /// Returns all counters, as in `ecs:RunTask`.
    pub(crate) fn calls(&self) -> BTreeMap<String, Calls> {
        self.calls
            .iter()
            .map(|((service, operation), calls)| (format!("{}:{operation}", service.name()), *calls))
            .collect()
    }
}
