//! Firings as clients see them. What a task was started with stays inside: it may hold secrets.

use ecs_scheduler_core::{Answer, Attempt, Firing, Origin, Refusal, TaskPhase, TaskState, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Firings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct FiringPage {
    pub(in crate::api) firings: Vec<FiringView>,
    /// A link to older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) next: Option<String>,
}

/// A decision to launch tasks, and what became of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct FiringView {
    id: String,
    /// The job's name.
    job: String,
    /// Who asked for it: `tick` or `hand`.
    origin: &'static str,
    /// The decision it belongs to.
    decision: u64,
    /// The tick on the schedule, or the moment at which it was fired by hand.
    #[schema(value_type = String, format = DateTime)]
    nominal: Timestamp,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    observed: Timestamp,
    /// How far it has come.
    #[schema(example = "launched")]
    state: &'static str,
    /// The exact task definition.
    definition: String,
    /// How many tasks were to be started.
    requested: u32,
    /// How many were.
    started: u32,
    /// The calls that were made.
    attempts: Vec<AttemptView>,
    /// The tasks that were started.
    tasks: Vec<TaskView>,
    /// The decision's steps in one line.
    explanation: String,
    /// Why it ended as it did, when it did not simply launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One call to the launcher.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    /// Which batch of the firing, from 0.
    batch: u32,
    /// Which attempt at this batch, from 1.
    number: u32,
    /// How many tasks it asked for.
    count: u32,
    /// When it was first sent.
    #[schema(value_type = String, format = DateTime)]
    sent_at: Timestamp,
    /// What came of it; absent until it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView>,
}

/// What came of a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct AnswerView {
    /// How many tasks it started.
    started: u32,
    /// Why others were not.
    refused: Vec<RefusalView>,
    /// Why the call failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// Why no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
}

/// Why a task was not started.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct RefusalView {
    /// The other side's reason.
    reason: String,
    /// More in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Whether the same may succeed later.
    retryable: bool,
}

/// One task.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TaskView {
    task_id: String,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
    /// `pending`, `running` or `stopped`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stopped_at: Option<Timestamp>,
}

impl From<Firing> for FiringView {
    fn from(firing: Firing) -> Self {
        Self {
            id: firing.id.to_string(),
            job: firing.job.to_string(),
            origin: match firing.origin {
                Origin::Tick => "tick",
                Origin::Hand => "hand",
            },
            decision: firing.decision.0,
            nominal: firing.nominal,
            observed: firing.observed,
            state: firing.state.as_str(),
            requested: firing.requested,
            started: firing.started(),
            definition: firing.definition,
            attempts: firing.attempts.into_iter().map(AttemptView::from).collect(),
            tasks: firing.tasks.into_iter().map(TaskView::from).collect(),
            explanation: firing.explanation,
            note: firing.note,
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
        let Refusal { reason, detail, retryable } = refusal;
        Self { reason, detail, retryable }
    }
}

impl From<TaskState> for TaskView {
    fn from(task: TaskState) -> Self {
        let TaskState { task_id, host_id, phase, exit_code, stop_code, reason, started_at, stopped_at } =
            task;
        let state = match phase {
            TaskPhase::Pending => "pending",
            TaskPhase::Running => "running",
            TaskPhase::Stopped => "stopped",
        };
        let task_id = task_id.to_string();
        Self { task_id, host_id, state, exit_code, stop_code, reason, started_at, stopped_at }
    }
}
