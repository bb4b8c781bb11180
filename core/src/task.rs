//! Tasks: their definitions with overrides, their states and ends.

mod size;

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnosis::Diagnosis;
pub use crate::id::TaskId;
pub use size::{ComputePrice, TaskSize};

/// The task of a job: a task definition with overrides and launch options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskSpec {
    /// The task definition in the job's document: a family, `family:revision` or an ARN.
    pub definition: String,
    /// Overrides per container, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// The job's `launch` object: options that only the launcher understands.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, Value>,
    /// The container whose exit code alone decides whether a task succeeded; absent when the launcher's rule decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds_by: Option<String>,
}

impl TaskSpec {
    /// Makes a task of this definition, without overrides and options.
    #[must_use]
    pub fn new(definition: impl Into<String>) -> Self {
        Self {
            definition: definition.into(),
            overrides: Vec::new(),
            options: serde_json::Map::new(),
            succeeds_by: None,
        }
    }
}

/// The overrides for one container of a task definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Override {
    /// The container's name in the task definition.
    pub container_name: String,
    /// Environment variables, which are added to those of the definition and replace equal names.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The command, which replaces the definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// All other fields of an ECS container override: `cpu`, `memory`, `memoryReservation`, `environmentFiles`,
    /// `resourceRequirements`.
    #[serde(default, flatten)]
    pub resources: serde_json::Map<String, Value>,
}

impl Override {
    /// Makes an override that changes nothing of this container.
    #[must_use]
    pub fn new(container_name: impl Into<String>) -> Self {
        Self { container_name: container_name.into(), ..Self::default() }
    }
}

/// The phase of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskPhase {
    /// Accepted and not yet running.
    Pending,
    /// At least one container runs.
    Running,
    /// Ended; the state no longer changes.
    Stopped,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskEnd {
    /// It exited with code 0.
    Succeeded,
    /// It exited with another code, or without one.
    Failed,
    /// It was stopped on request: neither a success nor a failure, whatever its exit code.
    Stopped,
}

