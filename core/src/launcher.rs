//! The launcher trait: starts tasks, the only side effect on the outside world.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config_error::ConfigError;
use crate::diagnosis::Diagnosis;
use crate::failure_methods;
use crate::fault::{Failure, FaultKind};
pub use crate::id::LaunchToken;
use crate::id::{FiringId, JobId, TaskId};
use crate::permission::Permission;
use crate::task::{Population, TaskSize, TaskSpec, TaskState};

mod logs;

#[cfg(test)]
pub(crate) mod tests;

pub use logs::{LogCursor, LogLine, LogPage, LogRequest, LogStart, MAX_LOG_BYTES, MAX_LOG_LINES, TaskLogs};

/// A call that starts tasks. The engine makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LaunchRequest {
    /// The job.
    pub job: JobId,
    /// The firing.
    pub firing: FiringId,
    /// The idempotency token: the same token never starts a task twice.
    pub token: LaunchToken,
    /// The number of the attempt at its batch, from 1: refused tasks are requested again under the next number.
    pub attempt: u32,
    /// The starter, for the launcher's own listings: `<ECSS_NAME>/<job id>`.
    pub started_by: String,
    /// The exact task definition from [`Population::definition`], or else the job's.
    pub definition: String,
    /// How many tasks; at most [`LaunchLimits::per_call`].
    pub count: NonZeroU32,
    /// The task to start.
    pub task: Arc<TaskSpec>,
    /// The tick's nominal moment, passed to the task.
    pub scheduled_at: Timestamp,
}

impl LaunchRequest {
    /// Makes the first attempt at starting tasks of a job's own task definition.
    #[must_use]
    pub fn new(
        job: JobId,
        firing: FiringId,
        token: LaunchToken,
        task: Arc<TaskSpec>,
        count: NonZeroU32,
        scheduled_at: Timestamp,
    ) -> Self {
        let (started_by, definition) = (job.to_string(), task.definition.clone());
        Self { job, firing, token, attempt: 1, started_by, definition, count, task, scheduled_at }
    }
}

/// A task that a launch started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StartedTask {
    /// Its name.
    pub task_id: TaskId,
    /// The host of the task, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
}

impl StartedTask {
    /// Makes a started task; `host_id` says where it runs, if that is known.
    #[must_use]
    pub fn new(task_id: TaskId, host_id: Option<String>) -> Self {
        Self { task_id, host_id }
    }
}

/// A requested task that a launch did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Refusal {
    /// The platform's reason, for example `RESOURCE:MEMORY`.
    pub reason: String,
    /// Details in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The known cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Box<Diagnosis>>,
}

impl Refusal {
    /// Makes a refusal; `retryable` tells whether the same request may succeed later.
    #[must_use]
    pub fn new(reason: impl Into<String>, retryable: bool) -> Self {
        Self { reason: reason.into(), detail: None, retryable, diagnosis: None }
    }

    /// Adds details in words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the known cause, if there is one.
    #[must_use]
    pub fn with_diagnosis(mut self, diagnosis: Option<Diagnosis>) -> Self {
        self.diagnosis = diagnosis.map(Box::new);
        self
    }
}

/// Writes the reason, followed by the details and the known cause if there are any.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))?;
        self.diagnosis.as_ref().map_or(Ok(()), |diagnosis| write!(f, "; {diagnosis}"))
    }
}

/// The result of a launch call. A partial success is a report, not an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LaunchReport {
    /// The started tasks.
    pub started: Vec<StartedTask>,
    /// The refused tasks.
    pub refused: Vec<Refusal>,
}

impl LaunchReport {
    /// Makes the report of a call that started some tasks and refused others.
    #[must_use]
    pub fn new(started: Vec<StartedTask>, refused: Vec<Refusal>) -> Self {
        Self { started, refused }
    }

    /// Tells whether tasks were refused, and no retry can start any of them.
    #[must_use]
    pub fn is_refused_for_good(&self) -> bool {
        !self.refused.is_empty() && self.refused.iter().all(|refusal| !refusal.retryable)
    }
}

/// The states of tasks, as far as they could be read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ObservedTasks {
    /// The states that were read. A task without a state that is not unread is unknown to the launcher.
    pub states: Vec<TaskState>,
    /// The tasks whose states could not be read now.
    pub unread: Vec<UnreadTasks>,
    /// The tasks whose states are from before this call, as those of a cache are. Such a task may have started since, and is not
    /// stopped for its `startTimeout`.
    pub cached: Vec<TaskId>,
}

