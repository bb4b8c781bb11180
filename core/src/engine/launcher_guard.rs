//! Guards the calls to the launcher. Each has a deadline and a guard against panics, and its result shows whether the launcher works.
//!
//! A launcher bounds its own calls, and its errors say more than a deadline that has passed. The deadline is for a call that
//! never ends: without it, whatever waits for the launcher would wait for ever.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::faults::FaultyAction;
use super::inner::EngineInner;
use super::launcher_faults::{AnswerSource, LauncherAction};
use crate::fault::{self, FaultKind};
use crate::id::{JobId, JobUid, TaskId};
use crate::launcher::{LaunchError, LogPage, LogRequest, ObservedTasks};
use crate::task::{Population, TaskSize, TaskSpec};

/// How long the launcher may take to observe or stop tasks; it may wait for its own quota meanwhile.
const TASK_CALL_TIMEOUT: Duration = Duration::from_mins(2);

/// How long the launcher may take to read a page of a task's output: less than a request to the API may take.
const LOG_CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// Makes a call to the launcher within a deadline. A panic becomes an error.
async fn guard_call<T>(
    action: &str,
    deadline: Duration,
    call: impl Future<Output = Result<T, LaunchError>>,
) -> Result<T, LaunchError> {
    match tokio::time::timeout(deadline, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(LaunchError::unanswered(format!("could not {action}: the launcher panicked"))),
        Err(_) => {
            let seconds = deadline.as_secs();
            Err(LaunchError::unanswered(format!("could not {action} within {seconds} s")))
        }
    }
}

/// Returns where the states of tasks come from, or why some could not be read.
fn answer_source<'a>(tasks: &[TaskId], observed: &'a ObservedTasks) -> Result<AnswerSource, &'a LaunchError> {
    if let Some(unread) = observed.unread.iter().find(|unread| unread.error.is_transient()) {
        return Err(&unread.error);
    }
    let unread: usize = observed.unread.iter().map(|unread| unread.tasks.len()).sum();
    let is_called = tasks.len() > observed.cached.len() + unread;
    Ok(if is_called { AnswerSource::Call } else { AnswerSource::Cache })
}

impl EngineInner {
    /// Makes a call to the launcher, and records whether it answers. A call that panics or takes too long may still have its
    /// effect.
    pub(super) async fn call_launcher<T>(
        &self,
        action: LauncherAction,
        described: &str,
        deadline: Duration,
        call: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        let answer = guard_call(described, deadline, call).await;
        self.record_answer(action, answer.as_ref().map(|_| AnswerSource::Call));
        answer
    }

    /// Records whether the launcher answers. A refusal for another reason than missing capacity or quota shows that it does,
    /// unless it may come from the launcher itself.
    fn record_answer(&self, action: LauncherAction, answer: Result<AnswerSource, &LaunchError>) {
        let (faults, now) = (&self.process.launcher_faults, Instant::now());
        match answer {
            Ok(source) => faults.record_success(action, source, now),
            Err(error) if error.is_transient() => faults.record_failure(action, fault::chain(error), now),
            Err(error) if matches!(error.kind(), FaultKind::Denied | FaultKind::NotFound) => {
                faults.clear(action);
            }
            Err(_) => {}
        }
    }

    /// Counts the tasks of a job, and resolves its definition.
    pub(super) async fn count_tasks(
        &self,
        job: &JobId,
        task: &TaskSpec,
        described: &str,
        deadline: Duration,
    ) -> Result<Population, LaunchError> {
        let answer = guard_call(described, deadline, self.launcher.population(job, task)).await;
        let source = |counted: &Population| {
            if counted.cached { AnswerSource::Cache } else { AnswerSource::Call }
        };
        self.record_answer(LauncherAction::Count, answer.as_ref().map(source));
        answer
    }

    /// Reads the size of a task. A failure shows nothing that the count of tasks before does not show, so it is not recorded.
    pub(super) async fn measure_task(
        &self,
        definition: &str,
        task: &TaskSpec,
    ) -> Result<TaskSize, LaunchError> {
        let action = format!("read the size of \"{definition}\"");
        let call = self.launcher.measure(definition, task);
        guard_call(&action, self.options.evaluation_deadline, call).await
    }

    /// Reads the states of tasks.
    pub(super) async fn observe_tasks(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let answer = guard_call("observe tasks", TASK_CALL_TIMEOUT, self.launcher.observe(tasks)).await;
        self.record_answer(
            LauncherAction::Observe,
            answer.as_ref().and_then(|answer| answer_source(tasks, answer)),
        );
        answer
    }

    /// Reads a page of the output of a task. A failure shows nothing about launches, so it is not recorded.
    pub(super) async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        let call = self.launcher.read_log(request);
        guard_call("read the output of a task", LOG_CALL_TIMEOUT, call).await
    }

    /// Requests a task of a job to stop, unless it was requested a short while ago.
    pub(super) async fn stop_task(&self, uid: JobUid, task: &TaskId, reason: &str) {
        if !self.stop_requests.try_begin(task, Instant::now()) {
            return;
        }
        tracing::debug!(%task, reason, "stopping a task");
        let call = self.launcher.stop(task, reason);
        let answer = self.call_launcher(LauncherAction::Stop, "stop a task", TASK_CALL_TIMEOUT, call).await;
        self.stop_requests.record_answer(task, answer.is_ok(), Instant::now());
        let Err(error) = answer else { return };
        let (text, now) = (fault::chain(&error), self.clock.now());
        let fault = (uid, FaultyAction::StopTasks);
        if error.is_transient() || self.process.faults.record_lasting(self.number, fault, &text, 0, now) {
            tracing::warn!(%task, reason, error = text, "could not stop a task");
        } else {
            tracing::debug!(%task, reason, error = text, "could not stop a task");
        }
    }
}
