//! Options that parse, but that ECS would refuse at a launch.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementStrategy.html>

use ecs_scheduler_core::{ConfigError, TaskSpec};

use super::{Capacity, ContainerResources, LaunchOptions, LaunchType, StrategyKind};
use crate::sizes::{self, Reservation, Size};

#[cfg(test)]
mod tests;

/// The kinds of resources that a container may require.
const REQUIREMENTS: [&str; 3] = ["GPU", "InferenceAccelerator", "NeuronDevice"];

/// File systems of volumes.
const FILE_SYSTEMS: [&str; 4] = ["ext3", "ext4", "xfs", "ntfs"];

/// Returns everything of a job that ECS would refuse. Pointers begin at the document.
pub(super) fn find_refusals(task: &TaskSpec, options: &LaunchOptions) -> Vec<ConfigError> {
    let mut found = Vec::new();
    strategies(options, &mut found);
    capacity_options(options, &mut found);
    network(options, &mut found);
    placement(options, &mut found);
    tags(options, &mut found);
    volumes(options, &mut found);
    roles(options, &mut found);
    let mut found: Vec<_> = found.into_iter().map(|error| error.under("/launch")).collect();
    regions(task, options, &mut found);
    containers(task, options, &mut found);
    found
}

impl LaunchOptions {
    /// Returns all capacities, each with its pointer into `launch`: the job's own, then the fallbacks.
    pub(crate) fn capacities(&self) -> impl Iterator<Item = (String, Capacity)> + '_ {
        let fallbacks = (0..self.capacity_fallback.len()).map(|index| format!("/capacityFallback/{index}"));
        std::iter::once(String::new())
            .chain(fallbacks)
            .zip(1..)
            .map(move |(pointer, n)| (pointer, self.capacity(n)))
    }

    /// Returns the size that the job gives its tasks.
    pub(crate) fn size(&self) -> Size {
        let (cpu, memory) = (self.overrides.cpu.as_deref(), self.overrides.memory.as_deref());
        Size { cpu: cpu.and_then(sizes::cpu), memory: memory.and_then(sizes::memory) }
    }

    /// Tells whether tasks may run on Fargate, as far as the job says.
    pub(crate) fn may_run_on_fargate(&self) -> bool {
        self.capacities().any(|(_, capacity)| capacity.fargate().is_some())
    }
}

fn strategies(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (pointer, capacity) in options.capacities() {
        let pointer = format!("{pointer}/capacityProviderStrategy");
        let items = &capacity.capacity_provider_strategy;
        let of_fargate = |name: &str| name == "FARGATE" || name == "FARGATE_SPOT";
        let on_fargate = items.iter().filter(|item| of_fargate(&item.capacity_provider)).count();
        if on_fargate != 0 && on_fargate != items.len() {
            let message = "Fargate's capacity providers and others cannot be in one strategy: put one kind into capacityFallback.";
            found.push(ConfigError::at(pointer.as_str(), message));
        }
        if items.len() > 1 && items.iter().all(|item| item.weight == 0) {
            let message =
                "Every weight is 0, which is the default: give at least one provider a weight of 1 or more.";
            found.push(ConfigError::at(pointer, message));
        }
    }
}