impl From<Vec<TaskState>> for ObservedTasks {
    fn from(states: Vec<TaskState>) -> Self {
        Self { states, ..Self::default() }
    }
}

impl FromIterator<TaskState> for ObservedTasks {
    fn from_iter<I: IntoIterator<Item = TaskState>>(states: I) -> Self {
        Vec::from_iter(states).into()
    }
}

impl ObservedTasks {
    /// Adds tasks whose states could not be read.
    pub fn push_unread(&mut self, tasks: Vec<TaskId>, error: LaunchError) {
        self.unread.push(UnreadTasks { tasks, error });
    }

    /// Adds a state from before this call.
    pub fn push_cached(&mut self, state: TaskState) {
        self.cached.push(state.task_id.clone());
        self.states.push(state);
    }
}

/// Tasks whose states could not be read for one reason.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnreadTasks {
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// Why their states could not be read.
    pub error: LaunchError,
}

/// The fate of a call whose answer was lost and whose token the launcher may have forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostCall {
    /// The call started exactly these tasks.
    Found(Vec<StartedTask>),
    /// The call certainly started nothing.
    Nothing,
    /// It cannot be determined; holds the reason.
    Unknown(String),
}

/// The result of one check of `ecs-scheduler doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CheckResult {
    /// The check and its object: `permission ecs:StopTask on cluster "main"`.
    pub what: String,
    /// The problem and its remedy; absent when the check passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl CheckResult {
    /// Makes the result of a check that passed.
    #[must_use]
    pub fn passed(what: impl Into<String>) -> Self {
        Self { what: what.into(), problem: None }
    }

    /// Makes the result of a check that failed, with the problem and its remedy.
    #[must_use]
    pub fn failed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: Some(problem.into()) }
    }
}

/// A problem, found before the launch, that would prevent a job's tasks from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// A JSON pointer to the affected field of the job: `/launch/network`.
    pub pointer: String,
    /// The problem and its remedy.
    pub message: String,
}

impl Finding {
    /// Makes a finding about a field.
    #[must_use]
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// The error of a call to a launcher that failed as a whole.
#[derive(Debug, Clone)]
pub struct LaunchError {
    failure: Failure,
    outcome_unknown: bool,
}

failure_methods!(LaunchError);

impl LaunchError {
    /// Makes an error of a call that certainly had no effect.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Failure::new(kind, message).into()
    }

    /// Makes an error of a call whose outcome is unknown: it may have had its effect.
    #[must_use]
    pub fn unanswered(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unavailable, message).with_unknown_outcome()
    }

    /// Marks the outcome of the call as unknown: it may have had its effect.
    #[must_use]
    pub fn with_unknown_outcome(mut self) -> Self {
        self.outcome_unknown = true;
        self
    }

    /// Tells whether the call may have started tasks although it failed. It may be retried with the same token only.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        self.outcome_unknown
    }
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> Self {
        Self { failure, outcome_unknown: false }
    }
}

/// The limits of a launcher, and how often to poll it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchLimits {
    /// The maximum number of tasks that one [`Launcher::launch`] call starts.
    pub per_call: NonZeroU32,
    /// The maximum number of tasks that one [`Launcher::observe`] call reads.
    pub per_observation: usize,
    /// The interval at which the engine polls live tasks.
    pub observe_every: Duration,
    /// How long the launcher remembers a token after its first use; a call without an answer is retried within this
    /// time and never after it.
    pub token_life: Duration,
}

impl LaunchLimits {
    /// Makes the limits of a launcher.
    #[must_use]
    pub const fn new(
        per_call: NonZeroU32,
        per_observation: usize,
        observe_every: Duration,
        token_life: Duration,
    ) -> Self {
        Self { per_call, per_observation, observe_every, token_life }
    }
}

