//! The state of ECS: clusters, task definitions, tasks.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::TaskLifecycle;
use super::token::StoredToken;
use crate::rng::Rng;
use crate::scope::AwsScope;

/// A cluster's name and scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClusterKey {
    pub(crate) scope: AwsScope,
    pub(crate) name: String,
}

impl ClusterKey {
    pub(crate) fn arn(&self) -> String {
        self.scope.arn("ecs", &format!("cluster/{}", self.name))
    }
}

/// A key and its value on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// Up to 256 characters.
    #[serde(default)]
    pub value: String,
}

/// One item of a capacity provider strategy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StrategyItem {
    pub(crate) capacity_provider: String,
    #[serde(default)]
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) base: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) providers: Vec<String>,
    pub(crate) default_strategy: Vec<StrategyItem>,
    pub(crate) tags: Vec<Tag>,
}

/// One revision of a task definition.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) arn: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) active: bool,
    /// The document as registered, with what ECS adds.
    pub(crate) document: Value,
    pub(crate) tags: Vec<Tag>,
}

impl Definition {
    pub(crate) fn network_mode(&self) -> &str {
        self.document["networkMode"].as_str().unwrap_or("bridge")
    }

    /// Returns names and images of the containers.
    pub(crate) fn containers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.document["containerDefinitions"].as_array().map_or(&[][..], Vec::as_slice);
        all.iter().map(|one| (one["name"].as_str().unwrap_or(""), one["image"].as_str().unwrap_or("")))
    }

    pub(crate) fn supports(&self, launch_type: &str) -> bool {
        self.document["compatibilities"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == launch_type))
    }
}

/// The statuses of a task, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) arn: String,
    pub(crate) exit_code: Option<i32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) arn: String,
    pub(crate) cluster: ClusterKey,
    pub(crate) definition: String,
    pub(crate) family: String,
    pub(crate) group: String,
    pub(crate) launch_type: String,
    pub(crate) provider: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) network: Option<Value>,
    pub(crate) containers: Vec<Container>,
    pub(crate) overrides: Value,
    pub(crate) tags: Vec<Tag>,
    pub(crate) started_by: Option<String>,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) stopping_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) last: Status,
    /// The desired status is `STOPPED`.
    pub(crate) to_stop: bool,
    pub(crate) stop_code: Option<&'static str>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) version: u64,
    pub(crate) token: Option<String>,
    pub(crate) life: TaskLifecycle,
    /// Planned steps with another number are void.
    pub(crate) plan: u32,
}

impl Task {
    /// Tells whether it runs on the launch type or capacity provider of this name.
    pub(crate) fn is_on(&self, of: &str) -> bool {
        self.launch_type == of || self.provider.as_deref() == Some(of)
    }

    /// Tells whether it has a network interface of its own.
    pub(crate) fn has_interface(&self) -> bool {
        self.network.is_some()
    }
}

/// A planned step of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Enter(Status),
    /// Removed from every answer, one hour after it stopped.
    Forget,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedStep {
    pub(crate) task: u64,
    pub(crate) plan: u32,
    pub(crate) step: Step,
}

/// An event on its way into a queue.
#[derive(Debug, Clone)]
pub(crate) struct PendingEvent {
    pub(crate) scope: AwsScope,
    pub(crate) queue: String,
    pub(crate) body: String,
}

/// The state of the fake ECS.
#[derive(Debug)]
pub(crate) struct EcsState {
    pub(crate) clusters: BTreeMap<ClusterKey, Cluster>,
    pub(crate) definitions: BTreeMap<(AwsScope, String), Vec<Definition>>,
    /// By number, in the order of their starts.
    pub(crate) tasks: BTreeMap<u64, Task>,
    pub(crate) by_arn: HashMap<String, u64>,
    pub(crate) tokens: HashMap<(ClusterKey, String), StoredToken>,
    pub(crate) agenda: BTreeMap<(Timestamp, u64), PlannedStep>,
    pub(crate) post: BTreeMap<(Timestamp, u64), PendingEvent>,
    pub(crate) feeds: HashMap<String, Rng>,
    counter: u64,
}

impl EcsState {
    pub(crate) fn new() -> Self {
        Self {
            clusters: BTreeMap::new(),
            definitions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            by_arn: HashMap::new(),
            tokens: HashMap::new(),
            agenda: BTreeMap::new(),
            post: BTreeMap::new(),
            feeds: HashMap::new(),
            counter: 0,
        }
    }

    /// Returns an unused number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}
