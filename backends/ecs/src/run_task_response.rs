//! What ECS's answer to RunTask means.

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, LaunchError, LaunchReport, LaunchRequest, Refusal, StartedTask, TaskId};

#[cfg(test)]
mod tests;

/// Reasons in `failures[]` that waiting does not cure.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
const LASTING: [&str; 4] = ["MISSING", "INACTIVE", "LOCATION", "ATTRIBUTE"];

/// What ECS says, in errors, when there is no room: as good as a failure of every task.
const NO_ROOM: [&str; 4] = [
    "Capacity is unavailable",
    "No Container Instances were found",
    "reached the limit on the number of",
    "provisioning capacity limit exceeded",
];

/// What follows from the answer to a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The call is answered.
    Report(LaunchReport),
    /// ECS asks for fewer calls; nothing was started.
    Throttled(LaunchError),
    /// ECS says that the definition cannot be used (any more).
    Inactive(LaunchReport),
    /// It failed otherwise.
    Failed(LaunchError),
}

/// Reads an answer with tasks and failures.
pub(crate) fn of_output(output: &RunTaskOutput) -> LaunchReport {
    let started = output.tasks().iter().filter_map(|task| {
        Some(StartedTask {
            task_id: TaskId::new(task.task_arn()?),
            host_id: task.container_instance_arn().map(str::to_owned),
        })
    });
    let refused = output.failures().iter().map(|failure| {
        let reason = failure.reason().unwrap_or("no reason given");
        let detail = [failure.detail(), failure.arn()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Refusal {
            reason: reason.to_owned(),
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            retryable: is_retryable(reason),
        }
    });
    LaunchReport { started: started.collect(), refused: refused.collect() }
}

/// Reads an error.
pub(crate) fn of_error(error: SdkError<RunTaskError, HttpResponse>, request: &LaunchRequest) -> Outcome {
    if let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error() {
        // The token started these, whatever the parameters were.
        let started = conflict.resource_ids().iter();
        let started: Vec<_> =
            started.map(|arn| StartedTask { task_id: TaskId::new(arn.as_str()), host_id: None }).collect();
        if !started.is_empty() {
            tracing::warn!(job = %request.job, firing = %request.firing, tasks = started.len(), "adopted the tasks of a token that was used with other parameters");
            return Outcome::Report(LaunchReport { started, refused: Vec::new() });
        }
    }
    let attempted =
        format!("could not start tasks of \"{}\" for job \"{}\"", request.definition, request.job);
    let fault = Fault::of(error, attempted);
    let words = fault.words().unwrap_or_default().to_owned();
    if fault.kind() == FaultKind::Throttled {
        return Outcome::Throttled(fault.into());
    }
    if fault.kind() == FaultKind::Config && NO_ROOM.iter().any(|text| words.contains(text)) {
        return Outcome::Report(refuse(request, "CAPACITY", words, true));
    }
    let lower = words.to_lowercase();
    if fault.kind() == FaultKind::Config
        && (lower.contains("taskdefinition") || lower.contains("task definition"))
    {
        let reason = if lower.contains("inactive") { "INACTIVE" } else { "MISSING" };
        let detail = format!("task definition \"{}\": {words}", request.definition);
        if lower.contains("inactive") || lower.contains("not found") || lower.contains("unable to describe") {
            return Outcome::Inactive(refuse(request, reason, detail, false));
        }
    }
    Outcome::Failed(fault.into())
}

fn refuse(request: &LaunchRequest, reason: &str, detail: String, retryable: bool) -> LaunchReport {
    let refusal = Refusal { reason: reason.to_owned(), detail: Some(detail), retryable };
    LaunchReport { started: Vec::new(), refused: vec![refusal; request.count.get() as usize] }
}

/// Tells whether a reason in `failures[]` may pass: room and agents come back, definitions and attributes do not. What
/// is not known is tried again, since the firing's age bounds it.
fn is_retryable(reason: &str) -> bool {
    !LASTING.iter().any(|lasting| reason.starts_with(lasting))
}
