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
use crate::fault;
use crate::id::{JobUid, TaskId};
use crate::launcher::{LaunchError, LogPage, LogRequest, ObservedTasks};

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

impl EngineInner {
    /// Makes a call to the launcher, and records whether it answers. A call that panics or takes too long may still have its
    /// effect.
    pub(super) async fn call_launcher<T>(
        &self,
        action: &str,
        deadline: Duration,
        call: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        let answer = guard_call(action, deadline, call).await;
        self.record_launcher_fault(answer.as_ref().err());
        answer
    }

    fn record_launcher_fault(&self, error: Option<&LaunchError>) {
        let text = error.filter(|error| error.is_transient()).map(|error| fault::chain(error));
        if *self.process.launcher_fault.read() != text {
            *self.process.launcher_fault.write() = text;
        }
    }

    /// Reads the states of tasks.
    pub(super) async fn observe_tasks(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let call = self.launcher.observe(tasks);
        let answer = self.call_launcher("observe tasks", TASK_CALL_TIMEOUT, call).await?;
        if let Some(unread) = answer.unread.first() {
            self.record_launcher_fault(Some(&unread.error));
        }
        Ok(answer)
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
        let answer = self.call_launcher("stop a task", TASK_CALL_TIMEOUT, call).await;
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