/// Checks options that only some launch types accept. Each attempt sends the whole of `launch`, so every capacity
/// must accept it.
fn capacity_options(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let mut refuse = |pointer: &str, message: String| {
        if !found.iter().any(|known| known.pointer == pointer) {
            found.push(ConfigError::at(pointer, message));
        }
    };
    for (pointer, capacity) in options.capacities() {
        let on = match capacity.launch_type {
            Some(kind) => kind.as_str(),
            None if capacity.fargate().is_some() => "Fargate",
            None if !capacity.capacity_provider_strategy.is_empty() => "a capacity provider of the cluster",
            None => continue,
        };
        let at = if pointer.is_empty() {
            String::new()
        } else {
            format!(" (launch{})", pointer.replace('/', "."))
        };
        if capacity.fargate().is_some() {
            for (pointer, is_given) in [
                ("/placementConstraints", !options.placement_constraints.is_empty()),
                ("/placementStrategy", !options.placement_strategy.is_empty()),
            ] {
                if is_given {
                    let message = format!("Tasks on Fargate{at} cannot be placed: remove this, or Fargate.");
                    refuse(pointer, message);
                }
            }
            continue;
        }
        if options.platform_version.is_some() {
            let message = format!("Only Fargate has platform versions, not {on}{at}: remove this.");
            refuse("/platformVersion", message);
        }
        if options.overrides.ephemeral_storage.is_some() {
            let message = format!("Only Fargate has ephemeral storage, not {on}{at}: remove this.");
            refuse("/overrides/ephemeralStorage", message);
        }
        let Some(network) = &options.network else { continue };
        if network.assign_public_ip
            && matches!(capacity.launch_type, Some(LaunchType::Ec2 | LaunchType::External))
        {
            let message = format!(
                "Only tasks on Fargate get public addresses, not on {on}{at}: remove this, and use a NAT gateway."
            );
            refuse("/network/assignPublicIp", message);
        }
        if capacity.launch_type == Some(LaunchType::External) {
            refuse("/network", format!("Tasks on EXTERNAL{at} take no network: remove this."));
        }
    }
}

fn network(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let Some(network) = &options.network else { return };
    let lists = [("subnets", "subnet", &network.subnets), ("securityGroups", "sg", &network.security_groups)];
    for (field, prefix, names) in lists {
        for (index, name) in names.iter().enumerate() {
            if !is_id(name, prefix) {
                let message = format!(
                    "Must be one id such as {prefix}-0123456789abcdef0: each id is an entry of its own, without blanks."
                );
                found.push(ConfigError::at(format!("/network/{field}/{index}"), message));
            }
        }
    }
}

