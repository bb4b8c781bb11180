//! Overrides of a call: roles, and the resources of containers.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerOverride.html>

use serde_json::Value;

use super::names::is_role;
use crate::wire::Failure;

/// Minimum of a container's memory, in MiB.
const MIN_MEMORY: i64 = 6;

/// Maximum number of environment files of a container.
const MAX_ENVIRONMENT_FILES: usize = 10;

/// Fails on overrides that are invalid with every task definition. Two overrides of one container fail as well: AWS documents
/// nothing about them.
pub(crate) fn check(overrides: &Value) -> Result<(), Failure> {
    for field in ["taskRoleArn", "executionRoleArn"] {
        if overrides[field].as_str().is_some_and(|role| !is_role(role)) {
            return Err(Failure::client("ClientException", "Role is not valid"));
        }
    }
    let containers = list(&overrides["containerOverrides"]);
    for (index, container) in containers.iter().enumerate() {
        if containers[..index].iter().any(|other| other["name"] == container["name"]) {
            return Err(Failure::parameter(format!(
                "Duplicate override for container {}.",
                container["name"]
            )));
        }
        check_container(container)?;
        check_environment_files(list(&container["environmentFiles"]))?;
        for requirement in list(&container["resourceRequirements"]) {
            check_requirement(requirement)?;
        }
    }
    Ok(())
}

/// Fails on devices that Fargate does not have.
pub(crate) fn check_on_fargate(overrides: &Value) -> Result<(), Failure> {
    let containers = list(&overrides["containerOverrides"]).iter();
    match containers.flat_map(|container| list(&container["resourceRequirements"])).next() {
        None => Ok(()),
        Some(one) => {
            let message =
                format!("Resource requirements of type {} are not supported on Fargate.", one["type"]);
            Err(Failure::client("ClientException", message))
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn check_container(container: &Value) -> Result<(), Failure> {
    if list(&container["environment"])
        .iter()
        .any(|variable| variable["name"].as_str().is_none_or(str::is_empty))
    {
        return Err(Failure::client("ClientException", "Environment variable names must not be empty."));
    }
    for field in ["memory", "memoryReservation"] {
        if container[field].as_i64().is_some_and(|mib| mib < MIN_MEMORY) {
            let message = format!(
                "Invalid '{field}' setting for container {}: at least {MIN_MEMORY}.",
                container["name"]
            );
            return Err(Failure::client("ClientException", message));
        }
    }
    Ok(())
}

/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EnvironmentFile.html>
fn check_environment_files(files: &[Value]) -> Result<(), Failure> {
    if files.len() > MAX_ENVIRONMENT_FILES {
        return Err(Failure::parameter("A container can have at most 10 environment files."));
    }
    let is_file = |file: &Value| {
        let object = file["value"].as_str().unwrap_or_default();
        let is_object = object.starts_with("arn:") && object.contains(":s3:::") && object.contains('/');
        file["type"] == "s3" && is_object && object.ends_with(".env")
    };
    match files.iter().find(|file| !is_file(file)) {
        None => Ok(()),
        Some(file) => Err(Failure::parameter(format!(
            "Environment file {} must be an Amazon S3 object with a .env extension.",
            file["value"]
        ))),
    }
}

/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ResourceRequirement.html>
fn check_requirement(requirement: &Value) -> Result<(), Failure> {
    let value = requirement["value"].as_str().unwrap_or_default();
    let is_number = !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit());
    let is_valid = match requirement["type"].as_str() {
        Some("GPU") => value == "ALL" || is_number,
        Some("NeuronDevice") => value == "ALL",
        Some("InferenceAccelerator") => !value.is_empty(),
        _ => return Err(Failure::parameter(format!("Resource type {} is not valid.", requirement["type"]))),
    };
    if is_valid {
        return Ok(());
    }
    Err(Failure::client("ClientException", format!("Resource value {value:?} is not valid.")))
}
