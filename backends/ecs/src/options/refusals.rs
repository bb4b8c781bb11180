//! Options that parse, but that ECS would refuse at a launch.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>; further pages at each rule. A value is
//! refused only where AWS documents that it is invalid.

use ecs_scheduler_backend_aws::is_region;
use ecs_scheduler_core::{ConfigError, TaskSize, TaskSpec};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::{Capacity, LaunchOptions, LaunchType};
use crate::sizes::Size;
use names::{is_id, is_name, is_role};

mod containers;
mod names;
mod placement;
#[cfg(test)]
mod tests;
mod volumes;

/// Returns everything of a job that ECS would refuse. Pointers begin at the document.
pub(super) fn find_refusals(task: &TaskSpec, options: &LaunchOptions) -> Vec<ConfigError> {
    let mut found = Vec::new();
    strategies(options, &mut found);
    platform_version(options, &mut found);
    capacity_options(options, &mut found);
    network(options, &mut found);
    placement::check(options, &mut found);
    tags(options, &mut found);
    volumes::check(options, &mut found);
    roles(options, &mut found);
    let mut found: Vec<_> = found.into_iter().map(|error| error.under("/launch")).collect();
    regions(task, options, &mut found);
    containers::check(task, options, &mut found);
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
        Size { cpu: cpu.and_then(TaskSize::parse_cpu), memory: memory.and_then(TaskSize::parse_memory) }
    }

    /// Tells whether tasks may run on Fargate, as far as the job says.
    pub(crate) fn may_run_on_fargate(&self) -> bool {
        self.capacities().any(|(_, capacity)| capacity.fargate().is_some())
    }
}

/// Checks capacity provider strategies, and the launch type in whose place ECS wants one.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
fn strategies(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (pointer, capacity) in options.capacities() {
        if capacity.launch_type == Some(LaunchType::ManagedInstances) {
            let message = "Managed instances take no launchType: remove this, and name their capacity provider in capacityProviderStrategy.";
            found.push(ConfigError::at(format!("{pointer}/launchType"), message));
        }
        let pointer = format!("{pointer}/capacityProviderStrategy");
        let items = &capacity.capacity_provider_strategy;
        for (index, item) in items.iter().enumerate() {
            if let Some(message) = not_a_provider(&item.capacity_provider) {
                found.push(ConfigError::at(format!("{pointer}/{index}/capacityProvider"), message));
            }
        }
        let on_fargate = items.iter().filter(|item| is_of_fargate(&item.capacity_provider)).count();
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

/// Tells whether a capacity provider is one of Fargate's.
fn is_of_fargate(name: &str) -> bool {
    name == "FARGATE" || name == "FARGATE_SPOT"
}

/// Returns why no capacity provider can have this name. Names of the cluster's own begin with none of AWS's words.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html>
fn not_a_provider(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if is_of_fargate(name) || name.starts_with("arn:") {
        None
    } else if is_of_fargate(&upper) {
        Some(format!("Must be in capital letters: {upper}."))
    } else if !is_name(name) || ["aws", "ecs", "fargate"].iter().any(|word| name.starts_with(word)) {
        let message = "Must be FARGATE, FARGATE_SPOT, or a capacity provider of the cluster: up to 255 letters, digits, `_` and `-`, \
             and not aws, ecs or fargate at its beginning.";
        Some(message.to_owned())
    } else {
        None
    }
}

/// Checks the form of the platform version: there may be newer versions than those of today.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-fargate.html>: `LATEST`, 1.4.0 and 1.3.0 on Linux,
/// 1.0.0 on Windows.
fn platform_version(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let is_version = |text: &str| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        text.split('.').count() == 3 && text.split('.').all(is_number)
    };
    let given = options.platform_version.as_deref();
    if given.is_some_and(|text| !text.eq_ignore_ascii_case("LATEST") && !is_version(text)) {
        let message =
            "Must be LATEST, or a version of three numbers such as 1.4.0 (Linux) or 1.0.0 (Windows).";
        found.push(ConfigError::at("/platformVersion", message));
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
        let at = capacity_place(&pointer);
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

/// Names a capacity fallback in a message, after a blank; empty for the job's own capacity.
pub(crate) fn capacity_place(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" (launch{})", pointer.replace('/', ".")) }
}

/// Checks the ids of subnets and security groups, and that tasks on Fargate have a network: Fargate knows no other mode than
/// `awsvpc`, which needs one.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html>
fn network(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let Some(network) = &options.network else {
        if let Some((pointer, _)) = options.capacities().find(|(_, capacity)| capacity.fargate().is_some()) {
            let message = format!(
                "Tasks on Fargate{} need a network: give network with subnets.",
                capacity_place(&pointer)
            );
            found.push(ConfigError::at("/network", message));
        }
        return;
    };
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

/// Checks the characters of tags, and the prefix that AWS reserves in values as well as in keys.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
fn tags(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    for (key, value) in &options.tags {
        if !key.chars().chain(value.chars()).all(is_of_tags) {
            let message =
                "Keys and values of tags have letters, digits, blanks and _ . : / = + - @, and nothing else.";
            found.push(ConfigError::at(super::bounds::tag_pointer(key), message));
        } else if value.to_lowercase().starts_with("aws:") {
            let message = "Values that begin with aws: are not free to use.";
            found.push(ConfigError::at(super::bounds::tag_pointer(key), message));
        }
    }
}

/// Tells whether a character is allowed in tags: a letter, number or blank of any script, or one of a few signs.
fn is_of_tags(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    matches!(c.general_category_group(), Letter | Number | Separator) || "_.:/=+-@".contains(c)
}

/// Checks the roles that the job gives its tasks.
fn roles(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let changed = &options.overrides;
    let roles = [("taskRoleArn", &changed.task_role_arn), ("executionRoleArn", &changed.execution_role_arn)];
    for (field, role) in roles {
        if role.as_deref().is_some_and(|role| !is_role(role)) {
            let message = "Must be the ARN of a role, as in arn:aws:iam::123456789012:role/report, or its name: up to 64 letters, \
                 digits and `_ + = , . @ -`.";
            found.push(ConfigError::at(format!("/overrides/{field}"), message));
        }
    }
}

/// Tells whether a text is the name or the ARN of a cluster.
pub(crate) fn is_cluster(text: &str) -> bool {
    is_name(match text.strip_prefix("arn:") {
        Some(arn) => arn.rsplit_once(":cluster/").map_or("", |(_, name)| name),
        None => text,
    })
}

/// Checks the region, the cluster's name, and that ARNs are of the region that the job names.
fn regions(task: &TaskSpec, options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let cluster = options.cluster.as_deref().unwrap_or("default");
    if !is_cluster(cluster) {
        let message = "Must be the name or the ARN of a cluster: up to 255 letters, digits, `_` and `-`.";
        found.push(ConfigError::at("/launch/cluster", message));
    }
    let Some(region) = options.region.as_deref() else { return };
    if !is_region(region) {
        found.push(ConfigError::at("/launch/region", "Must be a region such as eu-central-1."));
        return;
    }
    for (pointer, named) in [("/taskDefinition", task.definition.as_str()), ("/launch/cluster", cluster)] {
        let of = named.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        if of.is_some_and(|of| of != region) {
            let message =
                format!("The ARN is of another region than launch.region, {region}: correct one of them.");
            found.push(ConfigError::at(pointer, message));
        }
    }
}
