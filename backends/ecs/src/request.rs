//! From a launch request to the RunTask call: the same request makes the same bytes, in any process.

use std::collections::BTreeMap;

use aws_sdk_ecs::operation::run_task::builders::RunTaskInputBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride,
    EnvironmentFile as SdkFile, EphemeralStorage, KeyValuePair, NetworkConfiguration, PlacementConstraint,
    PlacementStrategy, ResourceRequirement as SdkRequirement, Tag, TaskManagedEbsVolumeConfiguration,
    TaskManagedEbsVolumeTerminationPolicy, TaskOverride, TaskVolumeConfiguration,
};
use ecs_scheduler_core::job::MAX_OVERRIDES;
use ecs_scheduler_core::{LaunchRequest, Override, TaskSpec, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::options::{
    ConstraintKind, ContainerResources, LaunchOptions, Network, PropagateTags, StrategyKind, TaskOverrides,
    Volume,
};

#[cfg(test)]
mod tests;

/// The variable by which the Python version marked its tasks.
const OVERRIDE_TAG: &str = "ECS_SCHEDULER_OVERRIDE_TAG";
/// The variable that names the firing.
pub(crate) const FIRING_ID: &str = "ECSS_FIRING_ID";
/// The variable that tells the nominal moment.
const SCHEDULED_AT: &str = "ECSS_SCHEDULED_AT";
/// The tag that names the job.
pub(crate) const JOB_TAG: &str = "ecss:job";
/// The tag that names the firing.
pub(crate) const FIRING_TAG: &str = "ecss:firing";
/// How many tags are added.
pub(crate) const OWN_TAGS: usize = 2;

/// The most characters of `startedBy`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>: 128 letters, digits, hyphens, slashes and
/// underscores.
const STARTED_BY: usize = 128;

/// Hexadecimal digits of the hash at the end of a `startedBy` that had to be changed.
const HASH: usize = 16;

/// Returns what ECS takes as `startedBy` for this text: itself, or what is left of it with a hash of the whole.
pub(crate) fn started_by(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    if text.len() <= STARTED_BY && text.chars().all(allowed) {
        return text.to_owned();
    }
    let plain: String =
        text.chars().map(|c| if allowed(c) { c } else { '-' }).take(STARTED_BY - HASH - 1).collect();
    let hash = Sha256::digest(text.as_bytes());
    let hash: String = hash.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
    format!("{plain}-{hash}")
}

/// Makes the call. `cluster` is the default one; `tagged` says whether the scheduler adds its own tags.
pub(crate) fn run_task(
    request: &LaunchRequest,
    options: &LaunchOptions,
    cluster: &str,
    tagged: bool,
    beside: &[&str],
) -> RunTaskInputBuilder {
    placed(options, request.attempt, cluster)
        .task_definition(&request.definition)
        .count(number(request.count.get()))
        .client_token(request.token.as_str())
        .started_by(started_by(&request.started_by))
        .set_tags(some(tags(request, options, tagged)))
        .set_overrides(overrides(request, &options.overrides, beside))
}

/// Begins a call: all that does not depend on what is launched. `cluster` is the default one.
pub(crate) fn placed(options: &LaunchOptions, attempt: u32, cluster: &str) -> RunTaskInputBuilder {
    let capacity = options.capacity(attempt);
    let items = capacity.capacity_provider_strategy.iter().map(|item| {
        CapacityProviderStrategyItem::builder()
            .capacity_provider(&item.capacity_provider)
            .weight(number(item.weight))
            .base(number(item.base))
            .build()
            .expect("the provider is named")
    });
    let placing = options.placement_constraints.iter().map(|constraint| {
        let kind = match constraint.kind {
            ConstraintKind::DistinctInstance => "distinctInstance",
            ConstraintKind::MemberOf => "memberOf",
        };
        PlacementConstraint::builder()
            .r#type(kind.into())
            .set_expression(constraint.expression.clone())
            .build()
    });
    let strategy = options.placement_strategy.iter().map(|strategy| {
        let kind = match strategy.kind {
            StrategyKind::Random => "random",
            StrategyKind::Spread => "spread",
            StrategyKind::Binpack => "binpack",
        };
        PlacementStrategy::builder().r#type(kind.into()).set_field(strategy.field.clone()).build()
    });
    RunTaskInputBuilder::default()
        .cluster(options.cluster.as_deref().unwrap_or(cluster))
        .set_launch_type(capacity.launch_type.map(|kind| kind.as_str().into()))
        .set_capacity_provider_strategy(some(items.collect()))
        .set_network_configuration(options.network.as_ref().map(network))
        .set_platform_version(options.platform_version.clone())
        .set_placement_constraints(some(placing.collect()))
        .set_placement_strategy(some(strategy.collect()))
        .set_group(options.group.clone())
        .set_propagate_tags(options.propagate_tags.map(|tags| match tags {
            PropagateTags::TaskDefinition => "TASK_DEFINITION".into(),
            PropagateTags::None => "NONE".into(),
        }))
        .set_enable_ecs_managed_tags(options.enable_ecs_managed_tags)
        .set_enable_execute_command(options.enable_execute_command)
        .set_volume_configurations(some(options.volume_configurations.iter().map(volume).collect()))
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn network(network: &Network) -> NetworkConfiguration {
    let public = if network.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(some(network.security_groups.clone()))
        .assign_public_ip(public)
        .build()
        .expect("subnets are there");
    NetworkConfiguration::builder().awsvpc_configuration(vpc).build()
}

fn tags(request: &LaunchRequest, options: &LaunchOptions, tagged: bool) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let mut tags: Vec<_> = options.tags.iter().map(|(key, value)| tag(key, value)).collect();
    if tagged {
        tags.push(tag(JOB_TAG, request.job.as_str()));
        tags.push(tag(FIRING_TAG, request.firing.as_str()));
    }
    tags
}

fn volume(volume: &Volume) -> TaskVolumeConfiguration {
    let ebs = &volume.managed_ebs_volume;
    let end = ebs.delete_on_termination.map(|delete| {
        TaskManagedEbsVolumeTerminationPolicy::builder()
            .delete_on_termination(delete)
            .build()
            .expect("it is said")
    });
    let configuration = TaskManagedEbsVolumeConfiguration::builder()
        .role_arn(&ebs.role_arn)
        .set_encrypted(ebs.encrypted)
        .set_kms_key_id(ebs.kms_key_id.clone())
        .set_volume_type(ebs.volume_type.clone())
        .set_size_in_gib(ebs.size_in_gi_b.map(number))
        .set_snapshot_id(ebs.snapshot_id.clone())
        .set_iops(ebs.iops.map(number))
        .set_throughput(ebs.throughput.map(number))
        .set_filesystem_type(ebs.filesystem_type.as_deref().map(Into::into))
        .set_termination_policy(end)
        .build()
        .expect("the role is named");
    TaskVolumeConfiguration::builder()
        .name(&volume.name)
        .managed_ebs_volume(configuration)
        .build()
        .expect("the volume is named")
}

/// The variables that tell the containers of a task of their firing.
struct Told<'a> {
    job: &'a str,
    firing: &'a str,
    scheduled_at: &'a str,
}

