//! Preflight checks: problems that would keep a job's tasks from starting, found by read-only calls before the tasks
//! are due.

use aws_sdk_ecs::types::{CapacityProviderStrategyItem, DesiredStatus};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::job::MAX_OVERRIDES;
use ecs_scheduler_core::{FaultKind, Finding, LaunchError, Override, TaskSpec};

use crate::clients::{Clients, RegionClients};
use crate::cluster_poller::list_tasks;
use crate::definitions::{Definition, DefinitionCache};
use crate::options::{
    Capacity, ContainerResources, LaunchOptions, LaunchType, ProviderShare, capacity_place, overrides_length,
};
use crate::request;
use crate::sizes::{self, ResourceReservation, Size};

#[cfg(test)]
mod tests;

/// Checks the definition, the cluster and the permissions.
pub(crate) async fn check_task(
    clients: &Clients,
    definitions: &DefinitionCache,
    at: &RegionClients,
    cluster: &str,
    task: &TaskSpec,
    options: &LaunchOptions,
) -> Result<Vec<Finding>, LaunchError> {
    let (definition, of_definition) = match definitions.find(clients, at, &task.definition).await {
        Ok(found) => {
            let finding = check_definition(task, at.scope.region.as_deref(), found.as_deref());
            (found, finding)
        }
        Err(fault) => (None, Some(finding_from_fault(fault, "/taskDefinition")?)),
    };
    let (capacity, of_capacity) = match read_capacity(clients, at, cluster, options).await {
        Ok(capacity) => (capacity, None),
        Err(fault) => (None, Some(finding_from_fault(fault, "/launch/cluster")?)),
    };
    let definition = definition.as_deref();
    let mut findings = check_options(task, options, definition, capacity.as_ref());
    findings.extend(of_definition);
    match list_tasks(clients, at, cluster, None, DesiredStatus::Running, None).await {
        Ok(_) => {}
        Err(fault) => findings.push(finding_from_fault(fault, "/launch/cluster")?),
    }
    findings.extend(of_capacity);
    if let Some(capacity) = &capacity {
        findings.extend(unknown_providers(capacity, cluster, options));
    }
    Ok(findings)
}

/// Checks that there is a definition, and that tasks of it can be started.
pub(crate) fn check_definition(
    task: &TaskSpec,
    region: Option<&str>,
    found: Option<&Definition>,
) -> Option<Finding> {
    let message = match found {
        None => format!(
            "There is no task definition \"{}\" in region {}: register it, or correct the name or launch.region.",
            task.definition,
            region.unwrap_or("of the scheduler"),
        ),
        Some(known) if known.active => return None,
        Some(known) => format!("{} is not ACTIVE: register a new revision, or name another.", known.arn),
    };
    Some(Finding::at("/taskDefinition", message))
}

/// The capacity of a cluster.
struct ClusterCapacity {
    providers: Vec<String>,
    /// The strategy of tasks that name neither a launch type nor capacity providers.
    default_strategy: Vec<ProviderShare>,
}

/// Checks the job against its definition, on the capacity that its tasks get.
fn check_options(
    task: &TaskSpec,
    options: &LaunchOptions,
    definition: Option<&Definition>,
    capacity: Option<&ClusterCapacity>,
) -> Vec<Finding> {
    let check = |options: &LaunchOptions| {
        let refusals = options.refusals(task).into_iter();
        let refusals = refusals.map(|error| Finding::at(error.pointer, error.message));
        let compared = definition.map(|known| compare_with_definition(task, options, known));
        refusals.chain(compared.into_iter().flatten()).collect::<Vec<_>>()
    };
    let plain = check(options);
    let Some((effective, name)) = with_default_capacity(options, definition, capacity) else { return plain };
    let mut findings = check(&effective);
    for finding in findings.iter_mut().filter(|finding| !plain.contains(finding)) {
        let reason = format!(
            " Without launchType and capacityProviderStrategy these tasks run on {name}, the cluster's default."
        );
        finding.message.push_str(&reason);
    }
    findings
}

/// Fills in the capacity of a job that names none, with its name: the cluster's default strategy, or else EC2. Returns nothing if
/// the job names one, or if its capacity is not known.
fn with_default_capacity(
    options: &LaunchOptions,
    definition: Option<&Definition>,
    capacity: Option<&ClusterCapacity>,
) -> Option<(LaunchOptions, String)> {
    if options.launch_type.is_some() || !options.capacity_provider_strategy.is_empty() {
        return None;
    }
    let strategy = match capacity {
        Some(capacity) => capacity.default_strategy.clone(),
        None if definition.is_some_and(is_for_own_instances) => Vec::new(),
        None => return None,
    };
    let mut effective = options.clone();
    if strategy.is_empty() {
        effective.launch_type = Some(LaunchType::Ec2);
        return Some((effective, LaunchType::Ec2.as_str().to_owned()));
    }
    let names: Vec<_> = strategy.iter().map(|item| item.capacity_provider.as_str()).collect();
    let name = names.join(", ");
    effective.capacity_provider_strategy = strategy;
    Some((effective, name))
}

