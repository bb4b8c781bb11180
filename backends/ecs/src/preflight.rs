//! What would keep a job's tasks from starting, found by asking ECS before they are due.

use std::sync::Arc;

use aws_sdk_ecs::types::DesiredStatus;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{FaultKind, Finding, LaunchError, TaskSpec};

use crate::clients::{Clients, Regional};
use crate::definitions::{Definition, Definitions};
use crate::options::LaunchOptions;
use crate::sweep::list;

#[cfg(test)]
mod tests;

/// Looks at definition, cluster and permissions.
pub(crate) async fn look(
    clients: &Clients,
    definitions: &Definitions,
    at: &Regional,
    cluster: &str,
    task: &TaskSpec,
    options: &LaunchOptions,
) -> Result<Vec<Finding>, LaunchError> {
    let mut findings = Vec::new();
    match definitions.find(clients, at, &task.definition).await {
        Ok(Some(definition)) => findings.extend(judge(task, options, &definition)),
        Ok(None) => findings.push(Finding::at(
            "/taskDefinition",
            format!(
                "There is no task definition \"{}\" in region {}: register it, or correct the name or launch.region.",
                task.definition,
                at.place.region.as_deref().unwrap_or("of the scheduler"),
            ),
        )),
        Err(fault) => findings.push(permitted(fault, "/taskDefinition")?),
    }
    match list(clients, at, cluster, None, DesiredStatus::Running, None).await {
        Ok(_) => {}
        Err(fault) => findings.push(permitted(fault, "/launch/cluster")?),
    }
    Ok(findings)
}

/// Turns a fault that a person can cure into a finding.
fn permitted(fault: Fault, pointer: &str) -> Result<Finding, LaunchError> {
    match fault.kind() {
        FaultKind::Denied | FaultKind::NotFound | FaultKind::Config => {
            Ok(Finding::at(pointer, chain(&fault)))
        }
        FaultKind::Throttled | FaultKind::Unavailable | FaultKind::Bug => Err(fault.into()),
    }
}

/// Compares a job with its definition.
fn judge(task: &TaskSpec, options: &LaunchOptions, definition: &Arc<Definition>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !definition.active {
        let message = format!("{} is not ACTIVE: register a new revision, or name another.", definition.arn);
        findings.push(Finding::at("/taskDefinition", message));
    }
    let awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    findings.extend(fargate(options, definition, awsvpc));
    if awsvpc && options.network.is_none() {
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

fn fargate(options: &LaunchOptions, definition: &Definition, awsvpc: bool) -> Vec<Finding> {
    let first =
        if options.launch_type.is_some() { "/launch/launchType" } else { "/launch/capacityProviderStrategy" };
    let fallbacks =
        (0..options.capacity_fallback.len()).map(|index| format!("/launch/capacityFallback/{index}"));
    let places = std::iter::once(first.to_owned()).chain(fallbacks);
    let on_fargate = places.zip(1..).filter(|(_, attempt)| options.capacity(*attempt).fargate().is_some());
    let mut findings = Vec::new();
    for (place, _) in on_fargate {
        if !definition.compatibilities.iter().any(|one| one == "FARGATE") {
            let message = "The definition is not made for Fargate: register it with requiresCompatibilities FARGATE, cpu and memory.";
            findings.push(Finding::at(place.as_str(), message));
        }
        if !awsvpc {
            findings.push(Finding::at(place, "Fargate needs a definition with network mode awsvpc."));
        }
    }
    findings
}
