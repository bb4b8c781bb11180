//! Preflight checks: problems that would keep a job's tasks from starting, found by read-only calls before the tasks
//! are due.

use std::sync::Arc;

use aws_sdk_ecs::types::DesiredStatus;
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::job::MAX_OVERRIDES;
use ecs_scheduler_core::{FaultKind, Finding, LaunchError, Override, TaskSpec};

use crate::clients::{Clients, RegionClients};
use crate::cluster_poller::list_tasks;
use crate::definitions::{Definition, Definitions};
use crate::options::{ContainerResources, LaunchOptions, overrides_length};
use crate::request;
use crate::sizes::{self, Size};

#[cfg(test)]
mod tests;

/// Checks the definition, the cluster and the permissions.
pub(crate) async fn check_task(
    clients: &Clients,
    definitions: &Definitions,
    at: &RegionClients,
    cluster: &str,
    task: &TaskSpec,
    options: &LaunchOptions,
) -> Result<Vec<Finding>, LaunchError> {
    let late = options.refusals(task).into_iter();
    let mut findings: Vec<_> = late.map(|error| Finding::at(error.pointer, error.message)).collect();
    match definitions.find(clients, at, &task.definition).await {
        Ok(Some(definition)) => findings.extend(compare_with_definition(task, options, &definition)),
        Ok(None) => findings.push(Finding::at(
            "/taskDefinition",
            format!(
                "There is no task definition \"{}\" in region {}: register it, or correct the name or launch.region.",
                task.definition,
                at.scope.region.as_deref().unwrap_or("of the scheduler"),
            ),
        )),
        Err(fault) => findings.push(finding_from_fault(fault, "/taskDefinition")?),
    }
    match list_tasks(clients, at, cluster, None, DesiredStatus::Running, None).await {
        Ok(_) => {}
        Err(fault) => findings.push(finding_from_fault(fault, "/launch/cluster")?),
    }
    findings.extend(unknown_providers(clients, at, cluster, options).await?);
    Ok(findings)
}

/// Finds capacity providers that the cluster does not have, also in fallbacks. Finds nothing if this scheduler may not read
/// the cluster, because launches need no permission for that.
async fn unknown_providers(
    clients: &Clients,
    at: &RegionClients,
    cluster: &str,
    options: &LaunchOptions,
) -> Result<Vec<Finding>, LaunchError> {
    if options.capacities().all(|(_, capacity)| capacity.capacity_provider_strategy.is_empty()) {
        return Ok(Vec::new());
    }
    let call = async {
        let call = at.client.describe_clusters().clusters(cluster).send();
        call.await.map_err(|error| Fault::from_sdk(error, format!("could not read cluster \"{cluster}\"")))
    };
    let answer = match clients.call_paced(&at.scope, READ_CLUSTER, call).await {
        Ok(answer) => answer,
        Err(fault) if fault.kind() == FaultKind::Denied => return Ok(Vec::new()),
        Err(fault) => return finding_from_fault(fault, "/launch/cluster").map(|finding| vec![finding]),
    };
    // A cluster that does not exist was found before.
    let Some(known) = answer.clusters().first() else { return Ok(Vec::new()) };
    let known = known.capacity_providers();
    let mut findings = Vec::new();
    for (pointer, capacity) in options.capacities() {
        for (index, item) in capacity.capacity_provider_strategy.iter().enumerate() {
            let name = item.capacity_provider.rsplit('/').next().unwrap_or_default();
            if known.iter().any(|known| known == name) {
                continue;
            }
            let others = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!(
                "The cluster \"{cluster}\" has no capacity provider \"{name}\"; it has: {others}. Associate it with the cluster, \
                 or name another."
            );
            let pointer = format!("/launch{pointer}/capacityProviderStrategy/{index}/capacityProvider");
            findings.push(Finding::at(pointer, message));
        }
    }
    Ok(findings)
}

/// Turns a fault that a person can fix into a finding.
fn finding_from_fault(fault: Fault, pointer: &str) -> Result<Finding, LaunchError> {
    match fault.kind() {
        FaultKind::Denied | FaultKind::NotFound | FaultKind::Config => {
            Ok(Finding::at(pointer, chain(&fault)))
        }
        FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => Err(fault.into()),
    }
}

/// Compares a job with its definition.
fn compare_with_definition(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: &Arc<Definition>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !definition.active {
        let message = format!("{} is not ACTIVE: register a new revision, or name another.", definition.arn);
        findings.push(Finding::at("/taskDefinition", message));
    }
    let awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    findings.extend(fargate(options, definition, awsvpc));
    findings.extend(sizes_that_do_not_fit(task, options, definition));
    findings.extend(volumes(options, definition));
    if awsvpc && options.network.is_none() && !options.may_run_on_fargate() {
        let message = "The definition's network mode is awsvpc: give launch.network with subnets.";
        findings.push(Finding::at("/launch/network", message));
    }
    if !awsvpc && options.network.is_some() {
        let mode = definition.network_mode.as_deref().unwrap_or("bridge");
        let message = format!(
            "The definition's network mode is {mode}, which takes no network: remove launch.network."
        );
        findings.push(Finding::at("/launch/network", message));
    }
    let has_role = options.overrides.task_role_arn.is_some() || definition.task_role.is_some();
    if options.enable_execute_command == Some(true) && !has_role {
        let message = "A shell needs a task role: give the definition a taskRoleArn, or launch.overrides, or \
                       remove this.";
        findings.push(Finding::at("/launch/enableExecuteCommand", message));
    }
    let changes = task.overrides.iter().enumerate();
    let named = changes
        .map(|(index, change)| (format!("/overrides/{index}/containerName"), &change.container_name))
        .chain(task.succeeds_by.iter().map(|name| ("/succeedsBy".to_owned(), name)));
    for (pointer, name) in named {
        if definition.containers.iter().any(|(known, _)| known == name) {
            continue;
        }
        let known: Vec<_> = definition.containers.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("The definition has no container \"{name}\"; it has: {}.", known.join(", "));
        findings.push(Finding::at(pointer, message));
    }
    findings
}

