//! Building the RunTask call of a launch request: the same request makes the same bytes, in any process.

use aws_sdk_ecs::operation::run_task::builders::RunTaskInputBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride,
    EnvironmentFile as SdkFile, EphemeralStorage, KeyValuePair, NetworkConfiguration, PlacementConstraint,
    PlacementStrategy, ResourceRequirement as SdkRequirement, Tag, TaskManagedEbsVolumeConfiguration,
    TaskManagedEbsVolumeTerminationPolicy, TaskOverride, TaskVolumeConfiguration,
};
use ecs_scheduler_core::job::MAX_OVERRIDES;
use ecs_scheduler_core::{LaunchRequest, Override, TaskSpec};
use sha2::{Digest as _, Sha256};

use crate::options::{
    ConstraintKind, ContainerResources, FiringVariables, LaunchOptions, Network, PropagateTags, StrategyKind,
    TaskOverrides, Volume, overrides_length,
};

#[cfg(test)]
mod tests;

/// The tag that names the job.
pub(crate) const JOB_TAG: &str = "ecss:job";
/// The tag that names the firing.
pub(crate) const FIRING_TAG: &str = "ecss:firing";
/// Number of tags that the scheduler adds.
pub(crate) const OWN_TAGS: usize = 2;

/// Maximum length of `startedBy` in characters.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>: 128 letters, digits, hyphens,
/// slashes and underscores.
const MAX_STARTED_BY: usize = 128;

/// Hexadecimal digits of the hash that ends a changed `startedBy`.
const HASH_DIGITS: usize = 16;

/// Returns the `startedBy` for a text: the text itself, or its permitted characters with a hash of the whole.
pub(crate) fn started_by(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    if text.len() <= MAX_STARTED_BY && text.chars().all(allowed) {
        return text.to_owned();
    }
    let plain: String = text
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(MAX_STARTED_BY - HASH_DIGITS - 1)
        .collect();
    let hash = Sha256::digest(text.as_bytes());
    let hash: String = hash.iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    format!("{plain}-{hash}")
}

/// Builds the call. `cluster` is the default cluster; `tagged` says whether the scheduler adds its own tags.
pub(crate) fn build_run_task(
    request: &LaunchRequest,
    options: &LaunchOptions,
    cluster: &str,
    tagged: bool,
    others: &[&str],
) -> RunTaskInputBuilder {
    build_placement(options, request.attempt, cluster)
        .task_definition(&request.definition)
        .count(to_i32(request.count.get()))
        .client_token(request.token.as_str())
        .started_by(started_by(&request.started_by))
        .set_tags(non_empty(tags(request, options, tagged)))
        .set_overrides(overrides(request, &options.overrides, others))
}

/// Builds the part of a call that does not depend on the launched tasks. `cluster` is the default cluster.
pub(crate) fn build_placement(options: &LaunchOptions, attempt: u32, cluster: &str) -> RunTaskInputBuilder {
    let capacity = options.capacity(attempt);
    let items = capacity.capacity_provider_strategy.iter().map(|item| {
        CapacityProviderStrategyItem::builder()
            .capacity_provider(&item.capacity_provider)
            .weight(to_i32(item.weight))
            .base(to_i32(item.base))
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
        .set_capacity_provider_strategy(non_empty(items.collect()))
        .set_network_configuration(options.network.as_ref().map(network))
        .set_platform_version(options.platform_version.clone())
        .set_placement_constraints(non_empty(placing.collect()))
        .set_placement_strategy(non_empty(strategy.collect()))
        .set_group(options.group.clone())
        .set_propagate_tags(options.propagate_tags.map(|tags| match tags {
            PropagateTags::TaskDefinition => "TASK_DEFINITION".into(),
            PropagateTags::None => "NONE".into(),
        }))
        .set_enable_ecs_managed_tags(options.enable_ecs_managed_tags)
        .set_enable_execute_command(options.enable_execute_command)
        .set_volume_configurations(non_empty(options.volume_configurations.iter().map(volume).collect()))
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn to_i32(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn network(network: &Network) -> NetworkConfiguration {
    let public = if network.assign_public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(non_empty(network.security_groups.clone()))
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
        .set_size_in_gib(ebs.size_in_gi_b.map(to_i32))
        .set_snapshot_id(ebs.snapshot_id.clone())
        .set_iops(ebs.iops.map(to_i32))
        .set_throughput(ebs.throughput.map(to_i32))
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

/// Returns the containers that the job does not override, and that also get the firing's variables. Returns none if
/// ECS would refuse the overrides for their length: the job's own overrides come first.
pub(crate) fn other_containers<'a>(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: &'a [(String, bool)],
) -> Vec<&'a str> {
    let all = not_overridden(task, definition);
    if overrides_length(task, options, &all) > MAX_OVERRIDES { Vec::new() } else { all }
}

/// Returns the containers of a definition that the job does not override.
pub(crate) fn not_overridden<'a>(task: &TaskSpec, definition: &'a [(String, bool)]) -> Vec<&'a str> {
    let names = definition.iter().map(|(name, _)| name.as_str());
    names.filter(|name| task.overrides.iter().all(|change| change.container_name != *name)).collect()
}

/// Returns the task's overrides, or nothing if there are none: an empty object would be another request to ECS.
fn overrides(request: &LaunchRequest, task: &TaskOverrides, others: &[&str]) -> Option<TaskOverride> {
    if request.task.overrides.is_empty() && others.is_empty() && *task == TaskOverrides::default() {
        return None;
    }
    let scheduled_at = request.scheduled_at.to_string();
    let variables = FiringVariables {
        job: request.job.as_str(),
        firing: request.firing.as_str(),
        scheduled_at: &scheduled_at,
    };
    let changed = request.task.overrides.iter().map(|change| container_override(change, &variables));
    let containers = changed.chain(others.iter().map(|name| added_override(name, &variables)));
    let storage =
        task.ephemeral_storage.map(|gib| EphemeralStorage::builder().size_in_gib(to_i32(gib)).build());
    Some(
        TaskOverride::builder()
            .set_container_overrides(non_empty(containers.collect()))
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

/// Builds the override of a container that gets only the firing's variables.
fn added_override(name: &str, variables: &FiringVariables<'_>) -> ContainerOverride {
    let variables = variables.firing().map(|(name, value)| variable(name, value));
    ContainerOverride::builder().name(name).set_environment(Some(variables.into())).build()
}

fn container_override(change: &Override, variables: &FiringVariables<'_>) -> ContainerOverride {
    let resources = ContainerResources::from_override(change).unwrap_or_default();
    let variables = variables.environment(&change.environment).into_iter();
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
        .set_environment(non_empty(variables.collect()))
        .set_command(change.command.clone())
        .set_environment_files(non_empty(files.collect()))
        .set_resource_requirements(non_empty(needs.collect()))
        .set_cpu(resources.cpu)
        .set_memory(resources.memory)
        .set_memory_reservation(resources.memory_reservation)
        .build()
}
