//! The state of a task, and its exit.
//!
//! Order of evaluation: failed to start → infrastructure lost → exit code of a container, where a missing one counts
//! as failure → success. Only exit code 0 counts as success for the engine.
//!
//! ECS does not say which essential container ended first. The first essential container of the definition always
//! counts. Another one that ended by SIGTERM or SIGKILL, without a reason of its own, counts as stopped because the
//! task had ended.

use ecs_scheduler_core::{ContainerEnd, TaskId, TaskPhase, TaskState};

use crate::task_snapshot::{ContainerSnapshot, TaskSnapshot};

#[cfg(test)]
mod tests;

/// Stop codes of tasks whose programs never ran.
const FAILED_TO_START: &str = "TaskFailedToStart";

/// Stop codes that mean lost infrastructure, even if the programs handled the signal.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
const INFRASTRUCTURE_LOSS: [&str; 3] = ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"];

/// Returns the state of a task. `essential` names the containers that count; all of them count if it is not known.
pub(crate) fn task_state(snapshot: &TaskSnapshot, essential: Option<&[(String, bool)]>) -> TaskState {
    let phase = phase(snapshot);
    let stopped = phase == TaskPhase::Stopped;
    let mut state = TaskState::new(
        TaskId::new(snapshot.task_arn.as_str()),
        snapshot.container_instance_arn.clone(),
        phase,
    );
    state.exit_code = if stopped { exit_code(snapshot, essential) } else { None };
    state.containers = if stopped { container_ends(snapshot) } else { Vec::new() };
    state.stop_code = snapshot.stop_code.clone();
    state.reason = if stopped { reason(snapshot, essential) } else { None };
    state.started_at = snapshot.started_at;
    state.stopped_at = if stopped { snapshot.stopped_at } else { None };
    state
}

fn phase(snapshot: &TaskSnapshot) -> TaskPhase {
    match snapshot.last_status.as_str() {
        "STOPPED" | "DELETED" => TaskPhase::Stopped,
        "PROVISIONING" | "PENDING" | "ACTIVATING" => TaskPhase::Pending,
        // A task that is stopping counts as running until it has stopped, unless it never ran.
        _ if snapshot.started_at.is_some() || snapshot.last_status == "RUNNING" => TaskPhase::Running,
        _ => TaskPhase::Pending,
    }
}

fn exit_code(snapshot: &TaskSnapshot, essential: Option<&[(String, bool)]>) -> Option<i32> {
    let stop_code = snapshot.stop_code.as_deref().unwrap_or_default();
    if stop_code == FAILED_TO_START {
        return None;
    }
    let is_counted = |container: &&ContainerSnapshot| {
        essential.is_none_or(|all| all.iter().all(|(name, essential)| *name != container.name || *essential))
    };
    let counted = || {
        snapshot
            .containers
            .iter()
            .filter(is_counted)
            .filter(|container| !was_stopped_by_ecs(snapshot, container, essential))
    };
    let failing = counted().find_map(|container| container.exit_code.filter(|code| *code != 0));
    let complete = counted().next().is_some() && counted().all(|container| container.exit_code.is_some());
    let succeeded = complete && !INFRASTRUCTURE_LOSS.contains(&stop_code);
    failing.or(succeeded.then_some(0))
}

/// Returns how containers ended, if that decides the task's result.
fn container_ends(snapshot: &TaskSnapshot) -> Vec<ContainerEnd> {
    let stop_code = snapshot.stop_code.as_deref().unwrap_or_default();
    if stop_code == FAILED_TO_START || INFRASTRUCTURE_LOSS.contains(&stop_code) {
        return Vec::new();
    }
    let ends = snapshot.containers.iter();
    ends.map(|end| ContainerEnd::new(end.name.clone(), end.exit_code)).collect()
}

/// Tells whether ECS stopped a container because another essential one had ended, as far as the snapshot shows.
fn was_stopped_by_ecs(
    snapshot: &TaskSnapshot,
    container: &ContainerSnapshot,
    essential: Option<&[(String, bool)]>,
) -> bool {
    let first = essential.and_then(|all| all.iter().find(|(_, essential)| *essential));
    snapshot.stop_code.as_deref() == Some("EssentialContainerExited")
        && first.is_some_and(|(name, _)| *name != container.name)
        && matches!(container.exit_code, Some(137 | 143))
        && container.reason.is_none()
}

/// Joins ECS's own reason and the usual explanation.
fn reason(snapshot: &TaskSnapshot, essential: Option<&[(String, bool)]>) -> Option<String> {
    let mut parts: Vec<String> = snapshot.stopped_reason.iter().cloned().collect();
    let said = snapshot.containers.iter().filter_map(|container| {
        let reason = container.reason.as_deref()?;
        Some(format!("container \"{}\": {reason}", container.name))
    });
    parts.extend(said);
    if let Some(meaning) = explain(snapshot, essential, &parts.join(" ")) {
        parts.push(meaning.to_owned());
    }
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}

/// Explanations and remedies of common error texts, most specific first.
const EXPLANATIONS: [(&str, &str); 11] = [
    (
        "CannotPullContainer",
        "the image could not be pulled: check its name and tag, the execution role, and the way to the registry (public IP, NAT or endpoints)",
    ),
    ("OutOfMemory", "out of memory: raise the container's or the task's memory"),
    (
        "unable to pull secrets",
        "a secret could not be read: check its ARN, what the execution role may read, and the way to Secrets Manager or SSM",
    ),
    (
        "unable to assume the role",
        "the task's role cannot be assumed: check that it exists and trusts ecs-tasks.amazonaws.com",
    ),
    (
        "unable to assume role",
        "the task's role cannot be assumed: check that it exists and trusts ecs-tasks.amazonaws.com",
    ),
    (
        "failed to validate logger args",
        "the log driver is not set up: check that the log group exists and the execution role may write to it",
    ),
    ("Capacity is unavailable", "no capacity: add capacityFallback, more subnets, or try another zone"),
    ("RESOURCE:", "no instance has room: add capacity, or ask for less CPU or memory"),
    ("CannotStartContainer", "a container could not start: check its command and entry point"),
    (
        "CannotCreateContainer",
        "a container could not be created: check volumes, links and the disk of the instance",
    ),
    (
        "ResourceInitializationError",
        "the task's environment could not be set up: check network, roles, secrets and log group",
    ),
];

fn explain(
    snapshot: &TaskSnapshot,
    essential: Option<&[(String, bool)]>,
    said: &str,
) -> Option<&'static str> {
    let stop_code = snapshot.stop_code.as_deref().unwrap_or_default();
    match stop_code {
        "SpotInterruption" => {
            return Some("Fargate Spot or the Spot instance was interrupted: run the work again");
        }
        "TerminationNotice" | "InfrastructureHealth" => return Some("the host of the task was lost"),
        _ => {}
    }
    if let Some((_, meaning)) = EXPLANATIONS.iter().find(|(words, _)| said.contains(words)) {
        return Some(meaning);
    }
    let mut containers = snapshot.containers.iter();
    let killed = containers.any(|container| {
        container.exit_code == Some(137) && !was_stopped_by_ecs(snapshot, container, essential)
    });
    (killed && stop_code != "UserInitiated")
        .then_some("killed (137): usually out of memory, or a program that ran past its stop timeout")
}