impl TaskEnd {
    /// Every end.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Stopped];

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl FromStr for TaskEnd {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|end| end.as_str() == name).ok_or_else(|| {
            format!("unknown outcome \"{name}\"; one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// How one container of a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ContainerEnd {
    /// Its name in the task definition.
    pub name: String,
    /// Its exit code; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl ContainerEnd {
    /// Makes the end of a container; without an exit code when it has none.
    #[must_use]
    pub fn new(name: impl Into<String>, exit_code: Option<i32>) -> Self {
        Self { name: name.into(), exit_code }
    }
}

/// Stop codes of tasks that were stopped on request.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html>: `stopCode`.
const STOPPED_BY_REQUEST: [&str; 2] = ["UserInitiated", "ServiceSchedulerInitiated"];

/// The state of one task, as its launcher reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskState {
    /// The task's id.
    pub task_id: TaskId,
    /// The host of the task: a container instance on ECS, absent on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// The capacity provider that it runs on, for example `FARGATE_SPOT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<String>,
    /// The availability zone that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// Its phase.
    pub phase: TaskPhase,
    /// The first failing exit code among the containers that count, else that of the essential container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How its containers ended, if their exit codes decide how the task ended. Empty for a task that runs, that failed
    /// to start, or whose machine was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerEnd>,
    /// The reason of the stop by the platform: ECS's `stopCode`, for example `EssentialContainerExited`.
    /// `UserInitiated` says that [`Launcher::stop`](crate::Launcher::stop) was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// The platform's reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The known cause of a failure, if the launcher knows it from the platform's reason. The engine adds that of an exit code
    /// or of a time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// When the launcher's answer named it. Set by the engine; launchers leave it absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When the platform created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the pull of its images began; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_started_at: Option<Timestamp>,
    /// When the pull of its images ended; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_stopped_at: Option<Timestamp>,
    /// When its first container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it began to stop; absent until it has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
}

impl TaskState {
    /// Makes the state of a task that was just accepted.
    #[must_use]
    pub fn pending(task_id: TaskId, host_id: Option<String>) -> Self {
        Self::new(task_id, host_id, TaskPhase::Pending)
    }

    /// Makes the state of a task in this phase, of which nothing else is known.
    #[must_use]
    pub fn new(task_id: TaskId, host_id: Option<String>, phase: TaskPhase) -> Self {
        Self {
            task_id,
            host_id,
            capacity_provider: None,
            availability_zone: None,
            phase,
            exit_code: None,
            containers: Vec::new(),
            stop_code: None,
            reason: None,
            diagnosis: None,
            accepted_at: None,
            created_at: None,
            pull_started_at: None,
            pull_stopped_at: None,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
        }
    }

    /// Returns how the task ended; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<TaskEnd> {
        if self.phase != TaskPhase::Stopped {
            return None;
        }
        let by_request = self.stop_code.as_deref().is_some_and(|code| STOPPED_BY_REQUEST.contains(&code));
        Some(match self.exit_code {
            _ if by_request => TaskEnd::Stopped,
            Some(0) => TaskEnd::Succeeded,
            Some(_) | None => TaskEnd::Failed,
        })
    }

    /// Returns the cause of a failure: the launcher's diagnosis, or else the one of the exit code.
    #[must_use]
    pub(crate) fn cause(&self) -> Diagnosis {
        let from_exit = || Diagnosis::from_exit(self.exit_code, self.started_at.is_some());
        self.diagnosis.clone().unwrap_or_else(from_exit)
    }

    /// Returns the cause of a failure for people. If nothing else is known of a failed start, the platform's reason is part of its text.
    #[must_use]
    pub(crate) fn explained_cause(&self) -> Diagnosis {
        let cause = self.cause();
        let is_start = self.exit_code.is_none() && self.started_at.is_none();
        match &self.reason {
            Some(reason) if is_start && self.diagnosis.is_none() => {
                let text = format!("{}: {reason}", cause.text);
                cause.with_text(text).with_remedy("correct what the reason names")
            }
            _ => cause,
        }
    }

    /// Tells whether it is unknown how the task ended: it may have succeeded.
    #[must_use]
    pub(crate) fn has_unknown_end(&self) -> bool {
        self.diagnosis.as_ref().is_some_and(|cause| cause.code == Diagnosis::TASK_LOST.code)
    }

    /// Tells whether the task exited with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end() == Some(TaskEnd::Succeeded)
    }

    /// Takes this container's exit code as the task's, if exit codes of containers decide. A container that the task
    /// did not have counts as one without an exit code.
    #[must_use]
    pub(crate) fn with_deciding_container(mut self, container: Option<&str>) -> Self {
        if let Some(name) = container.filter(|_| !self.containers.is_empty()) {
            let named = self.containers.iter().find(|end| end.name == name);
            self.exit_code = named.and_then(|end| end.exit_code);
            if named.is_none() {
                let why = format!("succeedsBy names container \"{name}\", which the task did not have");
                self.reason = Some(self.reason.map_or(why.clone(), |reason| format!("{reason}; {why}")));
            }
        }
        // The exit code of a single container is that of the task.
        self.containers = if self.containers.len() > 1 { self.containers } else { Vec::new() };
        self
    }
}

/// The pending and running tasks of one job, as the launcher reports them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Population {
    /// The tasks, in no particular order.
    pub tasks: Vec<TaskId>,
    /// The exact task definition that a launch would start now, when the launcher resolves one (on ECS the newest
    /// active revision of a family). It is journalled with the firing, so that a retry sends the same request.
    pub definition: Option<String>,
    /// Whether the launcher made no call for this, as when it answers from a cache. Such an answer does not show that the
    /// platform can be reached.
    pub cached: bool,
}

impl Population {
    /// Makes the population of a job, with the exact task definition that a launch would start, where one is resolved.
    #[must_use]
    pub fn new(tasks: Vec<TaskId>, definition: Option<String>) -> Self {
        Self { tasks, definition, cached: false }
    }

    /// Marks an answer for which no call was made.
    #[must_use]
    pub fn from_cache(self) -> Self {
        Self { cached: true, ..self }
    }
}