impl Told<'_> {
    /// Returns what every container is told.
    fn firing(&self) -> [(&'static str, &str); 2] {
        [(FIRING_ID, self.firing), (SCHEDULED_AT, self.scheduled_at)]
    }

    /// Returns the variables of a container that the job overrides: the user's in order, those of the scheduler in place of
    /// equal names or last.
    fn environment(&self, user: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut all: Vec<_> = user.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in std::iter::once((OVERRIDE_TAG, self.job)).chain(self.firing()) {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => value.clone_into(old),
                None => all.push((name.to_owned(), value.to_owned())),
            }
        }
        all
    }
}

/// Names the containers of a definition that the job does not override, and that are told of the firing too. There are none
/// where ECS would refuse the overrides for their length: the job's own come first.
pub(crate) fn beside<'a>(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: &'a [(String, bool)],
) -> Vec<&'a str> {
    let all = not_overridden(task, definition);
    if overrides_length(task, options, &all) > MAX_OVERRIDES { Vec::new() } else { all }
}

/// Names the containers of a definition that the job does not override.
pub(crate) fn not_overridden<'a>(task: &TaskSpec, definition: &'a [(String, bool)]) -> Vec<&'a str> {
    let names = definition.iter().map(|(name, _)| name.as_str());
    names.filter(|name| task.overrides.iter().all(|change| change.container_name != *name)).collect()
}

