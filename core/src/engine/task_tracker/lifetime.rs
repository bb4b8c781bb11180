//! The lifetime of a task, as the queue rule needs it.

use jiff::Timestamp;

use crate::task::TaskState;

/// When a task was launched, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskLifetime {
    pub(super) launched: Timestamp,
    pub(super) exit: Option<TaskExit>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskExit {
    pub(super) at: Timestamp,
    pub(super) succeeded: bool,
    /// The task ran at all, and so may have taken messages.
    pub(super) ran: bool,
}

impl TaskExit {
    /// Returns the exit of a stopped task. Its moment is the launcher's, but not before the launch and not after it was
    /// observed.
    pub(super) fn new(task: &TaskState, launched: Timestamp, observed: Timestamp) -> Self {
        let at = task.stopped_at.unwrap_or(observed).min(observed).max(launched.min(observed));
        Self { at, succeeded: task.succeeded(), ran: task.started_at.is_some() }
    }
}
