//! The `launch` object of a job: all fields of RunTask that the scheduler does not set itself.

use std::collections::BTreeMap;

use ecs_scheduler_core::{ConfigError, TaskSpec, read_config};
use schemars::JsonSchema;
use serde::Deserialize;

mod bounds;
mod container;
mod firing_variables;
mod refusals;
#[cfg(test)]
mod tests;
mod warnings;

pub use container::{ContainerResources, EnvironmentFile, ResourceRequirement};
pub(crate) use firing_variables::{FIRING_ID, FiringVariables, SCHEDULED_AT, overrides_length};
pub(crate) use refusals::{capacity_place, is_cluster};

/// Options of a launch on ECS: the `launch` object of a job. Absent options are left to ECS.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LaunchOptions {
    /// The region of the cluster; the scheduler's own by default.
    pub region: Option<String>,
    /// The cluster, by name or ARN; `ECSS_ECS_CLUSTER` by default.
    pub cluster: Option<String>,
    /// The launch type of tasks. Excludes `capacityProviderStrategy`.
    pub launch_type: Option<LaunchType>,
    /// The capacity providers of tasks, at most 20. Excludes `launchType`.
    #[schemars(length(max = 20))]
    pub capacity_provider_strategy: Vec<ProviderShare>,
    /// Capacity for tasks that were refused for lack of capacity: the first entry at the second attempt, and so on.
    /// After the last entry it starts over with `launchType` or `capacityProviderStrategy`. At most 10.
    #[schemars(length(max = 10))]
    pub capacity_fallback: Vec<Capacity>,
    /// The network of tasks in mode `awsvpc`; Fargate needs one.
    pub network: Option<Network>,
    /// The version of the Fargate platform; `LATEST` by default.
    pub platform_version: Option<String>,
    /// On which instances tasks may be placed, at most 10.
    #[schemars(length(max = 10))]
    pub placement_constraints: Vec<PlacementConstraint>,
    /// On which of them they are placed first, at most 5.
    #[schemars(length(max = 5))]
    pub placement_strategy: Vec<PlacementStrategy>,
    /// The task group; `family:<family>` by default.
    pub group: Option<String>,
    /// Tags of the tasks, at most 50, and 48 where the scheduler adds its own two.
    #[schemars(length(max = 50))]
    pub tags: BTreeMap<String, String>,
    /// Whether tasks get the tags of their definition.
    pub propagate_tags: Option<PropagateTags>,
    /// Whether ECS adds tags with the cluster's name.
    pub enable_ecs_managed_tags: Option<bool>,
    /// Whether a shell can be opened in the task's containers.
    pub enable_execute_command: Option<bool>,
    /// EBS volumes that are made for the task: at most one.
    #[schemars(length(max = 1))]
    pub volume_configurations: Vec<Volume>,
    /// Overrides of the task as a whole.
    pub overrides: TaskOverrides,
}

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LaunchType {
    /// Instances of the cluster.
    Ec2,
    /// AWS Fargate.
    Fargate,
    /// Machines registered from outside AWS.
    External,
    /// Instances that ECS manages.
    ManagedInstances,
}

impl LaunchType {
    /// Returns the name that ECS uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Fargate => "FARGATE",
            Self::External => "EXTERNAL",
            Self::ManagedInstances => "MANAGED_INSTANCES",
        }
    }
}

/// A capacity provider's part in a strategy.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderShare {
    /// Its name: `FARGATE`, `FARGATE_SPOT`, or one of the cluster's own.
    pub capacity_provider: String,
    /// Its part of the tasks beyond `base`, relative to the others: 0–1000; 0 by default.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: u32,
    /// How many tasks it gets first: 0–100,000; 0 by default, and above 0 for one provider only.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub base: u32,
}

/// A launch type or capacity providers that tasks may run on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capacity {
    /// A launch type. Excludes `capacityProviderStrategy`.
    pub launch_type: Option<LaunchType>,
    /// Capacity providers, at most 20. Excludes `launchType`.
    #[schemars(length(max = 20))]
    pub capacity_provider_strategy: Vec<ProviderShare>,
}

/// The quota of Fargate that a launch uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fargate {
    OnDemand,
    Spot,
}

impl Capacity {
    /// Returns the Fargate quota that tasks use, as far as the job says: the cluster's default strategy is not known
    /// here.
    pub(crate) fn fargate(&self) -> Option<Fargate> {
        let named =
            |name: &str| self.capacity_provider_strategy.iter().any(|item| item.capacity_provider == name);
        if self.launch_type == Some(LaunchType::Fargate) || named("FARGATE") {
            Some(Fargate::OnDemand)
        } else if named("FARGATE_SPOT") {
            Some(Fargate::Spot)
        } else {
            None
        }
    }
}

