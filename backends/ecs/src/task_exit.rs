//! How a task stands, and how it ended.
//!
//! Order of judgement: failed to start → infrastructure lost → exit code of a container, where a missing one counts as
//! failure → success. Only what the engine sees as exit code 0 is a success.
//!
//! ECS does not say which essential container ended first. The first essential one of the definition always counts; another
//! one that ended by SIGTERM or SIGKILL, without a reason of its own, counts as stopped because the task had ended.

use ecs_scheduler_core::{ContainerEnd, TaskId, TaskPhase, TaskState};

use crate::task_snapshot::{ContainerView, TaskView};

#[cfg(test)]
mod tests;

/// Stop codes of tasks whose programs never ran.
const NEVER_STARTED: &str = "TaskFailedToStart";

/// Stop codes that blame the platform, whatever the programs made of the signal.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
const LOST: [&str; 3] = ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"];

/// Tells how a task stands. `essential` names the containers that count; all of them do when it is not known.
pub(crate) fn state(view: &TaskView, essential: Option<&[(String, bool)]>) -> TaskState {
    let phase = phase(view);
    let stopped = phase == TaskPhase::Stopped;
    TaskState {
        task_id: TaskId::new(view.task_arn.as_str()),
        host_id: view.container_instance_arn.clone(),
        phase,
        exit_code: if stopped { exit_code(view, essential) } else { None },
        containers: if stopped { containers(view) } else { Vec::new() },
        accepted_at: None,
        stop_code: view.stop_code.clone(),
        reason: if stopped { reason(view, essential) } else { None },
        started_at: view.started_at,
        stopped_at: if stopped { view.stopped_at } else { None },
    }
}

fn phase(view: &TaskView) -> TaskPhase {
    match view.last_status.as_str() {
        "STOPPED" | "DELETED" => TaskPhase::Stopped,
        "PROVISIONING" | "PENDING" | "ACTIVATING" => TaskPhase::Pending,
        // On its way to the end: running until it is there, unless it never ran.
        _ if view.started_at.is_some() || view.last_status == "RUNNING" => TaskPhase::Running,
        _ => TaskPhase::Pending,
    }
}

fn exit_code(view: &TaskView, essential: Option<&[(String, bool)]>) -> Option<i32> {
    let stop_code = view.stop_code.as_deref().unwrap_or_default();
    if stop_code == NEVER_STARTED {
        return None;
    }
    let counts = |container: &&ContainerView| {
        essential.is_none_or(|all| all.iter().all(|(name, essential)| *name != container.name || *essential))
    };
    let counted =
        || view.containers.iter().filter(counts).filter(|container| !was_ended(view, container, essential));
    let failing = counted().find_map(|container| container.exit_code.filter(|code| *code != 0));
    let complete = counted().next().is_some() && counted().all(|container| container.exit_code.is_some());
    let clean = complete && !LOST.contains(&stop_code);
    failing.or(clean.then_some(0))
}

/// Tells how containers ended, where that decides how the task did.
fn containers(view: &TaskView) -> Vec<ContainerEnd> {
    let stop_code = view.stop_code.as_deref().unwrap_or_default();
    if stop_code == NEVER_STARTED || LOST.contains(&stop_code) {
        return Vec::new();
    }
    let ends = view.containers.iter();
    ends.map(|end| ContainerEnd { name: end.name.clone(), exit_code: end.exit_code }).collect()
}

/// Tells whether ECS stopped a container because another essential one had ended, as far as that can be told.
fn was_ended(view: &TaskView, container: &ContainerView, essential: Option<&[(String, bool)]>) -> bool {
    let first = essential.and_then(|all| all.iter().find(|(_, essential)| *essential));
    view.stop_code.as_deref() == Some("EssentialContainerExited")
        && first.is_some_and(|(name, _)| *name != container.name)
        && matches!(container.exit_code, Some(137 | 143))
        && container.reason.is_none()
}

/// Puts ECS's words and the usual meaning together.
fn reason(view: &TaskView, essential: Option<&[(String, bool)]>) -> Option<String> {
    let mut parts: Vec<String> = view.stopped_reason.iter().cloned().collect();
    let said = view.containers.iter().filter_map(|container| {
        let reason = container.reason.as_deref()?;
        Some(format!("container \"{}\": {reason}", container.name))
    });
    parts.extend(said);
    if let Some(meaning) = diagnosis(view, essential, &parts.join(" ")) {
        parts.push(meaning.to_owned());
    }
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}

/// What usual words mean and what to do, most telling first.
const MEANINGS: [(&str, &str); 11] = [
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
        "a container could not be made: check volumes, links and the disk of the instance",
    ),
    (
        "ResourceInitializationError",
        "the task's surroundings could not be set up: check network, roles, secrets and log group",
    ),
];

fn diagnosis(view: &TaskView, essential: Option<&[(String, bool)]>, said: &str) -> Option<&'static str> {
    let stop_code = view.stop_code.as_deref().unwrap_or_default();
    match stop_code {
        "SpotInterruption" => {
            return Some("Fargate Spot or the Spot instance was taken back: the work must be done again");
        }
        "TerminationNotice" | "InfrastructureHealth" => return Some("the machine under the task went away"),
        _ => {}
    }
    if let Some((_, meaning)) = MEANINGS.iter().find(|(words, _)| said.contains(words)) {
        return Some(meaning);
    }
    let mut containers = view.containers.iter();
    let killed = containers
        .any(|container| container.exit_code == Some(137) && !was_ended(view, container, essential));
    (killed && stop_code != "UserInitiated")
        .then_some("killed (137): most often out of memory, else a program that outlived its stop time-out")
}
