//! A job: what a user defined. An invalid one cannot be constructed.

mod document;
mod earlier;
mod id;
mod schedule_view;
mod warnings;

pub use document::{
    FieldError, JobContext, MAX_DOCUMENT, MAX_OVERRIDES, Prepared, format_duration, messages, parse_duration,
    prepare_create, prepare_patch, prepare_update, strip_read_only,
};
pub use earlier::{EARLIER_SCHEDULES, replacement};
pub use id::{InvalidJobId, JobId, JobUid, Revision};
pub use schedule_view::{AgendaError, AgendaView};

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::firing::{Firing, FiringId};
use crate::policy::Policy;
use crate::registry::Told;
use crate::scaling::Scaling;
use crate::schedule::Schedule;
use crate::task::{TaskId, TaskSpec};
use crate::trigger::Trigger;
pub(crate) use earlier::Earlier;

/// A job as a store keeps it: the document's text, who it is, and what the engine noted about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredJob {
    /// The job's name.
    pub id: JobId,
    /// Its identity: a job that is deleted and created anew under the same name is another one.
    pub uid: JobUid,
    /// Counts the versions of the document from 1; every replacement adds one.
    pub revision: Revision,
    /// The document, without `id` and without read-only fields.
    pub document: Box<RawValue>,
    /// When this job was created.
    pub created: Timestamp,
    /// When this version was written. Ticks up to this moment are those of [earlier versions](EARLIER_SCHEDULES).
    pub changed: Timestamp,
    /// What the engine noted.
    pub progress: Progress,
}

/// What the engine noted about a job while it settled ticks. Written by the journal only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The newest nominal tick that has an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Timestamp>,
    /// The newest firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_firing: Option<FiringId>,
    /// When the newest firing was decided; what a cooldown counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Timestamp>,
    /// The nominal tick of the newest firing that started at least one task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Timestamp>,
    /// The tasks that it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_run_tasks: Vec<LastRunTask>,
}

impl Progress {
    /// Notes a firing that is being journalled.
    pub fn record_firing(&mut self, firing: &Firing) {
        self.last_firing = Some(firing.id.clone());
        self.last_fired = Some(firing.observed);
    }

    /// Notes the tasks of a firing, unless a firing with a later tick started some already.
    pub fn note_run(&mut self, firing: &Firing) {
        if firing.tasks.is_empty() || self.last_run.is_some_and(|last| last > firing.nominal) {
            return;
        }
        self.last_run = Some(firing.nominal);
        self.last_run_tasks = firing
            .tasks
            .iter()
            .map(|task| LastRunTask { task_id: task.task_id.clone(), host_id: task.host_id.clone() })
            .collect();
    }
}

/// One task of the last run, as the Python version's API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRunTask {
    /// The task's name.
    pub task_id: TaskId,
    /// Where it runs; absent on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
}

/// A job, checked and ready to be looked at. Made by [`Job::parse`] only.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What to start.
    pub task: Arc<TaskSpec>,
    /// When to look: the job's own schedule. A job without one has a trigger that brings its ticks.
    pub schedule: Option<Schedule>,
    /// The zone as the document names it; `UTC` when it names none.
    pub timezone: String,
    /// How many.
    pub scaling: Scaling,
    /// Whether and how many; without one the floor fires at each tick.
    pub trigger: Option<Arc<dyn Trigger>>,
    /// What to do about overlap, lateness and failure.
    pub policy: Policy,
    /// Not looked at, when there is one.
    pub suspension: Option<Suspension>,
    /// Versions whose ticks had no outcome yet when the next one was written, oldest first.
    pub(crate) earlier: Vec<Earlier>,
    ticks: Option<Schedule>,
    /// The remarks of its triggers when they were built.
    told: Told,
}

/// Why and for how long a job is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// Why, in the words of who suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Suspension {
    /// Tells whether it lasts at this moment.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Job {
    /// Returns the ticks of the job: its own schedule's, else those that its trigger brings; not before its
    /// `scheduleStart` and not after its `scheduleEnd`. Before them come those of earlier versions that had no outcome when
    /// this one was written.
    #[must_use]
    pub fn ticks(&self) -> Option<&Schedule> {
        self.ticks.as_ref()
    }
}
