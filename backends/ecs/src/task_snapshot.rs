//! A task as ECS shows it, in an answer or in an event: one form for both.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::Task;
use ecs_scheduler_core::Timestamp;
use serde::Deserialize;

/// What is read of a task.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskView {
    pub(crate) task_arn: String,
    pub(crate) task_definition_arn: String,
    pub(crate) container_instance_arn: Option<String>,
    pub(crate) started_by: Option<String>,
    /// Counts the changes of the task: of two views the one with the higher number is newer. Zero when it is not told.
    pub(crate) version: i64,
    pub(crate) last_status: String,
    pub(crate) stop_code: Option<String>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) containers: Vec<ContainerView>,
}

/// What is read of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerView {
    pub(crate) name: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
}

/// The states of a task in the order in which it has them.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
const STATES: [&str; 9] = [
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
    "DELETED",
];

/// How far a task has come, as one view shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    version: i64,
    state: Option<usize>,
}

impl Progress {
    /// Tells whether what it belongs to takes the place of an earlier view: by the version where both tell it, else by the
    /// state, which tasks never go back to. Emulators do not tell the version.
    pub(crate) fn follows(self, earlier: Self) -> bool {
        if self.version > 0 && earlier.version > 0 {
            return self.version > earlier.version;
        }
        self.state >= earlier.state
    }
}

impl TaskView {
    pub(crate) fn progress(&self) -> Progress {
        let state = STATES.iter().position(|state| *state == self.last_status);
        Progress { version: self.version, state }
    }
}

impl From<&Task> for TaskView {
    fn from(task: &Task) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let containers = task.containers().iter().map(|container| ContainerView {
            name: text(container.name()),
            exit_code: container.exit_code(),
            reason: container.reason().map(str::to_owned),
        });
        Self {
            task_arn: text(task.task_arn()),
            task_definition_arn: text(task.task_definition_arn()),
            container_instance_arn: task.container_instance_arn().map(str::to_owned),
            started_by: task.started_by().map(str::to_owned),
            version: task.version(),
            last_status: text(task.last_status()),
            stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
            stopped_reason: task.stopped_reason().map(str::to_owned),
            created_at: task.created_at().and_then(moment),
            started_at: task.started_at().and_then(moment),
            stopped_at: task.stopped_at().and_then(moment),
            containers: containers.collect(),
        }
    }
}

/// Reads the SDK's time; what is no moment of the calendar is absent.
fn moment(at: &DateTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.as_nanos()).ok()
}
