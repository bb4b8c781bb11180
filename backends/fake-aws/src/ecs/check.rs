//! What `RunTask` does not accept.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>

use serde_json::Value;

use super::model::Definition;
use super::placing::Target;
use super::run_task::RunTask;
use super::{tags, token};
use crate::wire::Failure;

/// The longest `overrides`, in characters of JSON.
const LONGEST_OVERRIDES: usize = 8192;

/// Fails on a call that is wrong in itself.
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
    where_to(request)?;
    sizes(request)?;
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

fn where_to(request: &RunTask) -> Result<(), Failure> {
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
    Ok(())
}

fn sizes(request: &RunTask) -> Result<(), Failure> {
    if request
        .overrides
        .as_ref()
        .is_some_and(|overrides| overrides.to_string().chars().count() > LONGEST_OVERRIDES)
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

/// Fails on a call that does not fit its task definition.
pub(crate) fn against(request: &RunTask, definition: &Definition, target: &Target) -> Result<(), Failure> {
    if target.launch_type == "FARGATE" {
        if !definition.supports("FARGATE") {
            return Err(Failure::parameter("Task definition does not support launch_type FARGATE."));
        }
        if !request.placement_constraints.is_empty() || !request.placement_strategy.is_empty() {
            return Err(Failure::parameter(
                "Placement constraints and strategies are not supported on Fargate.",
            ));
        }
    }
    network(request.network_configuration.as_ref(), definition)?;
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

fn network(configuration: Option<&Value>, definition: &Definition) -> Result<(), Failure> {
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
    let count = |name: &str| vpc[name].as_array().map_or(0, Vec::len);
    if count("subnets") == 0 {
        return Err(Failure::parameter("subnets can not be empty."));
    }
    if count("subnets") > 16 {
        return Err(Failure::parameter("subnets can have at most 16 items."));
    }
    if count("securityGroups") > 5 {
        return Err(Failure::parameter("securityGroups can have at most 5 items."));
    }
    Ok(())
}