/// Starts, counts, observes and stops tasks.
///
/// Its supertraits have a default for every method: a launcher without options, diagnosis, quotas, a lookup of lost
/// calls or logs implements them with an empty body.
#[async_trait]
pub trait Launcher:
    TaskValidation + LaunchDiagnosis + LaunchRecovery + TaskLogs + fmt::Debug + Send + Sync + 'static
{
    /// Returns the launcher's limits.
    fn limits(&self) -> LaunchLimits;

    /// Returns the pending and running tasks of this job, from all pages of the listing.
    ///
    /// Called for every evaluation that demands tasks, so a launcher with a slow listing answers from a cache: the
    /// engine itself tracks the newest launches and ends.
    ///
    /// # Errors
    ///
    /// Fails when the tasks cannot be listed; nothing is launched then.
    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError>;

    /// Starts tasks. Idempotent: the same token never starts a task twice, and returns the tasks of the first call.
    ///
    /// # Errors
    ///
    /// Fails when nothing was started, or when the outcome is unknown ([`LaunchError::outcome_unknown`]).
    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError>;

    /// Returns the states of tasks started earlier. Unknown ids are left out.
    ///
    /// # Errors
    ///
    /// Fails when no state can be read. If some can be read, the others are [`ObservedTasks::unread`]. A launcher that answers from
    /// a cache marks those states as [`ObservedTasks::cached`].
    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError>;

    /// Stops a task. Does nothing if the task has stopped already or is unknown.
    ///
    /// # Errors
    ///
    /// Fails when the task cannot be stopped.
    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError>;
}

/// Checks the tasks of jobs before they are launched. Every method has a default, for launchers without options.
#[async_trait]
pub trait TaskValidation: Send + Sync {
    /// Checks a job's `launch` object, and the limits on its overrides. Makes no calls.
    ///
    /// Called whenever a job is read or written, so it must be cheap. The default rejects every option.
    ///
    /// # Errors
    ///
    /// Fails with a JSON pointer into the job's document: `/launch/network/subnets`.
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        if task.options.is_empty() {
            return Ok(());
        }
        Err(ConfigError::at("/launch", "The launcher in use takes no options."))
    }

    /// Reviews a task that a client writes, against what the launcher knows locally. Makes no calls. Returns warnings.
    ///
    /// Called for jobs that passed [`check`](Self::check), and not for stored ones: a new rule must not stop a job in
    /// production, and local knowledge may change. Pointers are those of `check`.
    ///
    /// # Errors
    ///
    /// Fails with every reason for which launches would be refused.
    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        let _ = task;
        Ok(Vec::new())
    }

    /// Warns of what a task that a client writes names and the platform lacks, such as its definition. Makes calls, and returns
    /// nothing if they fail: the job is written anyway. The caller waits for a short while only.
    async fn platform_warnings(&self, task: &TaskSpec) -> Vec<String> {
        let _ = task;
        Vec::new()
    }

    /// Returns the size and the price of a task of this exact definition, as far as they are known. Budgets count with them.
    ///
    /// Called for each launch of a job with a budget that bounds them, so a launcher with a slow read answers from a cache.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be read now; nothing is launched then.
    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        let _ = (definition, task);
        Ok(TaskSize::default())
    }

    /// Checks with the platform for problems that would prevent these tasks from starting.
    ///
    /// # Errors
    ///
    /// Fails when the checks cannot be made.
    async fn preflight(&self, task: &TaskSpec) -> Result<Vec<Finding>, LaunchError> {
        let _ = task;
        Ok(Vec::new())
    }
}

/// Checks and lists the permissions and resources that a launcher needs. Every method has a default, for launchers that
/// need none.
#[async_trait]
pub trait LaunchDiagnosis: Send + Sync {
    /// Checks permissions and resources that starting, observing and stopping these tasks needs, with read-only calls.
    async fn diagnose(&self, tasks: &[TaskSpec]) -> Vec<CheckResult> {
        let _ = tasks;
        Vec::new()
    }

    /// Lists the permissions for starting, observing and stopping these tasks.
    ///
    /// # Errors
    ///
    /// Fails when they depend on a resource that cannot be read.
    async fn permissions(&self, tasks: &[TaskSpec]) -> Result<Vec<Permission>, LaunchError> {
        let _ = tasks;
        Ok(Vec::new())
    }
}

/// Bounds the rate of calls, and finds the tasks of calls whose answer was lost. Every method has a default, for
/// launchers without quotas or a lookup.
#[async_trait]
pub trait LaunchRecovery: Send + Sync {
    /// Waits until a quota allows this call, which then follows at once. The earliest deadline goes first.
    ///
    /// The engine waits here before it records the attempt durably, and drops the future when it stops.
    async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        let _ = (request, deadline);
    }

    /// Finds the tasks of a call whose answer was lost and whose token may be forgotten.
    ///
    /// # Errors
    ///
    /// Fails when the lookup is not possible now; the engine retries later.
    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        let _ = (request, sent_at);
        Ok(LostCall::Unknown("this launcher cannot look up lost calls".to_owned()))
    }
}
