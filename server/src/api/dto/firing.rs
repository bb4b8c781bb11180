//! Firings as clients see them. The parameters of a task are omitted: they may contain secrets.

use std::borrow::Cow;

use ecs_scheduler_core::{
    Answer, Attempt, ContainerEnd, Diagnosis, Firing, FiringId, FiringRetry, FiringState, Origin, Refusal,
    TaskEnd, TaskPhase, TaskState, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::enums::{FiringStateName, OriginName, TaskOutcomeName};

/// Firings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct FiringPage {
    pub(in crate::api) firings: Vec<FiringView>,
    /// A link to older entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next: Option<String>,
}

/// A decision to launch tasks, and the state of the tasks.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct FiringView {
    id: String,
    /// The job's name.
    job: String,
    /// The origin.
    #[schema(value_type = OriginName)]
    origin: Origin,
    /// The decision of this firing.
    decision: u64,
    /// The tick on the schedule, or the time of a manual firing.
    #[schema(value_type = String, format = DateTime)]
    nominal: Timestamp,
    /// The time of the decision.
    #[schema(value_type = String, format = DateTime)]
    observed: Timestamp,
    /// The state.
    #[schema(value_type = FiringStateName)]
    state: FiringState,
    /// The end of its tasks together: `failed` if one failed, else `stopped` if one was stopped, else `succeeded`. Absent while
    /// one may still run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskOutcomeName>)]
    outcome: Option<&'static str>,
    /// The exact task definition.
    definition: String,
    /// Number of requested tasks.
    requested: u32,
    /// Number of started tasks.
    started: u32,
    /// The calls that were made.
    attempts: Vec<AttemptView>,
    /// The tasks that were started.
    tasks: Vec<TaskView>,
    /// The decision's steps in one line.
    explanation: String,
    /// The reason, if the firing did not start all tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The retry of its failed tasks, if the job has `retry.task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<FiringRetryView>,
}

/// The retry of a firing's failed tasks, and the firing whose tasks it retries itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FiringRetryView {
    /// The firing whose failed tasks it starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// Its number among the retries of one tick, from 1; 0 for a firing that is none.
    number: u32,
    /// The time at which its failed tasks start again. The firing is `launched` until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The firing that starts its failed tasks again.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// The reason why its failed tasks do not start again.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl FiringRetryView {
    fn from_retry(retry: FiringRetry) -> Option<Self> {
        let is_none = retry.is_none();
        let FiringRetry { of, number, at, by, note, .. } = retry;
        let text = |id: FiringId| id.to_string();
        (!is_none).then(|| Self { of: of.map(text), number, at, by: by.map(text), note })
    }
}

/// One call to the launcher.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    /// The number of the batch in the firing, from 0.
    batch: u32,
    /// The number of the attempt in its batch, from 1.
    number: u32,
    /// Number of requested tasks.
    count: u32,
    /// The time at which it was first sent.
    #[schema(value_type = String, format = DateTime)]
    sent_at: Timestamp,
    /// The result; absent until it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView>,
}

/// The result of a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct AnswerView {
    /// Number of started tasks.
    started: u32,
    /// The reasons for tasks that were not started.
    refused: Vec<RefusalView>,
    /// The reason why the call failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// The reason why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
}

/// The reason why a task was not started.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct RefusalView {
    /// The launcher's reason.
    reason: String,
    /// More details.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// True if a retry may succeed.
    retryable: bool,
    /// The known cause, and its remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<DiagnosisView>,
}

/// The known cause of a failure, and its remedy.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct DiagnosisView {
    /// The name of the cause, for programs: `outOfMemory`.
    code: Cow<'static, str>,
    /// The cause in words.
    text: Cow<'static, str>,
    /// The remedy in words.
    remedy: Cow<'static, str>,
    /// A page about the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'static, str>>,
}

