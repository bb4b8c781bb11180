//! Starting tasks: the only part with side effects on the outside world.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::fault::{Cause, FaultKind};
use crate::firing::FiringId;
use crate::job::{JobId, JobUid};
use crate::permission::Permission;
use crate::registry::ConfigError;
use crate::task::{Population, TaskId, TaskSpec, TaskState};

/// The idempotency token of one launch call: 43 characters of `[A-Za-z0-9_-]`.
///
/// It comes from the identity of the firing and never from its content, so a crash, a retry or a second replica
/// sends the same token for the same call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaunchToken(String);

impl LaunchToken {
    /// Derives the token: base64url(SHA-256(scheduler name ‖ job uid ‖ firing ‖ batch ‖ attempt)).
    ///
    /// The firing stands for the nominal tick in UTC, or for the manual firing's own key.
    #[must_use]
    pub fn derive(scheduler: &str, uid: &JobUid, firing: &FiringId, batch: u32, attempt: u32) -> Self {
        use base64::Engine as _;
        let mut hash = Sha256::new();
        for part in [scheduler.as_bytes(), uid.to_string().as_bytes(), firing.as_str().as_bytes()] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.update(batch.to_be_bytes());
        hash.update(attempt.to_be_bytes());
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// Returns the token's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One call that starts tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchRequest {
    /// The job on whose behalf.
    pub job: JobId,
    /// The firing that it belongs to.
    pub firing: FiringId,
    /// The same token never starts a task twice.
    pub token: LaunchToken,
    /// Which attempt at its batch this is, from 1: what was refused is asked for again under the next number.
    pub attempt: u32,
    /// Who starts it, for the launcher's own listings: `<ECSS_NAME>/<job id>`.
    pub started_by: String,
    /// The exact task definition, as [`Population::definition`] gave it, else as the job names it.
    pub definition: String,
    /// How many tasks; at most [`LaunchLimits::per_call`].
    pub count: NonZeroU32,
    /// What to start.
    pub task: Arc<TaskSpec>,
    /// The tick's nominal moment, told to the task.
    pub scheduled_at: Timestamp,
}

/// A task that a launch started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartedTask {
    /// Its name.
    pub task_id: TaskId,
    /// Where it runs, if that is known already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
}

/// A task that a launch was asked for and did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The other side's reason, for example `RESOURCE:MEMORY`.
    pub reason: String,
    /// More in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the same may succeed later.
    pub retryable: bool,
}

/// Says why: the launcher's reason, and its details where it gave any.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

/// What came of a launch call. Partial success is a report, not an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchReport {
    /// What was started.
    pub started: Vec<StartedTask>,
    /// What was not.
    pub refused: Vec<Refusal>,
}

impl LaunchReport {
    /// Tells whether tasks were refused, and none of them can be started by the same call later.
    #[must_use]
    pub fn is_refused_for_good(&self) -> bool {
        !self.refused.is_empty() && self.refused.iter().all(|refusal| !refusal.retryable)
    }
}

/// What a launcher found of a call whose answer was lost and whose token it may have forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// These tasks are of that call, and there are no others.
    Found(Vec<StartedTask>),
    /// The call surely started nothing.
    Nothing,
    /// It cannot be told, with the reason.
    Unclear(String),
}

/// One thing that was tried for `ecs-scheduler doctor`, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// What was tried, and on what: `permission ecs:StopTask on cluster "main"`.
    pub what: String,
    /// What is wrong and what to do about it; absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Examination {
    /// Says that nothing is wrong.
    #[must_use]
    pub fn fine(what: impl Into<String>) -> Self {
        Self { what: what.into(), problem: None }
    }

    /// Says what is wrong and what to do about it.
    #[must_use]
    pub fn problem(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: Some(problem.into()) }
    }
}

/// Something that would keep a job's tasks from starting, found before they are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A JSON pointer to the field of the job that it is about: `/launch/network`.
    pub pointer: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Finding {
    /// Makes a finding about a field.
    #[must_use]
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// Why a call to a launcher failed as a whole.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LaunchError {
    kind: FaultKind,
    message: String,
    maybe_done: bool,
    #[source]
    cause: Option<Cause>,
}

impl LaunchError {
    /// Makes an error of a call that surely had no effect.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), maybe_done: false, cause: None }
    }

    /// Makes an error of a call whose answer is unknown: it may have had its effect.
    #[must_use]
    pub fn unanswered(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Unavailable, message: message.into(), maybe_done: true, cause: None }
    }

    /// Adds the cause, which stays out of `Display`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Returns what kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Tells whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// Tells whether the call may have started tasks although it failed. Only the same token may follow it.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        self.maybe_done
    }
}