/// Tells whether tasks of a definition can run on instances of the cluster only.
fn is_for_own_instances(definition: &Definition) -> bool {
    !definition.compatibilities.iter().any(|one| one == "FARGATE" || one == "MANAGED_INSTANCES")
}

/// Reads the capacity of the cluster, if a capacity of the job is not a launch type. Returns nothing if this scheduler may not
/// read the cluster, because launches need no permission for that.
async fn read_capacity(
    clients: &Clients,
    at: &RegionClients,
    cluster: &str,
    options: &LaunchOptions,
) -> Result<Option<ClusterCapacity>, Fault> {
    if options.capacities().all(|(_, capacity)| capacity.launch_type.is_some()) {
        return Ok(None);
    }
    let call = async {
        let call = at.client.describe_clusters().clusters(cluster).send();
        call.await.map_err(|error| Fault::from_sdk(error, format!("could not read cluster \"{cluster}\"")))
    };
    let answer = match clients.call_paced(&at.scope, READ_CLUSTER, call).await {
        Ok(answer) => answer,
        Err(fault) if fault.kind() == FaultKind::Denied => return Ok(None),
        Err(fault) => return Err(fault),
    };
    // Another check finds that the cluster does not exist.
    let Some(known) = answer.clusters().first() else { return Ok(None) };
    let share = |item: &CapacityProviderStrategyItem| ProviderShare {
        capacity_provider: item.capacity_provider().to_owned(),
        weight: u32::try_from(item.weight()).unwrap_or_default(),
        base: u32::try_from(item.base()).unwrap_or_default(),
    };
    Ok(Some(ClusterCapacity {
        providers: known.capacity_providers().to_vec(),
        default_strategy: known.default_capacity_provider_strategy().iter().map(share).collect(),
    }))
}

/// Finds capacity providers that the cluster does not have, also in fallbacks.
fn unknown_providers(capacity: &ClusterCapacity, cluster: &str, options: &LaunchOptions) -> Vec<Finding> {
    let known = &capacity.providers;
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
    findings
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
    definition: &Definition,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    findings.extend(fargate(options, definition, awsvpc));
    findings.extend(own_instances(options, definition));
    findings.extend(sizes_that_do_not_fit(task, options, definition));
    findings.extend(volumes(options, definition));
    let external = options.capacities().find(|(_, one)| one.launch_type == Some(LaunchType::External));
    if awsvpc && let Some((pointer, _)) = &external {
        let message = "EXTERNAL takes no definition with network mode awsvpc: name another launchType, or register the \
                       definition with mode bridge, host or none.";
        findings.push(Finding::at(format!("/launch{pointer}/launchType"), message));
    }
    if awsvpc && options.network.is_none() && external.is_none() && !options.may_run_on_fargate() {
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

/// Finds a public address for tasks on own capacity providers, whose definition cannot run elsewhere than on instances.
fn own_instances(options: &LaunchOptions, definition: &Definition) -> Option<Finding> {
    let is_public = options.network.as_ref().is_some_and(|network| network.assign_public_ip);
    let is_own =
        |capacity: &Capacity| !capacity.capacity_provider_strategy.is_empty() && capacity.fargate().is_none();
    let mut capacities = options.capacities();
    let (pointer, _) =
        capacities.find(|(_, capacity)| is_public && is_own(capacity) && is_for_own_instances(definition))?;
    let message = format!(
        "Only tasks on Fargate get public addresses, and the definition is for instances{}: remove this, and use a NAT gateway.",
        capacity_place(&pointer)
    );
    Some(Finding::at("/launch/network/assignPublicIp", message))
}

/// Returns the reservation of each container, as the job changes them.
pub(crate) fn reservations_of(task: &TaskSpec, definition: &Definition) -> Vec<ResourceReservation> {
    let mut needs = definition.reservations.clone();
    for change in &task.overrides {
        let Some(need) = needs.iter_mut().find(|need| need.name == change.container_name) else { continue };
        let changed = ContainerResources::from_override(change).unwrap_or_default();
        need.cpu = changed.cpu.or(need.cpu);
        need.memory = changed.memory.or(need.memory);
        need.memory_reservation = changed.memory_reservation.or(need.memory_reservation);
    }
    needs
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
    let needs = reservations_of(task, definition);
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
