//! The `body` column: the fields of a firing that no other column holds.

use std::borrow::Cow;
use std::sync::Arc;

use ecs_scheduler_core::{
    Attempt, DecisionId, Firing, FiringId, FiringRetry, FiringState, JobId, JobUid, Origin, Revision, TaskId,
    TaskSize, TaskSpec, TaskState, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The fields of a firing that have columns of their own.
#[derive(Debug)]
pub(super) struct FiringColumns {
    pub(super) id: FiringId,
    pub(super) job: JobId,
    pub(super) uid: JobUid,
    pub(super) decision: DecisionId,
    pub(super) state: FiringState,
}

/// A firing without the fields of [`FiringColumns`].
///
/// It is a quarter shorter than the whole firing: in a busy second every byte is written to the disk before a task
/// starts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FiringBody<'f> {
    revision: Revision,
    origin: Origin,
    nominal: Timestamp,
    observed: Timestamp,
    requested: u32,
    task: Cow<'f, Arc<TaskSpec>>,
    definition: Cow<'f, str>,
    deadline: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    replaces: Cow<'f, [TaskId]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_timeout_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    budgets: Cow<'f, [String]>,
    #[serde(default, skip_serializing_if = "TaskSize::is_unknown")]
    size: TaskSize,
    #[serde(default, skip_serializing_if = "is_no_retry")]
    retry: Cow<'f, FiringRetry>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    attempts: Cow<'f, [Attempt]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    tasks: Cow<'f, [TaskState]>,
    explanation: Cow<'f, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<Cow<'f, str>>,
}

fn is_no_retry(retry: &FiringRetry) -> bool {
    retry.is_none()
}

impl<'f> FiringBody<'f> {
    pub(super) fn from_firing(firing: &'f Firing) -> Self {
        let Firing {
            id: _,
            job: _,
            uid: _,
            decision: _,
            state: _,
            revision,
            origin,
            nominal,
            observed,
            requested,
            task,
            definition,
            deadline,
            replace,
            replaces,
            timeout_secs,
            start_timeout_secs,
            budgets,
            size,
            retry,
            attempts,
            tasks,
            explanation,
            note,
        } = firing;
        Self {
            revision: *revision,
            origin: *origin,
            nominal: *nominal,
            observed: *observed,
            requested: *requested,
            task: Cow::Borrowed(task),
            definition: Cow::Borrowed(definition),
            deadline: *deadline,
            replace: *replace,
            replaces: Cow::Borrowed(replaces),
            timeout_secs: *timeout_secs,
            start_timeout_secs: *start_timeout_secs,
            budgets: Cow::Borrowed(budgets),
            size: *size,
            retry: Cow::Borrowed(retry),
            attempts: Cow::Borrowed(attempts),
            tasks: Cow::Borrowed(tasks),
            explanation: Cow::Borrowed(explanation),
            note: note.as_deref().map(Cow::Borrowed),
        }
    }

    pub(super) fn into_firing(self, columns: FiringColumns) -> Firing {
        let FiringColumns { id, job, uid, decision, state } = columns;
        Firing {
            id,
            job,
            uid,
            decision,
            state,
            revision: self.revision,
            origin: self.origin,
            nominal: self.nominal,
            observed: self.observed,
            requested: self.requested,
            task: self.task.into_owned(),
            definition: self.definition.into_owned(),
            deadline: self.deadline,
            replace: self.replace,
            replaces: self.replaces.into_owned(),
            timeout_secs: self.timeout_secs,
            start_timeout_secs: self.start_timeout_secs,
            budgets: self.budgets.into_owned(),
            size: self.size,
            retry: self.retry.into_owned(),
            attempts: self.attempts.into_owned(),
            tasks: self.tasks.into_owned(),
            explanation: self.explanation.into_owned(),
            note: self.note.map(Cow::into_owned),
        }
    }
}