/// What a launcher can take, and how often it wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchLimits {
    /// Tasks that one [`Launcher::launch`] call may start at most.
    pub per_call: NonZeroU32,
    /// Tasks that one [`Launcher::observe`] call may ask for at most.
    pub per_observation: usize,
    /// How long the engine waits between two looks at live tasks.
    pub observe_every: Duration,
    /// For how long the launcher remembers a token after its first use; a call without an answer is repeated within
    /// this time and never after it.
    pub token_life: Duration,
}

/// Starts, counts, follows and stops tasks.
///
/// The first five methods are what a launcher is; the others have defaults for one without options, quotas or a way to
/// look up what became of a call.
#[async_trait]
pub trait Launcher: fmt::Debug + Send + Sync + 'static {
    /// Says what the launcher can take.
    fn limits(&self) -> LaunchLimits;

    /// Returns the tasks of this job that are pending or running, however many pages that takes.
    ///
    /// Called for every evaluation that wants tasks, so a launcher with a slow listing answers from a copy of its own:
    /// the engine's ledger knows the newest launches and ends.
    ///
    /// # Errors
    ///
    /// Fails when the tasks cannot be learnt; nothing is launched then.
    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError>;

    /// Starts tasks. Idempotent: the same token never starts a task twice and reports the tasks of the first call.
    ///
    /// # Errors
    ///
    /// Fails when nothing was started, or when that cannot be told ([`LaunchError::maybe_done`]).
    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError>;

    /// Says what became of tasks started earlier. Unknown ids are left out.
    ///
    /// # Errors
    ///
    /// Fails when the launcher cannot be asked.
    async fn observe(&self, tasks: &[TaskId]) -> Result<Vec<TaskState>, LaunchError>;

    /// Stops a task; a task that already stopped, or is unknown, is left as it is.
    ///
    /// # Errors
    ///
    /// Fails when the launcher cannot be asked.
    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError>;

    /// Checks what a job gives the launcher: its `launch` object, and bounds on its overrides. Reads nothing outside.
    ///
    /// Called whenever a job is read or written, so it must be cheap. The default refuses every option.
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

    /// Looks at what a job starts when that is written, by what the launcher has at hand. Reads nothing outside. Returns
    /// warnings.
    ///
    /// Asked about a job that passed [`check`](Self::check), and not about stored ones: a rule that is new here must not stop a
    /// job that is at work, and what is at hand may change. Pointers are those of `check`.
    ///
    /// # Errors
    ///
    /// Fails with everything for which launches would be refused.
    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        let _ = task;
        Ok(Vec::new())
    }

    /// Returns the JSON schema of the `launch` object, if the launcher takes one.
    fn options_schema(&self) -> Option<Value> {
        None
    }

    /// Looks for what would keep these tasks from starting, in the real world.
    ///
    /// # Errors
    ///
    /// Fails when it cannot look.
    async fn preflight(&self, task: &TaskSpec) -> Result<Vec<Finding>, LaunchError> {
        let _ = task;
        Ok(Vec::new())
    }

    /// Tries what starting, following and stopping these tasks needs, by calls that change nothing.
    async fn examine(&self, tasks: &[TaskSpec]) -> Vec<Examination> {
        let _ = tasks;
        Vec::new()
    }

    /// Waits until a quota allows this call, which then follows at once. Who is due first goes first.
    ///
    /// The engine waits here before it notes the attempt durably, and drops the future when it stops.
    async fn admit(&self, request: &LaunchRequest, deadline: Timestamp) {
        let _ = (request, deadline);
    }

    /// Looks for what a call started whose answer was lost, when its token may be forgotten.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be looked up now; the engine asks again later.
    async fn search(&self, request: &LaunchRequest, sent_at: Timestamp) -> Result<Search, LaunchError> {
        let _ = (request, sent_at);
        Ok(Search::Unclear("this launcher cannot look up what became of a call".to_owned()))
    }

    /// Lists what must be permitted for these tasks to be started, followed and stopped.
    ///
    /// # Errors
    ///
    /// Fails when that depends on something that cannot be read.
    async fn permissions(&self, tasks: &[TaskSpec]) -> Result<Vec<Permission>, LaunchError> {
        let _ = tasks;
        Ok(Vec::new())
    }
}
