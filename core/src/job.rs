//! Jobs, the definitions that users write. An invalid job cannot be constructed.

mod document;
mod field_error;
mod schedule_view;
mod warnings;

pub use document::{
    DATETIME_FORMS, EARLIER_SCHEDULES, JobContext, MAX_DOCUMENT, MAX_OVERRIDES, NOT_A_DATETIME, Prepared,
    format_duration, impossible_labels, parse_duration, parse_notify, prepare_create, prepare_patch,
    prepare_update, replacement, strip_read_only,
};
pub use field_error::{FieldError, messages};
pub use schedule_view::{ScheduleView, ScheduleViewError};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::firing::{Firing, Origin};
use crate::id::{FiringId, TaskId};
pub use crate::id::{InvalidJobId, JobId, JobUid, Revision};
use crate::policy::Policy;
use crate::registry::BuildRemarks;
use crate::scaling::Scaling;
use crate::schedule::Schedule;
use crate::task::TaskSpec;
use crate::trigger::Trigger;
pub(crate) use document::{Earlier, correction};

/// A stored job: the document's text, the job's identity, and the engine's progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredJob {
    /// The job's name.
    pub id: JobId,
    /// Its identity: a job that is deleted and recreated under the same name has another one.
    pub uid: JobUid,
    /// Counts the versions of the document from 1; every replacement adds one.
    pub revision: Revision,
    /// The document, without `id` and without read-only fields.
    pub document: Box<RawValue>,
    /// When this job was created.
    pub created: Timestamp,
    /// When this version was written. Ticks up to this moment are those of [earlier versions](EARLIER_SCHEDULES), and so are ticks that
    /// were settled while the edit was on its way to the store.
    pub changed: Timestamp,
    /// The engine's progress.
    pub progress: Progress,
}

/// The engine's progress with a job. Written by the journal only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The newest nominal tick that has an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Timestamp>,
    /// The newest firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_firing: Option<FiringId>,
    /// When the newest firing was decided; the cooldown starts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Timestamp>,
    /// The nominal tick of the newest firing that started at least one task; of one by hand, the moment of its decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Timestamp>,
    /// The tasks that it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_run_tasks: Vec<LastRunTask>,
}

impl Progress {
    /// Records the tasks of a firing, unless a firing of a later tick has started tasks already. Those of a backfill are no run of the
    /// schedule. A firing by hand runs at the moment at which it was decided, also if its tasks work for a past one.
    pub fn record_run(&mut self, firing: &Firing) {
        let at = if firing.origin == Origin::Manual { firing.observed } else { firing.nominal };
        if firing.tasks.is_empty() || firing.is_of_backfill() || self.last_run.is_some_and(|last| last > at) {
            return;
        }
        self.last_run = Some(at);
        self.last_run_tasks = firing
            .tasks
            .iter()
            .map(|task| LastRunTask { task_id: task.task_id.clone(), host_id: task.host_id.clone() })
            .collect();
    }
}

/// One task of the last run, in the form of the Python version's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRunTask {
    /// The task's name.
    pub task_id: TaskId,
    /// The host of the task; absent on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
}

/// A validated job, ready for evaluation. Made by [`Job::parse`] only.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The task to start.
    pub task: Arc<TaskSpec>,
    /// The job's own schedule. A job without one has a trigger that provides a schedule.
    pub schedule: Option<Schedule>,
    /// The time zone's name in the document; `UTC` when it has none.
    pub timezone: String,
    /// The bounds on the number of tasks.
    pub scaling: Scaling,
    /// The condition; without one each tick fires the floor.
    pub trigger: Option<Arc<dyn Trigger>>,
    /// The policy for overlap, lateness and failure.
    pub policy: Policy,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Set when the job is suspended.
    pub suspension: Option<Suspension>,
    /// Versions whose ticks had no outcome yet when the next one was written, oldest first.
    pub(crate) earlier: Vec<Earlier>,
    ticks: Option<Schedule>,
    /// The ticks of this version, at any time.
    own_ticks: Option<Schedule>,
    /// The remarks that its triggers made while they were built.
    remarks: BuildRemarks,
}

/// The suspension of a job: its reason and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// The reason, as given in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The user who suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When the suspension ends automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "suspended: {reason}"),
            None => f.write_str("suspended"),
        }
    }
}

impl Suspension {
    /// Tells whether the suspension is in force at this moment.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Job {
    /// Returns the job's ticks: those of its own schedule, or else of the schedule that its trigger provides, within
    /// `scheduleStart` and `scheduleEnd`. Ticks of earlier versions that had no outcome when this version was written come
    /// first.
    #[must_use]
    pub fn ticks(&self) -> Option<&Schedule> {
        self.ticks.as_ref()
    }

    /// Returns the ticks of this version of the job, also those from before it was written.
    #[must_use]
    pub fn own_ticks(&self) -> Option<&Schedule> {
        self.own_ticks.as_ref()
    }
}
