//! What to start, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job starts: a task definition and what is changed in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// The task definition as the job names it: a family, `family:revision` or an ARN.
    pub definition: String,
    /// Changes per container, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// The job's `launch` object: options that only the launcher understands.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, Value>,
    /// The container whose exit code alone says whether a task succeeded; absent where the launcher's rule decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds_by: Option<String>,
}

/// What a job changes in one container of its task definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The container's name in the task definition.
    pub container_name: String,
    /// Environment variables, added to those of the definition or replacing them by name.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The command in place of the definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Whatever else of an ECS container override the job names: `cpu`, `memory`, `memoryReservation`,
    /// `environmentFiles`, `resourceRequirements`.
    #[serde(default, flatten)]
    pub resources: serde_json::Map<String, Value>,
}

/// Names one task for its launcher: an ARN on ECS, the local launcher's own ARN-like name otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// Wraps a launcher's name for a task.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Returns the name as the launcher gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskPhase {
    /// Accepted and not yet running.
    Pending,
    /// At least one container runs.
    Running,
    /// Ended; nothing changes any more.
    Stopped,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskEnd {
    /// It ended by itself, with exit code 0.
    Succeeded,
    /// It ended otherwise, or its exit code is missing.
    Failed,
    /// Somebody stopped it: neither a success nor a failure of its work, whatever its exit code is.
    Stopped,
}

impl TaskEnd {
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

/// How one container of a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerEnd {
    /// Its name in the task definition.
    pub name: String,
    /// Its exit code; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// Stop codes of tasks that somebody stopped.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html>: `stopCode`.
const STOPPED_BY_REQUEST: [&str; 2] = ["UserInitiated", "ServiceSchedulerInitiated"];

/// What a launcher knows of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskState {
    /// Which task.
    pub task_id: TaskId,
    /// Where it runs: a container instance on ECS, absent on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// How far it has come.
    pub phase: TaskPhase,
    /// The first failing exit code among the containers that count, else that of the essential container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How its containers ended, where their exit codes decide how the task ended: empty for a task that lives, that
    /// failed to start, or whose machine was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerEnd>,
    /// Why the platform stopped it: ECS's `stopCode`, for example `EssentialContainerExited`. `UserInitiated` says that
    /// [`Launcher::stop`](crate::Launcher::stop) was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the launcher's answer named it. The engine notes this; a launcher leaves it absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// When its first container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
}

impl TaskState {
    /// A task that was just accepted and of which nothing else is known.
    #[must_use]
    pub fn pending(task_id: TaskId, host_id: Option<String>) -> Self {
        Self {
            task_id,
            host_id,
            phase: TaskPhase::Pending,
            exit_code: None,
            containers: Vec::new(),
            stop_code: None,
            reason: None,
            accepted_at: None,
            started_at: None,
            stopped_at: None,
        }
    }

    /// Says how the task ended; nothing while it lives.
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

    /// Tells whether the task ended by itself with exit code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end() == Some(TaskEnd::Succeeded)
    }

    /// Takes the exit code of this container for that of the task, where the exit codes of containers decide. A container
    /// that the task did not have has no exit code.
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

/// Tasks of one job that are pending or running, as the launcher sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Population {
    /// The tasks, in no particular order.
    pub tasks: Vec<TaskId>,
    /// The exact task definition that a launch would start now, when the launcher resolves one
    /// (on ECS the newest active revision of a family). It is journalled with the firing, so that a repeated
    /// call sends the same bytes.
    pub definition: Option<String>,
}