/// One task.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TaskView {
    task_id: String,
    /// The host of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
    /// The capacity provider that it runs on: `FARGATE_SPOT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_provider: Option<String>,
    /// The availability zone that it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone: Option<String>,
    /// `pending`, `running` or `stopped`.
    state: &'static str,
    /// The end of the task: `succeeded`, `failed`, or `stopped` by the scheduler or an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskOutcomeName>)]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// The ends of its containers, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<ContainerEndView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_code: Option<String>,
    /// The platform's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The reason why it failed or exceeded a time limit, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<DiagnosisView>,
    /// The time at which the launcher accepted the task; `startTimeout` counts from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    accepted_at: Option<Timestamp>,
    /// The time at which the platform created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// Start of the pull of its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pull_started_at: Option<Timestamp>,
    /// End of the pull of its images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pull_stopped_at: Option<Timestamp>,
    /// Start time of its first container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// Start of the stop; known once it has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stopping_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stopped_at: Option<Timestamp>,
}

/// The end of one container of a task.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ContainerEndView {
    /// Its name in the task definition.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

impl From<Firing> for FiringView {
    fn from(firing: Firing) -> Self {
        let note = firing.reason();
        Self {
            id: firing.id.to_string(),
            job: firing.job.to_string(),
            origin: firing.origin,
            decision: firing.decision.0,
            nominal: firing.nominal,
            observed: firing.observed,
            state: firing.state,
            outcome: firing.end().map(TaskEnd::as_str),
            requested: firing.requested,
            started: firing.started(),
            definition: firing.definition,
            attempts: firing.attempts.into_iter().map(AttemptView::from).collect(),
            tasks: firing.tasks.into_iter().map(TaskView::from).collect(),
            explanation: firing.explanation,
            note,
            retry: FiringRetryView::from_retry(firing.retry),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let Attempt { batch, number, count, sent_at, answer, token: _ } = attempt;
        Self { batch, number, count, sent_at, answer: answer.map(AnswerView::from) }
    }
}

impl From<Answer> for AnswerView {
    fn from(answer: Answer) -> Self {
        let none = Self { started: 0, refused: Vec::new(), failed: None, lost: None };
        match answer {
            Answer::Report(report) => Self {
                started: u32::try_from(report.started.len()).unwrap_or(u32::MAX),
                refused: report.refused.into_iter().map(RefusalView::from).collect(),
                ..none
            },
            Answer::Failed(why) => Self { failed: Some(why), ..none },
            Answer::Lost(why) => Self { lost: Some(why), ..none },
        }
    }
}

impl From<Refusal> for RefusalView {
    fn from(refusal: Refusal) -> Self {
        let Refusal { reason, detail, retryable, diagnosis, .. } = refusal;
        Self { reason, detail, retryable, diagnosis: diagnosis.map(|known| DiagnosisView::from(*known)) }
    }
}

impl From<Diagnosis> for DiagnosisView {
    fn from(diagnosis: Diagnosis) -> Self {
        let Diagnosis { code, text, remedy, link, .. } = diagnosis;
        Self { code, text, remedy, link }
    }
}

impl From<TaskState> for TaskView {
    fn from(task: TaskState) -> Self {
        let state = match task.phase {
            TaskPhase::Pending => "pending",
            TaskPhase::Running => "running",
            TaskPhase::Stopped => "stopped",
        };
        Self {
            task_id: task.task_id.to_string(),
            state,
            outcome: task.end().map(TaskEnd::as_str),
            host_id: task.host_id,
            capacity_provider: task.capacity_provider,
            availability_zone: task.availability_zone,
            exit_code: task.exit_code,
            containers: task.containers.into_iter().map(ContainerEndView::from).collect(),
            stop_code: task.stop_code,
            reason: task.reason,
            diagnosis: task.diagnosis.map(DiagnosisView::from),
            accepted_at: task.accepted_at,
            created_at: task.created_at,
            pull_started_at: task.pull_started_at,
            pull_stopped_at: task.pull_stopped_at,
            started_at: task.started_at,
            stopping_at: task.stopping_at,
            stopped_at: task.stopped_at,
        }
    }
}

impl From<ContainerEnd> for ContainerEndView {
    fn from(end: ContainerEnd) -> Self {
        let ContainerEnd { name, exit_code, .. } = end;
        Self { name, exit_code }
    }
}
