//! A launcher whose tasks run from the launch until a test ends them.

use std::collections::HashMap;
use std::time::Duration;

use ecs_scheduler_core::{
    FaultKind, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, LaunchToken, Launcher, ObservedTasks, Population, StartedTask, TaskId, TaskLogs,
    TaskPhase, TaskSpec, TaskState, TaskValidation, async_trait,
};
use parking_lot::Mutex;

/// The family that cannot be launched.
const UNKNOWN: &str = "no-such-task";

/// Starts tasks at once and names them as ECS does.
#[derive(Debug, Default)]
pub(crate) struct InstantLauncher(Mutex<LauncherState>);

#[derive(Debug, Default)]
struct LauncherState {
    /// Whether nothing can be reached.
    is_down: bool,
    reports: HashMap<LaunchToken, LaunchReport>,
    tasks: Vec<(JobId, TaskState)>,
}

impl InstantLauncher {
    /// Returns how many tasks were ever started.
    pub(crate) fn started(&self) -> usize {
        self.0.lock().tasks.len()
    }

    /// Lets every task end with success.
    pub(crate) fn end_all(&self) {
        for (_, task) in &mut self.0.lock().tasks {
            (task.phase, task.exit_code) = (TaskPhase::Stopped, Some(0));
        }
    }

    /// Lets nothing be reached from now on.
    pub(crate) fn break_down(&self) {
        self.0.lock().is_down = true;
    }
}

#[async_trait]
impl Launcher for InstantLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(
            std::num::NonZeroU32::new(10).unwrap(),
            100,
            Duration::from_secs(5),
            Duration::from_secs(3_000),
        )
    }

    async fn population(&self, job: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        let state = self.0.lock();
        if state.is_down {
            return Err(LaunchError::new(FaultKind::Unavailable, "could not reach ECS"));
        }
        let live = state.tasks.iter().filter(|(of, task)| of == job && task.phase != TaskPhase::Stopped);
        Ok(Population::new(live.map(|(_, task)| task.task_id.clone()).collect(), None))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        if request.definition == UNKNOWN {
            return Err(LaunchError::new(
                FaultKind::NotFound,
                "task definition \"no-such-task\" does not exist",
            ));
        }
        let mut state = self.0.lock();
        if let Some(report) = state.reports.get(&request.token) {
            return Ok(report.clone());
        }
        let mut report = LaunchReport::default();
        for _ in 0..request.count.get() {
            let number = state.tasks.len();
            let name = |kind| format!("arn:aws:ecs:us-west-2:123456789012:{kind}/golden/{number:036x}");
            let (task_id, host_id) = (TaskId::new(name("task")), Some(name("container-instance")));
            let mut task = TaskState::pending(task_id.clone(), host_id.clone());
            task.phase = TaskPhase::Running;
            state.tasks.push((request.job.clone(), task));
            report.started.push(StartedTask::new(task_id, host_id));
        }
        state.reports.insert(request.token.clone(), report.clone());
        Ok(report)
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let state = self.0.lock();
        Ok(state
            .tasks
            .iter()
            .map(|(_, task)| task)
            .filter(|task| tasks.contains(&task.task_id))
            .cloned()
            .collect())
    }

    async fn stop(&self, id: &TaskId, reason: &str) -> Result<(), LaunchError> {
        for (_, task) in &mut self.0.lock().tasks {
            if task.task_id == *id {
                task.phase = TaskPhase::Stopped;
                task.reason = Some(reason.to_owned());
            }
        }
        Ok(())
    }
}

impl TaskValidation for InstantLauncher {}

impl LaunchDiagnosis for InstantLauncher {}

impl LaunchRecovery for InstantLauncher {}

impl TaskLogs for InstantLauncher {}