/// Tells whether a name is an id of EC2: a prefix, and 8 or 17 hexadecimal digits.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
fn is_id(name: &str, prefix: &str) -> bool {
    let digits = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn placement(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (index, strategy) in options.placement_strategy.iter().enumerate() {
        let field = strategy.field.as_deref().unwrap_or_default();
        let is_of_binpack =
            |field: &str| field.eq_ignore_ascii_case("cpu") || field.eq_ignore_ascii_case("memory");
        if strategy.kind == StrategyKind::Binpack && !is_of_binpack(field) {
            let pointer = format!("/placementStrategy/{index}/field");
            found.push(ConfigError::at(pointer, "Must be cpu or memory for binpack."));
        }
    }
}

fn tags(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (key, value) in &options.tags {
        if !key.chars().chain(value.chars()).all(is_of_tags) {
            let message =
                "Keys and values of tags have letters, digits, blanks and _ . : / = + - @, and nothing else.";
            found.push(ConfigError::at(super::bounds::tag_pointer(key), message));
        }
    }
}

/// Tells whether a character is allowed in tags: a letter, digit or blank of any script, or one of a few signs.
fn is_of_tags(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

fn volumes(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (index, volume) in options.volume_configurations.iter().enumerate() {
        let pointer = |field: &str| format!("/volumeConfigurations/{index}/managedEbsVolume/{field}");
        let ebs = &volume.managed_ebs_volume;
        if ebs.size_in_gi_b.is_none() && ebs.snapshot_id.is_none() {
            found.push(ConfigError::at(pointer("sizeInGiB"), "Needs a size, or a snapshotId."));
        }
        if !ebs.role_arn.starts_with("arn:") {
            found.push(ConfigError::at(pointer("roleArn"), "Must be the ARN of a role."));
        }
        if ebs.filesystem_type.as_deref().is_some_and(|kind| !FILE_SYSTEMS.contains(&kind)) {
            let message = format!("Must be one of {}.", FILE_SYSTEMS.join(", "));
            found.push(ConfigError::at(pointer("filesystemType"), message));
        }
    }
}

fn roles(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let changed = &options.overrides;
    let roles = [("taskRoleArn", &changed.task_role_arn), ("executionRoleArn", &changed.execution_role_arn)];
    for (field, role) in roles {
        if role.as_deref().is_some_and(|role| role.is_empty() || role.contains(char::is_whitespace)) {
            found.push(ConfigError::at(
                format!("/overrides/{field}"),
                "Must be the ARN or the name of a role.",
            ));
        }
    }
}

/// Checks the cluster's name, and that ARNs are of the region that the job names.
fn regions(task: &TaskSpec, options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let cluster = options.cluster.as_deref().unwrap_or("default");
    let name = match cluster.strip_prefix("arn:") {
        Some(arn) => arn.rsplit_once(":cluster/").map_or("", |(_, name)| name),
        None => cluster,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=255).contains(&name.len()) || !name.bytes().all(allowed) {
        let message = "Must be the name or the ARN of a cluster: up to 255 letters, digits, `_` and `-`.";
        found.push(ConfigError::at("/launch/cluster", message));
    }
    let Some(region) = options.region.as_deref() else { return };
    for (pointer, named) in [("/taskDefinition", task.definition.as_str()), ("/launch/cluster", cluster)] {
        let of = named.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        if of.is_some_and(|of| of != region) {
            let message =
                format!("The ARN is of another region than launch.region, {region}: correct one of them.");
            found.push(ConfigError::at(pointer, message));
        }
    }
}

/// Checks the sizes of task and containers, and the devices that containers require.
fn containers(task: &TaskSpec, options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let (changed, size) = (&options.overrides, options.size());
    for (field, given, is_read, like) in [
        ("cpu", &changed.cpu, size.cpu.is_some(), "CPU units as in \"512\", or \"0.5 vCPU\""),
        ("memory", &changed.memory, size.memory.is_some(), "MiB as in \"1024\", or \"1 GB\""),
    ] {
        if given.is_some() && !is_read {
            found.push(ConfigError::at(format!("/launch/overrides/{field}"), format!("Must be {like}.")));
        }
    }
    if options.may_run_on_fargate()
        && let Some((field, message)) = sizes::not_on_fargate(size)
    {
        found.push(ConfigError::at(format!("/launch/overrides/{field}"), message));
    }
    let mut reservations = Vec::new();
    for (index, change) in task.overrides.iter().enumerate() {
        let resources = ContainerResources::from_override(change).unwrap_or_default();
        let pointer = |rest: &str| format!("/overrides/{index}/{rest}");
        if let (Some(memory), Some(reserved)) = (resources.memory, resources.memory_reservation)
            && reserved > memory
        {
            let message = format!("Must be at most the container's memory of {memory}.");
            found.push(ConfigError::at(pointer("memoryReservation"), message));
        }
        for (number, reservation) in resources.resource_requirements.iter().enumerate() {
            if !REQUIREMENTS.contains(&reservation.kind.as_str()) {
                let message = format!("Must be one of {}.", REQUIREMENTS.join(", "));
                found.push(ConfigError::at(pointer(&format!("resourceRequirements/{number}/type")), message));
            }
        }
        for (number, file) in resources.environment_files.iter().enumerate() {
            if file.kind != "s3" || !file.value.starts_with("arn:") {
                let message = "Must have type s3, and the ARN of an object as value.";
                found.push(ConfigError::at(pointer(&format!("environmentFiles/{number}")), message));
            }
        }
        let (cpu, memory, memory_reservation) =
            (resources.cpu, resources.memory, resources.memory_reservation);
        reservations.push(Reservation {
            name: change.container_name.clone(),
            cpu,
            memory,
            memory_reservation,
        });
    }
    if let Some(misfit) = sizes::misfit(size, &reservations) {
        let pointer = match misfit.container {
            Some(index) => format!("/overrides/{index}/{}", misfit.field),
            None => format!("/launch/overrides/{}", misfit.field),
        };
        found.push(ConfigError::at(pointer, misfit.message));
    }
}
