//! What really happened, kept for ever: the truth that crash tests compare with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;
use crate::ecs::{Tag, Task};

/// A task that was started, once, whatever came of the call's answer.
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
    /// Who it was started by, as the call said.
    pub started_by: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its overrides.
    pub overrides: Value,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Launch {
    pub(crate) fn of(task: &Task, token: Option<&str>) -> Self {
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
    /// All that arrived.
    pub calls: u64,
    /// Those that were answered with an error of any kind.
    pub failed: u64,
    /// Those that were throttled, by a quota or a fault.
    pub throttled: u64,
    /// Those whose answer never left.
    pub lost: u64,
}

/// Tasks alive under one `startedBy`.
#[derive(Debug, Clone, Copy, Default)]
struct Alive {
    now: usize,
    most: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    launches: Vec<Launch>,
    alive: BTreeMap<String, Alive>,
    calls: BTreeMap<(Service, String), Calls>,
}

impl Oracle {
    pub(crate) fn launched(&mut self, launch: Launch) {
        let alive = self.alive.entry(launch.started_by.clone().unwrap_or_default()).or_default();
        alive.now += 1;
        alive.most = alive.most.max(alive.now);
        self.launches.push(launch);
    }

    pub(crate) fn ended(&mut self, started_by: Option<&str>) {
        if let Some(alive) = self.alive.get_mut(started_by.unwrap_or_default()) {
            alive.now -= 1;
        }
    }

    pub(crate) fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// Returns the most tasks that were alive at once, by `startedBy`.
    pub(crate) fn most_alive(&self) -> BTreeMap<String, usize> {
        self.alive.iter().map(|(name, alive)| (name.clone(), alive.most)).collect()
    }

    /// Returns the counters of an operation.
    pub(crate) fn of(&mut self, service: Service, operation: &str) -> &mut Calls {
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