/// The network of tasks in mode `awsvpc`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Subnets of one VPC: 1–16.
    #[schemars(length(min = 1, max = 16))]
    pub subnets: Vec<String>,
    /// Security groups, at most 5; the VPC's default one when empty.
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address; false by default. Images are pulled through it where there is no NAT
    /// gateway.
    #[serde(default)]
    pub assign_public_ip: bool,
}

/// On which instances tasks may be placed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementConstraint {
    /// `distinctInstance` or `memberOf`.
    #[serde(rename = "type")]
    pub kind: ConstraintKind,
    /// An expression of the cluster query language, for `memberOf`.
    pub expression: Option<String>,
}

/// A kind of placement constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConstraintKind {
    /// Each task on another instance.
    DistinctInstance,
    /// Instances for which an expression holds.
    MemberOf,
}

/// On which instances tasks are placed first.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementStrategy {
    /// `random`, `spread` or `binpack`.
    #[serde(rename = "type")]
    pub kind: StrategyKind,
    /// `instanceId`, `attribute:ecs.availability-zone`, … for `spread`; `cpu` or `memory` for `binpack`.
    pub field: Option<String>,
}

/// A kind of placement strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyKind {
    /// Any instance.
    Random,
    /// Evenly by a field.
    Spread,
    /// As few instances as possible.
    Binpack,
}

/// Whether tasks get the tags of their definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// They do.
    TaskDefinition,
    /// They do not.
    None,
}

/// An EBS volume that is made for the task.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// The volume's name in the task definition, which says `configuredAtLaunch`.
    pub name: String,
    /// The kind of volume.
    pub managed_ebs_volume: ManagedEbsVolume,
}

/// The kind of EBS volume that is made.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManagedEbsVolume {
    /// The role by which ECS makes it.
    pub role_arn: String,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// The key that it is encrypted with.
    pub kms_key_id: Option<String>,
    /// `gp3`, `io2`, …
    pub volume_type: Option<String>,
    /// Its size in GiB: 1–65,536, by type; needed without a snapshot.
    pub size_in_gi_b: Option<u32>,
    /// The snapshot that it begins as.
    pub snapshot_id: Option<String>,
    /// Operations a second.
    pub iops: Option<u32>,
    /// MiB a second, for `gp3`.
    pub throughput: Option<u32>,
    /// `xfs`, `ext4`, `ext3` or `ntfs`.
    pub filesystem_type: Option<String>,
    /// Whether it goes with the task; true by default.
    pub delete_on_termination: Option<bool>,
}

/// Overrides of the task as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TaskOverrides {
    /// CPU units of the task, as text: `512` or `.5 vCPU`.
    pub cpu: Option<String>,
    /// Memory of the task, as text: MiB as in `1024`, or `2 GB`.
    pub memory: Option<String>,
    /// The role that the task's programs have.
    pub task_role_arn: Option<String>,
    /// The role by which ECS pulls images, reads secrets and writes logs.
    pub execution_role_arn: Option<String>,
    /// The size of Fargate's ephemeral storage in GiB: 21–200.
    #[schemars(range(min = 21, max = 200))]
    pub ephemeral_storage: Option<u32>,
}

impl LaunchOptions {
    /// Parses and checks the options of a job, and the size of its overrides. `own_tags` is the number of tags that
    /// the scheduler adds.
    ///
    /// # Errors
    ///
    /// Fails with a JSON pointer into the job's document.
    pub fn from_task(task: &TaskSpec, own_tags: usize) -> Result<Self, ConfigError> {
        let options: Self = read_config(task.options.clone()).map_err(|error| error.under("/launch"))?;
        bounds::check(&options, own_tags).map_err(|error| error.under("/launch"))?;
        bounds::check_overrides(task, &options)?;
        Ok(options)
    }

    /// Returns everything that ECS would refuse at a launch with these options, with JSON pointers into the job's
    /// document.
    #[must_use]
    pub fn refusals(&self, task: &TaskSpec) -> Vec<ConfigError> {
        refusals::find_refusals(task, self)
    }

    /// Returns what is probably a mistake in these options and in the job's overrides.
    #[must_use]
    pub fn warnings(&self, task: &TaskSpec) -> Vec<String> {
        warnings::find_warnings(task, self)
    }

    /// Returns the capacity of an attempt: the first attempt uses the job's own, the next ones its fallbacks in index.
    /// It depends on the number alone, so that a repeated call is the same call.
    #[must_use]
    pub fn capacity(&self, attempt: u32) -> Capacity {
        let index = attempt.saturating_sub(1) as usize % (self.capacity_fallback.len() + 1);
        match index.checked_sub(1) {
            Some(fallback) => self.capacity_fallback[fallback].clone(),
            None => Capacity {
                launch_type: self.launch_type,
                capacity_provider_strategy: self.capacity_provider_strategy.clone(),
            },
        }
    }
}
