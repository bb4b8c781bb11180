//! Interpreting the response to RunTask.

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, LaunchError, LaunchReport, LaunchRequest, Refusal, StartedTask, TaskId};

use crate::causes;

#[cfg(test)]
mod tests;

/// Reasons in `failures[]` that waiting does not fix.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
const PERMANENT_REASONS: [&str; 4] = ["MISSING", "INACTIVE", "LOCATION", "ATTRIBUTE"];

/// Error texts of ECS that mean a lack of capacity. They count as a refusal of every task.
const NO_CAPACITY: [&str; 4] = [
    "Capacity is unavailable",
    "No Container Instances were found",
    "reached the limit on the number of",
    "provisioning capacity limit exceeded",
];

/// The result of a RunTask call.
#[derive(Debug)]
pub(crate) enum RunTaskResult {
    /// ECS answered for each task.
    Report(LaunchReport),
    /// ECS asks for fewer calls; nothing was started.
    Throttled(LaunchError),
    /// ECS says that the definition cannot be used (any more).
    Inactive(LaunchReport),
    /// The call failed for another reason.
    Failed(LaunchError),
}

/// Converts a response to a call for `count` tasks. ECS may name each instance that cannot run a task: one reason for each task is
/// kept. Those that may pass come first: a task that no instance can run now may fit on one of them later.
pub(crate) fn report_from_output(output: &RunTaskOutput, count: u32) -> LaunchReport {
    let missing = (count as usize).saturating_sub(output.tasks().len());
    let started = output.tasks().iter().filter_map(|task| {
        Some(StartedTask::new(
            TaskId::new(task.task_arn()?),
            task.container_instance_arn().map(str::to_owned),
        ))
    });
    let refused = output.failures().iter().map(|failure| {
        let reason = failure.reason().unwrap_or("no reason given");
        let detail = [failure.detail(), failure.arn()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let diagnosis = causes::diagnose(&format!("{reason} {detail}"));
        let refusal = Refusal::new(reason, is_retryable(reason)).with_diagnosis(diagnosis);
        if detail.is_empty() { refusal } else { refusal.with_detail(detail) }
    });
    let mut refused: Vec<_> = refused.collect();
    refused.sort_by_key(|refusal| !refusal.retryable);
    refused.truncate(missing);
    LaunchReport::new(started.collect(), refused)
}

/// Classifies an error.
pub(crate) fn classify_error(
    error: SdkError<RunTaskError, HttpResponse>,
    request: &LaunchRequest,
) -> RunTaskResult {
    if let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error() {
        // The token started these tasks, even though the parameters differ.
        let started = conflict.resource_ids().iter();
        let started: Vec<_> = started.map(|arn| StartedTask::new(TaskId::new(arn.as_str()), None)).collect();
        if !started.is_empty() {
            tracing::warn!(job = %request.job, firing = %request.firing, tasks = started.len(), "clientToken already used with different parameters; adopting its tasks");
            return RunTaskResult::Report(LaunchReport::new(started, Vec::new()));
        }
    }
    let attempted =
        format!("could not start tasks of \"{}\" for job \"{}\"", request.definition, request.job);
    let fault = Fault::from_sdk(error, attempted);
    let words = fault.service_message().unwrap_or_default().to_owned();
    if fault.kind() == FaultKind::Throttled {
        return RunTaskResult::Throttled(fault.into());
    }
    if fault.kind() == FaultKind::Config && NO_CAPACITY.iter().any(|text| words.contains(text)) {
        return RunTaskResult::Report(refuse_all(request, "CAPACITY", words, true));
    }
    let lower = words.to_lowercase();
    if fault.kind() == FaultKind::Config
        && (lower.contains("taskdefinition") || lower.contains("task definition"))
    {
        let reason = if lower.contains("inactive") { "INACTIVE" } else { "MISSING" };
        let detail = format!("task definition \"{}\": {words}", request.definition);
        if lower.contains("inactive") || lower.contains("not found") || lower.contains("unable to describe") {
            return RunTaskResult::Inactive(refuse_all(request, reason, detail, false));
        }
    }
    RunTaskResult::Failed(fault.into())
}

fn refuse_all(request: &LaunchRequest, reason: &str, detail: String, retryable: bool) -> LaunchReport {
    let diagnosis = causes::diagnose(&format!("{reason} {detail}"));
    let refusal = Refusal::new(reason, retryable).with_detail(detail).with_diagnosis(diagnosis);
    LaunchReport::new(Vec::new(), vec![refusal; request.count.get() as usize])
}

/// Tells whether a reason in `failures[]` may pass by itself: capacity and agents come back, definitions and
/// attributes do not. An unknown reason is retried; the firing's maximum age bounds the retries.
fn is_retryable(reason: &str) -> bool {
    !PERMANENT_REASONS.iter().any(|lasting| reason.starts_with(lasting))
}
