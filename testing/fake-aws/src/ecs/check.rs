//! Validation of `RunTask` calls.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>

use serde_json::Value;

use super::model::Definition;
use super::names::is_id;
use super::placement::Target;
use super::run_task::RunTask;
use super::{overrides, sizes, tags, token, volumes};
use crate::wire::Failure;

/// Maximum length of `overrides`, in characters of JSON.
const MAX_OVERRIDES_LENGTH: usize = 8192;

/// Fails on a call that is invalid in itself.
pub(crate) fn call(request: &RunTask) -> Result<(), Failure> {
    if request.task_definition.is_empty() {
        return Err(Failure::client("ClientException", "TaskDefinition can not be blank."));
    }
    if !(1..=10).contains(&request.count.unwrap_or(1)) {
        return Err(Failure::parameter("count should be between 1 and 10."));
    }
    if let Some(text) = &request.client_token {
        token::check(text)?;
    }
    if let Some(text) = &request.started_by {
        started_by(text)?;
    }
    check_target(request)?;
    sizes(request)?;
    placement(request)?;
    if let Some(given) = &request.overrides {
        overrides::check(given)?;
    }
    // ECS has `SERVICE` as well, for tasks of services only.
    if request.propagate_tags.as_deref().is_some_and(|from| !["TASK_DEFINITION", "NONE"].contains(&from)) {
        return Err(Failure::parameter("Invalid value for propagateTags."));
    }
    tags::check(&request.tags)
}

/// Fails on a `startedBy` that ECS does not accept.
fn started_by(text: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    if text.len() > 128 {
        return Err(Failure::parameter("startedBy exceeds the maximum length of 128 characters."));
    }
    if !text.bytes().all(allowed) {
        let message =
            "startedBy may contain letters, numbers, hyphens, forward slashes and underscores only.";
        return Err(Failure::parameter(message));
    }
    Ok(())
}

fn check_target(request: &RunTask) -> Result<(), Failure> {
    let strategy = request.capacity_provider_strategy.as_deref().unwrap_or_default();
    if let Some(launch_type) = request.launch_type.as_deref() {
        if !["EC2", "FARGATE", "EXTERNAL"].contains(&launch_type) {
            return Err(Failure::parameter("Launch type should be one of [EC2, FARGATE, EXTERNAL]."));
        }
        if !strategy.is_empty() {
            let message = "Specifying both a launch type and capacity provider strategy is not supported. Remove one \
                           and try again.";
            return Err(Failure::parameter(message));
        }
    }
    if strategy.len() > 20 {
        return Err(Failure::parameter(
            "A capacity provider strategy can contain a maximum of 20 capacity providers.",
        ));
    }
    for (index, item) in strategy.iter().enumerate() {
        let name = &item.capacity_provider;
        if name.is_empty() {
            return Err(Failure::parameter("capacityProvider can not be blank."));
        }
        // AWS documents nothing about a provider that is there twice.
        if strategy[..index].iter().any(|other| other.capacity_provider == *name) {
            return Err(Failure::parameter(format!("Duplicate capacity provider {name} in the strategy.")));
        }
    }
    Ok(())
}

/// Fails on constraints and strategies that ECS does not accept, and on a second `distinctInstance`: AWS documents nothing
/// about it.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementConstraint.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementStrategy.html>
fn placement(request: &RunTask) -> Result<(), Failure> {
    let constraints = &request.placement_constraints;
    for (index, constraint) in constraints.iter().enumerate() {
        let expression = constraint["expression"].as_str();
        let is_valid = match constraint["type"].as_str() {
            Some("distinctInstance") => {
                expression.is_none()
                    && constraints[..index].iter().all(|other| other["type"] != "distinctInstance")
            }
            Some("memberOf") => {
                expression.is_some_and(|text| !text.trim().is_empty() && text.chars().count() <= 2_000)
            }
            _ => false,
        };
        if !is_valid {
            return Err(Failure::parameter(format!("Placement constraint {constraint} is not valid.")));
        }
    }
    for strategy in &request.placement_strategy {
        let field = strategy["field"].as_str().unwrap_or_default().to_ascii_lowercase();
        let is_valid = match strategy["type"].as_str() {
            Some("random") => true,
            Some("binpack") => matches!(field.as_str(), "cpu" | "memory"),
            Some("spread") => {
                matches!(field.as_str(), "instanceid" | "host")
                    || field.strip_prefix("attribute:").is_some_and(|name| !name.is_empty())
            }
            _ => false,
        };
        if !is_valid {
            return Err(Failure::parameter(format!("Placement strategy {strategy} is not valid.")));
        }
    }
    Ok(())
}

fn sizes(request: &RunTask) -> Result<(), Failure> {
    if request
        .overrides
        .as_ref()
        .is_some_and(|overrides| overrides.to_string().chars().count() > MAX_OVERRIDES_LENGTH)
    {
        return Err(Failure::parameter("Overrides length must be at most 8192."));
    }
    if request.placement_constraints.len() > 10 {
        return Err(Failure::parameter("The maximum number of placement constraints is 10."));
    }
    if request.placement_strategy.len() > 5 {
        return Err(Failure::parameter("The maximum number of placement strategies is 5."));
    }
    Ok(())
}