/// Returns what is changed in the task, or nothing: an empty object is another request to ECS.
fn overrides(request: &LaunchRequest, task: &TaskOverrides, beside: &[&str]) -> Option<TaskOverride> {
    if request.task.overrides.is_empty() && beside.is_empty() && *task == TaskOverrides::default() {
        return None;
    }
    let scheduled_at = request.scheduled_at.to_string();
    let told =
        Told { job: request.job.as_str(), firing: request.firing.as_str(), scheduled_at: &scheduled_at };
    let changed = request.task.overrides.iter().map(|change| container(change, &told));
    let containers = changed.chain(beside.iter().map(|name| told_container(name, &told)));
    let storage =
        task.ephemeral_storage.map(|gib| EphemeralStorage::builder().size_in_gib(number(gib)).build());
    Some(
        TaskOverride::builder()
            .set_container_overrides(some(containers.collect()))
            .set_cpu(task.cpu.clone())
            .set_memory(task.memory.clone())
            .set_task_role_arn(task.task_role_arn.clone())
            .set_execution_role_arn(task.execution_role_arn.clone())
            .set_ephemeral_storage(storage)
            .build(),
    )
}

fn variable(name: impl Into<String>, value: impl Into<String>) -> KeyValuePair {
    KeyValuePair::builder().name(name).value(value).build()
}

/// Tells a container of the firing that the job does not override.
fn told_container(name: &str, told: &Told<'_>) -> ContainerOverride {
    let variables = told.firing().map(|(name, value)| variable(name, value));
    ContainerOverride::builder().name(name).set_environment(Some(variables.into())).build()
}

fn container(change: &Override, told: &Told<'_>) -> ContainerOverride {
    let resources = ContainerResources::of(change).unwrap_or_default();
    let variables = told.environment(&change.environment).into_iter();
    let variables = variables.map(|(name, value)| variable(name, value));
    let files = resources.environment_files.into_iter().map(|file| {
        SdkFile::builder()
            .r#type(file.kind.as_str().into())
            .value(file.value)
            .build()
            .expect("both are given")
    });
    let needs = resources.resource_requirements.into_iter().map(|need| {
        SdkRequirement::builder()
            .r#type(need.kind.as_str().into())
            .value(need.value)
            .build()
            .expect("both are given")
    });
    ContainerOverride::builder()
        .name(&change.container_name)
        .set_environment(some(variables.collect()))
        .set_command(change.command.clone())
        .set_environment_files(some(files.collect()))
        .set_resource_requirements(some(needs.collect()))
        .set_cpu(resources.cpu)
        .set_memory(resources.memory)
        .set_memory_reservation(resources.memory_reservation)
        .build()
}

/// Returns how many characters of JSON the overrides of a job have at most, with what is added at a firing to them and to the
/// containers beside them.
pub(crate) fn overrides_length(task: &TaskSpec, options: &LaunchOptions, beside: &[&str]) -> usize {
    // A firing's name has 32 digits; a job's is the longest that its `startedBy` can hold.
    let told =
        Told { job: &"j".repeat(64), firing: &"f".repeat(32), scheduled_at: &Timestamp::MAX.to_string() };
    let pair = |name: &str, value: &str| json!({"name": name, "value": value});
    let changed = task.overrides.iter().map(|change| {
        let variables = told.environment(&change.environment);
        let variables: Vec<_> = variables.iter().map(|(name, value)| pair(name, value)).collect();
        let mut object = json!({"name": change.container_name, "environment": variables});
        if let Some(command) = &change.command {
            object["command"] = json!(command);
        }
        for (name, value) in &change.resources {
            object[name.as_str()] = value.clone();
        }
        object
    });
    let others = beside.iter().map(|container| {
        let variables = told.firing().map(|(name, value)| pair(name, value));
        json!({"name": container, "environment": variables})
    });
    let containers: Vec<Value> = changed.chain(others).collect();
    let whole = &options.overrides;
    if containers.is_empty() && *whole == TaskOverrides::default() {
        return 0;
    }
    let all = json!({
        "containerOverrides": containers, "cpu": whole.cpu, "memory": whole.memory, "taskRoleArn": whole.task_role_arn,
        "executionRoleArn": whole.execution_role_arn, "ephemeralStorage": whole.ephemeral_storage,
    });
    all.to_string().chars().count()
}
