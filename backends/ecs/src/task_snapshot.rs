//! A snapshot of a task as ECS shows it. Responses and events use the same form.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::Task;
use ecs_scheduler_core::Timestamp;
use serde::Deserialize;

/// The fields of a task that the launcher reads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskSnapshot {
    pub(crate) task_arn: String,
    pub(crate) task_definition_arn: String,
    pub(crate) container_instance_arn: Option<String>,
    pub(crate) started_by: Option<String>,
    /// Version of the task: the snapshot with the higher number is newer. Zero if ECS does not give it.
    pub(crate) version: i64,
    pub(crate) last_status: String,
    pub(crate) stop_code: Option<String>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) capacity_provider_name: Option<String>,
    pub(crate) availability_zone: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) pull_started_at: Option<Timestamp>,
    pub(crate) pull_stopped_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) stopping_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) containers: Vec<ContainerSnapshot>,
}

/// The fields of a container that the launcher reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerSnapshot {
    pub(crate) name: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
}

/// The statuses of a task in the order of its life.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
const STATUS_ORDER: [&str; 9] = [
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

/// The progress of a task in its life, as one snapshot shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskProgress {
    version: i64,
    state: Option<usize>,
}

impl TaskProgress {
    /// Tells whether this snapshot replaces an earlier one: by the version if both have it, else by the status, which
    /// never goes back. Emulators give no version.
    pub(crate) fn supersedes(self, earlier: Self) -> bool {
        if self.version > 0 && earlier.version > 0 {
            return self.version > earlier.version;
        }
        self.state >= earlier.state
    }
}

impl TaskSnapshot {
    pub(crate) fn progress(&self) -> TaskProgress {
        let state = STATUS_ORDER.iter().position(|state| *state == self.last_status);
        TaskProgress { version: self.version, state }
    }
}

impl From<&Task> for TaskSnapshot {
    fn from(task: &Task) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let containers = task.containers().iter().map(|container| ContainerSnapshot {
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
            capacity_provider_name: task.capacity_provider_name().map(str::to_owned),
            availability_zone: task.availability_zone().map(str::to_owned),
            created_at: task.created_at().and_then(to_timestamp),
            pull_started_at: task.pull_started_at().and_then(to_timestamp),
            pull_stopped_at: task.pull_stopped_at().and_then(to_timestamp),
            started_at: task.started_at().and_then(to_timestamp),
            stopping_at: task.stopping_at().and_then(to_timestamp),
            stopped_at: task.stopped_at().and_then(to_timestamp),
            containers: containers.collect(),
        }
    }
}

/// Converts the SDK's time. A time outside the calendar is absent.
fn to_timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.as_nanos()).ok()
}