/// Fails on a call that does not match its task definition or its target.
pub(crate) fn check_request(
    request: &RunTask,
    definition: &Definition,
    target: &Target,
) -> Result<(), Failure> {
    let on_fargate = target.launch_type == "FARGATE";
    if on_fargate {
        if !definition.supports("FARGATE") {
            return Err(Failure::parameter("Task definition does not support launch_type FARGATE."));
        }
        if !request.placement_constraints.is_empty() || !request.placement_strategy.is_empty() {
            return Err(Failure::parameter(
                "Placement constraints and strategies are not supported on Fargate.",
            ));
        }
        platform_version(request, definition)?;
        request.overrides.as_ref().map_or(Ok(()), overrides::check_on_fargate)?;
    } else {
        if request.platform_version.is_some() {
            return Err(Failure::parameter("The platform version must be null when not on Fargate."));
        }
        let overrides = request.overrides.as_ref();
        if overrides.is_some_and(|overrides| overrides["ephemeralStorage"].is_object()) {
            return Err(Failure::parameter("Ephemeral storage is only supported on Fargate."));
        }
    }
    // # Source
    //
    // <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-anywhere.html>
    if target.launch_type == "EXTERNAL" && definition.network_mode() == "awsvpc" {
        return Err(Failure::parameter("The network mode awsvpc is not supported for launch_type EXTERNAL."));
    }
    network(request.network_configuration.as_ref(), definition, on_fargate)?;
    if request.enable_execute_command && !has_task_role(request, definition) {
        let message = "The task can't be started because a valid taskRoleArn is not being used. Specify a valid task role \
                       in your task definition and try again.";
        return Err(Failure::parameter(message));
    }
    volumes::check(request, definition, on_fargate)?;
    sizes::check(request, definition, on_fargate)
}

/// Fails on a platform version that Fargate does not have.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-fargate.html>
fn platform_version(request: &RunTask, definition: &Definition) -> Result<(), Failure> {
    let system = definition.document["runtimePlatform"]["operatingSystemFamily"].as_str().unwrap_or_default();
    let known: &[&str] =
        if system.starts_with("WINDOWS") { &["LATEST", "1.0.0"] } else { &["LATEST", "1.4.0", "1.3.0"] };
    if request.platform_version.as_deref().is_some_and(|version| !known.contains(&version)) {
        let message = "The specified platform version does not exist.";
        return Err(Failure::client("PlatformUnknownException", message));
    }
    Ok(())
}

/// Fails on overrides of containers that the definition does not have.
pub(crate) fn containers(request: &RunTask, definition: &Definition) -> Result<(), Failure> {
    let overrides =
        request.overrides.as_ref().and_then(|overrides| overrides["containerOverrides"].as_array());
    for one in overrides.into_iter().flatten() {
        let name = one["name"].as_str().unwrap_or("");
        if !definition.containers().any(|(known, _)| known == name) {
            let message =
                format!("Override for container named {name} is not a container in the TaskDefinition.");
            return Err(Failure::parameter(message));
        }
    }
    Ok(())
}

fn has_task_role(request: &RunTask, definition: &Definition) -> bool {
    let overridden = request.overrides.as_ref().map(|overrides| &overrides["taskRoleArn"]);
    overridden.is_some_and(Value::is_string) || definition.document["taskRoleArn"].is_string()
}

fn network(configuration: Option<&Value>, definition: &Definition, on_fargate: bool) -> Result<(), Failure> {
    let needed = definition.network_mode() == "awsvpc";
    let given = configuration.map(|one| &one["awsvpcConfiguration"]).filter(|one| one.is_object());
    let vpc = match (needed, given) {
        (false, None) => return Ok(()),
        (true, None) => {
            let message = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
            return Err(Failure::parameter(message));
        }
        (false, Some(_)) => {
            let message =
                "Network Configuration is not valid for the given networkMode of this task definition.";
            return Err(Failure::parameter(message));
        }
        (true, Some(vpc)) => vpc,
    };
    let names = |name: &str| vpc[name].as_array().map_or(&[][..], Vec::as_slice);
    if names("subnets").is_empty() {
        return Err(Failure::parameter("subnets can not be empty."));
    }
    if names("subnets").len() > 16 {
        return Err(Failure::parameter("subnets can have at most 16 items."));
    }
    if names("securityGroups").len() > 5 {
        return Err(Failure::parameter("securityGroups can have at most 5 items."));
    }
    for (field, prefix, what) in
        [("subnets", "subnet-", "InvalidSubnetID"), ("securityGroups", "sg-", "InvalidGroupId")]
    {
        if let Some(name) =
            names(field).iter().find(|name| !name.as_str().is_some_and(|name| is_id(name, prefix)))
        {
            let message =
                format!("Invalid id: {name} (expecting \"{prefix}...\") (ErrorCode: {what}.Malformed)");
            return Err(Failure::parameter(message));
        }
    }
    if vpc["assignPublicIp"] == "ENABLED" && !on_fargate {
        return Err(Failure::parameter("Assign public IP is not supported for this launch type."));
    }
    Ok(())
}
