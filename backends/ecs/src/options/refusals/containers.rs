//! Overrides of containers, and task sizes, that ECS would refuse.

use std::ops::RangeInclusive;

use ecs_scheduler_core::{ConfigError, Override, TaskSpec};

use super::super::{ContainerResources, LaunchOptions, LaunchType, ResourceRequirement};
use super::names::is_name;
use crate::sizes::{self, ResourceReservation};

/// The kinds of resources that a container may require.
const REQUIREMENTS: [&str; 3] = ["GPU", "InferenceAccelerator", "NeuronDevice"];

/// Maximum number of environment files of a container.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EnvironmentFile.html>
const MAX_ENVIRONMENT_FILES: usize = 10;

/// Minimum of a container's memory, in MiB.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
const MIN_MEMORY: i32 = 6;

/// CPU units of a task on machines of the cluster.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>: 128 to 196,608 on EC2 and
/// external machines.
const MACHINE_CPU: RangeInclusive<u32> = 128..=196_608;

/// Checks the sizes of task and containers, and the devices that containers require. Pointers begin at the document.
pub(super) fn check(task: &TaskSpec, options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    task_size(options, found);
    let on_fargate = options.may_run_on_fargate();
    let mut reservations = Vec::new();
    for (index, change) in task.overrides.iter().enumerate() {
        let resources = ContainerResources::from_override(change).unwrap_or_default();
        let mut wrong = container(change, &resources);
        wrong.extend(environment_files(&resources));
        for (number, requirement) in resources.resource_requirements.iter().enumerate() {
            let errors = device(requirement, on_fargate).into_iter();
            wrong.extend(errors.map(|error| error.under(&format!("/resourceRequirements/{number}"))));
        }
        found.extend(wrong.into_iter().map(|error| error.under(&format!("/overrides/{index}"))));
        let (cpu, memory, memory_reservation) =
            (resources.cpu, resources.memory, resources.memory_reservation);
        reservations.push(ResourceReservation {
            name: change.container_name.clone(),
            cpu,
            memory,
            memory_reservation,
        });
    }
    if let Some(misfit) = sizes::misfit(options.size(), &reservations) {
        let pointer = match misfit.container {
            Some(index) => format!("/overrides/{index}/{}", misfit.field),
            None => format!("/launch/overrides/{}", misfit.field),
        };
        found.push(ConfigError::at(pointer, misfit.message));
    }
}

/// Checks that there are tasks of the size that the job gives them.
fn task_size(options: &LaunchOptions, found: &mut Vec<ConfigError>) {
    let (changed, size) = (&options.overrides, options.size());
    for (field, given, is_read, like) in [
        ("cpu", &changed.cpu, size.cpu.is_some(), "CPU units as in \"512\", or \"0.5 vCPU\""),
        ("memory", &changed.memory, size.memory.is_some(), "MiB as in \"1024\", or \"1 GB\""),
    ] {
        if given.is_some() && !is_read {
            found.push(ConfigError::at(format!("/launch/overrides/{field}"), format!("Must be {like}.")));
        }
    }
    let on_machines = options
        .capacities()
        .any(|(_, capacity)| matches!(capacity.launch_type, Some(LaunchType::Ec2 | LaunchType::External)));
    if options.may_run_on_fargate()
        && let Some((field, message)) = sizes::not_on_fargate(size)
    {
        found.push(ConfigError::at(format!("/launch/overrides/{field}"), message));
    } else if on_machines && size.cpu.is_some_and(|cpu| !MACHINE_CPU.contains(&cpu)) {
        let message = format!(
            "Must be from {} to {} CPU units on machines of the cluster.",
            MACHINE_CPU.start(),
            MACHINE_CPU.end()
        );
        found.push(ConfigError::at("/launch/overrides/cpu", message));
    }
}

/// Checks the name, the environment and the memory of a container. Pointers begin at the override.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerOverride.html>
fn container(change: &Override, resources: &ContainerResources) -> Vec<ConfigError> {
    let mut wrong = Vec::new();
    if !is_name(&change.container_name) {
        let message =
            "Must be the container's name in the task definition: up to 255 letters, digits, `_` and `-`.";
        wrong.push(ConfigError::at("/containerName", message));
    }
    if change.environment.contains_key("") {
        wrong.push(ConfigError::at("/environment", "A variable has no name: name it, or remove it."));
    }
    let ContainerResources { memory, memory_reservation: reserved, .. } = *resources;
    for (field, given) in [("memory", memory), ("memoryReservation", reserved)] {
        if given.is_some_and(|mib| mib < MIN_MEMORY) {
            let message = format!("Must be at least {MIN_MEMORY} MiB: no container starts with less.");
            wrong.push(ConfigError::at(format!("/{field}"), message));
        }
    }
    if let (Some(memory), Some(reserved)) = (memory, reserved)
        && reserved > memory
    {
        let message = format!("Must be at most the container's memory of {memory}.");
        wrong.push(ConfigError::at("/memoryReservation", message));
    }
    wrong
}

/// Checks the environment files of a container. Pointers begin at the override.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EnvironmentFile.html>
fn environment_files(resources: &ContainerResources) -> Vec<ConfigError> {
    let mut wrong = Vec::new();
    if resources.environment_files.len() > MAX_ENVIRONMENT_FILES {
        let message = format!("At most {MAX_ENVIRONMENT_FILES} files: put their variables into fewer ones.");
        wrong.push(ConfigError::at("/environmentFiles", message));
    }
    for (number, file) in resources.environment_files.iter().enumerate() {
        let is_object = file.value.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(1)) == Some("s3");
        let is_file = is_object && file.value.ends_with(".env");
        if file.kind != "s3" || !is_file {
            let message = "Must have type s3, and the ARN of an object as value whose name ends in .env: arn:aws:s3:::bucket/job.env";
            wrong.push(ConfigError::at(format!("/environmentFiles/{number}"), message));
        }
    }
    wrong
}

/// Checks a device that a container requires. The pointer begins at the requirement.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ResourceRequirement.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>
fn device(requirement: &ResourceRequirement, on_fargate: bool) -> Option<ConfigError> {
    let ResourceRequirement { kind, value } = requirement;
    if !REQUIREMENTS.contains(&kind.as_str()) {
        return Some(ConfigError::at("/type", format!("Must be one of {}.", REQUIREMENTS.join(", "))));
    }
    if on_fargate && kind != "InferenceAccelerator" {
        let message = format!("Tasks on Fargate have no {kind}: remove this, or Fargate.");
        return Some(ConfigError::at("/type", message));
    }
    let is_all = value.eq_ignore_ascii_case("ALL");
    let is_number = !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit());
    match kind.as_str() {
        "GPU" if !is_all && !is_number => {
            Some(ConfigError::at("/value", "Must be the number of GPUs, as in \"1\", or ALL."))
        }
        "NeuronDevice" if !is_all => Some(ConfigError::at("/value", "Must be ALL.")),
        _ => None,
    }
}
