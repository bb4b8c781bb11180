//! Bounds of RunTask, so that a job is refused when it is written, not when it fires.

use ecs_scheduler_core::job::MAX_OVERRIDES;
use ecs_scheduler_core::{ConfigError, TaskSpec};

use super::firing_variables::overrides_length;
use super::{Capacity, ConstraintKind, ContainerResources, LaunchOptions, ProviderShare, StrategyKind};

/// Maximum number of tags of a task.
const TAGS: usize = 50;

/// Checks one launch object. Pointers begin at the launch object.
pub(super) fn check(options: &LaunchOptions, own_tags: usize) -> Result<(), ConfigError> {
    let primary = Capacity {
        launch_type: options.launch_type,
        capacity_provider_strategy: options.capacity_provider_strategy.clone(),
    };
    capacity(&primary)?;
    at_most(options.capacity_fallback.len(), 10, "/capacityFallback")?;
    for (index, fallback) in options.capacity_fallback.iter().enumerate() {
        let pointer = format!("/capacityFallback/{index}");
        if fallback.launch_type.is_none() && fallback.capacity_provider_strategy.is_empty() {
            return Err(ConfigError::at(pointer, "Needs launchType or capacityProviderStrategy."));
        }
        capacity(fallback).map_err(|error| error.under(&pointer))?;
    }
    if let Some(network) = &options.network {
        if network.subnets.is_empty() {
            return Err(ConfigError::at("/network/subnets", "Needs at least one subnet."));
        }
        at_most(network.subnets.len(), 16, "/network/subnets")?;
        at_most(network.security_groups.len(), 5, "/network/securityGroups")?;
    }
    placement(options)?;
    at_most(options.volume_configurations.len(), 1, "/volumeConfigurations")?;
    tags(options, own_tags)?;
    let storage = options.overrides.ephemeral_storage;
    if storage.is_some_and(|gib| !(21..=200).contains(&gib)) {
        return Err(ConfigError::at("/overrides/ephemeralStorage", "Must be between 21 and 200 GiB."));
    }
    Ok(())
}

fn capacity(capacity: &Capacity) -> Result<(), ConfigError> {
    const POINTER: &str = "/capacityProviderStrategy";
    let items = &capacity.capacity_provider_strategy;
    if capacity.launch_type.is_some() && !items.is_empty() {
        return Err(ConfigError::at(
            POINTER,
            "Give either launchType or capacityProviderStrategy, not both.",
        ));
    }
    at_most(items.len(), 20, POINTER)?;
    let wrong = |item: &ProviderShare| item.weight > 1_000 || item.base > 100_000;
    if let Some(index) = items.iter().position(wrong) {
        let message = "Weight is at most 1000, base at most 100000.";
        return Err(ConfigError::at(format!("{POINTER}/{index}"), message));
    }
    if items.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(ConfigError::at(POINTER, "Only one capacity provider may have a base."));
    }
    Ok(())
}

fn placement(options: &LaunchOptions) -> Result<(), ConfigError> {
    at_most(options.placement_constraints.len(), 10, "/placementConstraints")?;
    at_most(options.placement_strategy.len(), 5, "/placementStrategy")?;
    for (index, constraint) in options.placement_constraints.iter().enumerate() {
        let needs = constraint.kind == ConstraintKind::MemberOf;
        if needs != constraint.expression.is_some() {
            let message = if needs { "Needs an expression." } else { "Takes no expression." };
            return Err(ConfigError::at(format!("/placementConstraints/{index}/expression"), message));
        }
    }
    for (index, strategy) in options.placement_strategy.iter().enumerate() {
        let needs = strategy.kind != StrategyKind::Random;
        if needs != strategy.field.is_some() {
            let message = if needs { "Needs a field." } else { "Takes no field." };
            return Err(ConfigError::at(format!("/placementStrategy/{index}/field"), message));
        }
    }
    Ok(())
}

fn tags(options: &LaunchOptions, own: usize) -> Result<(), ConfigError> {
    at_most(options.tags.len(), TAGS - own, "/tags")?;
    for (key, value) in &options.tags {
        let pointer = || tag_pointer(key);
        let length = key.chars().count();
        if !(1..=128).contains(&length) || value.chars().count() > 256 {
            return Err(ConfigError::at(
                pointer(),
                "A tag's key has 1 to 128 characters, its value at most 256.",
            ));
        }
        if key.to_lowercase().starts_with("aws:") || key.starts_with("ecss:") {
            return Err(ConfigError::at(pointer(), "Keys that begin with aws: or ecss: are reserved."));
        }
    }
    Ok(())
}

/// Returns the pointer to a tag. It begins at the launch object.
pub(super) fn tag_pointer(key: &str) -> String {
    format!("/tags/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Checks the job's overrides together with those that the scheduler adds. Pointers begin at the document.
pub(super) fn check_overrides(task: &TaskSpec, options: &LaunchOptions) -> Result<(), ConfigError> {
    for (index, change) in task.overrides.iter().enumerate() {
        ContainerResources::from_override(change)
            .map_err(|error| error.under(&format!("/overrides/{index}")))?;
    }
    let length = overrides_length(task, options, &[]);
    if length > MAX_OVERRIDES {
        let message = format!(
            "The overrides are {length} characters of JSON with what the scheduler adds; ECS takes at most \
             {MAX_OVERRIDES}. Put long values into SSM parameters, or a file named by environmentFiles."
        );
        return Err(ConfigError::at("/overrides", message));
    }
    Ok(())
}

fn at_most(count: usize, most: usize, pointer: &str) -> Result<(), ConfigError> {
    if count <= most { Ok(()) } else { Err(ConfigError::at(pointer, format!("At most {most} entries."))) }
}
