//! The state of a task, and its exit.
//!
//! Order of evaluation: failed to start → infrastructure lost → exit code of a container, where a missing one counts
//! as failure → success. Only exit code 0 counts as success for the engine.
//!
//! ECS does not say which essential container ended first. The first essential container of the definition always
//! counts. Another one that ended by SIGTERM or SIGKILL, without a reason of its own, counts as stopped because the
//! task had ended.

use ecs_scheduler_core::{ContainerEnd, Diagnosis, TaskId, TaskPhase, TaskState};

use crate::causes;
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
    state.reason = if stopped { reason(snapshot) } else { None };
    state.diagnosis = stopped.then(|| diagnosis(&state)).flatten();
    state.capacity_provider.clone_from(&snapshot.capacity_provider_name);
    state.availability_zone.clone_from(&snapshot.availability_zone);
    state.created_at = snapshot.created_at;
    // Times inside a phase come with its end: the engine records each change of a state.
    let ran = phase != TaskPhase::Pending;
    state.pull_started_at = snapshot.pull_started_at.filter(|_| ran);
    state.pull_stopped_at = snapshot.pull_stopped_at.filter(|_| ran);
    state.started_at = snapshot.started_at;
    state.stopping_at = snapshot.stopping_at.filter(|_| stopped);
    state.stopped_at = snapshot.stopped_at.filter(|_| stopped);
    state
}

/// Returns the cause that ECS names by the stop code and the reasons.
fn diagnosis(state: &TaskState) -> Option<Diagnosis> {
    let [code, reason] = [&state.stop_code, &state.reason].map(|text| text.as_deref().unwrap_or_default());
    causes::diagnose(&format!("{code} {reason}"))
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

/// Joins the reasons that ECS gives for the task and its containers.
fn reason(snapshot: &TaskSnapshot) -> Option<String> {
    let of_task = snapshot.stopped_reason.iter().cloned();
    let of_containers = snapshot.containers.iter().filter_map(|container| {
        let reason = container.reason.as_deref()?;
        Some(format!("container \"{}\": {reason}", container.name))
    });
    let parts: Vec<String> = of_task.chain(of_containers).collect();
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}