/// Returns a finding if the overrides have no room for the firing's variables in the definition's other containers.
pub(crate) fn check_overrides_length(
    task: &TaskSpec,
    options: &LaunchOptions,
    containers: &[(String, bool)],
) -> Option<Finding> {
    let all = request::not_overridden(task, containers);
    let length = overrides_length(task, options, &all);
    (length > MAX_OVERRIDES).then(|| {
        let message = format!(
            "With ECSS_FIRING_ID and ECSS_SCHEDULED_AT for every container the overrides are {length} characters \
             of JSON; ECS takes at most {MAX_OVERRIDES}: shorten them, or set ECSS_TASK_VARIABLES=off. Until then \
             only the containers that the job overrides get these variables."
        );
        Finding::at("/overrides", message)
    })
}

fn fargate(options: &LaunchOptions, definition: &Definition, awsvpc: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (pointer, capacity) in options.capacities() {
        if capacity.fargate().is_none() {
            continue;
        }
        let pointer = match pointer.as_str() {
            "" if capacity.launch_type.is_some() => "/launch/launchType".to_owned(),
            "" => "/launch/capacityProviderStrategy".to_owned(),
            fallback => format!("/launch{fallback}"),
        };
        if !definition.compatibilities.iter().any(|one| one == "FARGATE") {
            let message = "The definition does not support Fargate: register it with requiresCompatibilities \
                           FARGATE, cpu and memory.";
            findings.push(Finding::at(pointer.as_str(), message));
        }
        if !awsvpc {
            findings.push(Finding::at(pointer, "Fargate needs a definition with network mode awsvpc."));
        }
    }
    findings
}

/// Checks the sizes that the job and its definition make together. The job's own sizes were checked before.
fn sizes_that_do_not_fit(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: &Definition,
) -> Option<Finding> {
    let own = options.size();
    let size = Size { cpu: own.cpu.or(definition.size.cpu), memory: own.memory.or(definition.size.memory) };
    if own != Size::default()
        && options.may_run_on_fargate()
        && sizes::not_on_fargate(own).is_none()
        && let Some((field, message)) = sizes::not_on_fargate(size)
    {
        let field = if own.memory.is_none() { "cpu" } else { field };
        return Some(Finding::at(format!("/launch/overrides/{field}"), message));
    }
    let mut needs = definition.reservations.clone();
    for change in &task.overrides {
        let Some(need) = needs.iter_mut().find(|need| need.name == change.container_name) else { continue };
        let changed = ContainerResources::from_override(change).unwrap_or_default();
        need.cpu = changed.cpu.or(need.cpu);
        need.memory = changed.memory.or(need.memory);
        need.memory_reservation = changed.memory_reservation.or(need.memory_reservation);
    }
    if needs == definition.reservations && own == Size::default() {
        return None;
    }
    let misfit = sizes::misfit(size, &needs)?;
    let sets = |change: &Override| change.resources.contains_key(misfit.field);
    let is_meant = |change: &Override| {
        misfit.container.is_none_or(|index| needs[index].name == change.container_name) && sets(change)
    };
    let pointer = match task.overrides.iter().position(is_meant) {
        Some(index) => format!("/overrides/{index}/{}", misfit.field),
        None if misfit.field == "cpu" => "/launch/overrides/cpu".to_owned(),
        None => "/launch/overrides/memory".to_owned(),
    };
    Some(Finding::at(pointer, misfit.message))
}

/// Finds volumes that only the job or only the definition names.
fn volumes(options: &LaunchOptions, definition: &Definition) -> Vec<Finding> {
    let given: Vec<_> = options.volume_configurations.iter().map(|volume| &volume.name).collect();
    let unknown = given.iter().enumerate().filter(|(_, name)| !definition.volumes.contains(name));
    let unknown = unknown.map(|(index, name)| {
        let message = format!("The definition has no volume \"{name}\" with configuredAtLaunch.");
        Finding::at(format!("/launch/volumeConfigurations/{index}/name"), message)
    });
    let missing = definition.volumes.iter().filter(|name| !given.contains(name)).map(|name| {
        let message =
            format!("The definition's volume \"{name}\" is configured at launch: add an entry for it.");
        Finding::at("/launch/volumeConfigurations", message)
    });
    unknown.chain(missing).collect()
}
