//! The launcher as an engine calls it: the texts of each answer are made [lines](make_line) before they reach the journal. The ids of
//! tasks and the name of a definition stay as the launcher gave them. Texts of errors become lines in
//! [`fault::chain`](crate::fault::chain). Lines of a task's output stay whole, and become [printable](make_printable).

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnosis::Diagnosis;
use crate::fault::FaultKind;
use crate::id::{JobId, TaskId};
use crate::launcher::{
    LaunchError, LaunchLimits, LaunchReport, LaunchRequest, Launcher, LogPage, LogRequest, LostCall,
    ObservedTasks, StartedTask,
};
use crate::task::{Population, TaskSize, TaskSpec};
use crate::text::{make_line, make_printable};

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

    pub(super) async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        self.0.measure(definition, task).await
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
            refusal.diagnosis.iter_mut().for_each(|known| clean_diagnosis(known));
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

    pub(super) async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        let mut page = self.0.read_log(request).await?;
        if !page.is_within(request) {
            let message = format!(
                "could not read the output of task {}: the launcher returned an oversized page or an invalid cursor",
                request.task
            );
            return Err(LaunchError::new(FaultKind::Bug, message));
        }
        for line in &mut page.lines {
            make_line(&mut line.container);
            make_printable(&mut line.text);
        }
        Ok(page)
    }

    pub(super) async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.0.stop(task, reason).await
    }
}

fn clean_diagnosis(diagnosis: &mut Diagnosis) {
    let texts = [
        Some(&mut diagnosis.code),
        Some(&mut diagnosis.text),
        Some(&mut diagnosis.remedy),
        diagnosis.link.as_mut(),
    ];
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
