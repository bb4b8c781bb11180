//! The engine's calls to the launcher. Each has a deadline and a guard against panics, and its result shows whether the launcher
//! works.
//!
//! A launcher bounds its own calls, and its errors say more than a deadline that has passed. The deadline is for a call that
//! never ends: without it, whatever waits for the launcher would wait for ever.
//!
//! The texts of each answer are made [lines](make_line) before they reach the journal; the ids of tasks and the name of a definition
//! stay as the launcher gave them. Texts of errors become lines in [`fault::chain`].

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::inner::EngineInner;
use crate::diagnosis::Diagnosis;
use crate::fault;
use crate::id::{JobId, TaskId};
use crate::launcher::{
    LaunchError, LaunchLimits, LaunchReport, LaunchRequest, Launcher, LostCall, ObservedTasks, StartedTask,
};
use crate::task::{Population, TaskSpec};
use crate::text::make_line;

/// How long the launcher may take to observe or stop tasks; it may wait for its own quota meanwhile.
const TASK_CALL_TIMEOUT: Duration = Duration::from_mins(2);

/// The launcher, as one engine calls it.
#[derive(Debug)]
pub(super) struct LauncherCalls(Arc<dyn Launcher>);

impl LauncherCalls {
    pub(super) fn new(launcher: Arc<dyn Launcher>) -> Self {
        Self(launcher)
    }

    /// Returns the launcher itself, for checks whose results are not recorded.
    pub(super) fn inner(&self) -> &dyn Launcher {
        &*self.0
    }

    pub(super) fn limits(&self) -> LaunchLimits {
        self.0.limits()
    }

    pub(super) async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.0.population(job, task).await
    }

    pub(super) async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        self.0.acquire_quota(request, deadline).await;
    }

    pub(super) async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let mut report = self.0.launch(request).await?;
        clean_started(&mut report.started);
        for refusal in &mut report.refused {
            make_line(&mut refusal.reason);
            refusal.detail.iter_mut().for_each(make_line);
            refusal.diagnosis.iter_mut().for_each(clean_diagnosis);
        }
        Ok(report)
    }

    pub(super) async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        let mut found = self.0.find_lost_launch(request, sent_at).await?;
        match &mut found {
            LostCall::Found(started) => clean_started(started),
            LostCall::Nothing => {}
            LostCall::Unknown(reason) => make_line(reason),
        }
        Ok(found)
    }

    pub(super) async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let mut observed = self.0.observe(tasks).await?;
        for state in &mut observed.states {
            let texts = [&mut state.host_id, &mut state.stop_code, &mut state.reason];
            texts.into_iter().flatten().for_each(make_line);
            state.containers.iter_mut().for_each(|container| make_line(&mut container.name));
            state.diagnosis.iter_mut().for_each(clean_diagnosis);
        }
        Ok(observed)
    }

    pub(super) async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.0.stop(task, reason).await
    }
}

fn clean_diagnosis(diagnosis: &mut Diagnosis) {
    let texts = [Some(&mut diagnosis.code), Some(&mut diagnosis.text), Some(&mut diagnosis.remedy), diagnosis.link.as_mut()];
    for text in texts.into_iter().flatten() {
        // A text of a table is a line.
        if let Cow::Owned(text) = text {
            make_line(text);
        }
    }
}

fn clean_started(started: &mut [StartedTask]) {
    started.iter_mut().filter_map(|task| task.host_id.as_mut()).for_each(make_line);
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
        let answer = match tokio::time::timeout(deadline, AssertUnwindSafe(call).catch_unwind()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_panic)) => {
                Err(LaunchError::unanswered(format!("could not {action}: the launcher panicked")))
            }
            Err(_) => {
                let seconds = deadline.as_secs();
                Err(LaunchError::unanswered(format!("could not {action} within {seconds} s")))
            }
        };
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

    /// Requests a task to stop, unless it was requested a short while ago.
    pub(super) async fn stop_task(&self, task: &TaskId, reason: &str) {
        if !self.stop_requests.try_begin(task, Instant::now()) {
            return;
        }
        tracing::debug!(%task, reason, "stopping a task");
        let call = self.launcher.stop(task, reason);
        let answer = self.call_launcher("stop a task", TASK_CALL_TIMEOUT, call).await;
        self.stop_requests.record_answer(task, answer.is_ok(), Instant::now());
        if let Err(error) = answer {
            tracing::warn!(%task, reason, error = %fault::chain(&error), "could not stop a task");
        }
    }
}
