//! A launcher that costs nothing: what is measured is the scheduler.

use std::num::NonZeroU32;
use std::time::Duration;

use ecs_scheduler_core::{
    Clock, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest,
    Launcher, ObservedTasks, Population, StartedTask, SystemClock, TaskId, TaskLogs, TaskPhase, TaskSpec,
    TaskState, TaskValidation, async_trait,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Starts tasks in no time; they have ended when they are observed.
#[derive(Debug)]
pub(crate) struct Instant {
    started: watch::Sender<usize>,
    /// How late each call came after its tick, in milliseconds.
    late: Mutex<Vec<f64>>,
}

impl Default for Instant {
    fn default() -> Self {
        Self { started: watch::Sender::new(0), late: Mutex::default() }
    }
}

impl Instant {
    /// Waits until so many calls were made.
    pub(crate) async fn wait_for(&self, calls: usize) {
        let mut started = self.started.subscribe();
        started.wait_for(|started| *started >= calls).await.expect("the sender is borrowed");
    }

    /// Takes the lateness of the calls since the last time.
    pub(crate) fn take_late(&self) -> Vec<f64> {
        std::mem::take(&mut *self.late.lock())
    }
}

#[async_trait]
impl Launcher for Instant {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(
            NonZeroU32::new(10).expect("it is not zero"),
            100,
            Duration::from_secs(5),
            Duration::from_secs(3_000),
        )
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        Ok(Population::default())
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let late = SystemClock.now().duration_since(request.scheduled_at);
        self.late.lock().push(late.as_secs_f64() * 1_000.0);
        let name = |number| TaskId::new(format!("arn:aws:ecs:bench:1:task/{}-{number}", request.firing));
        let started = (0..request.count.get()).map(|number| StartedTask::new(name(number), None));
        let report = LaunchReport::new(started.collect(), Vec::new());
        self.started.send_modify(|started| *started += 1);
        Ok(report)
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let ended = |task: &TaskId| {
            let mut state = TaskState::pending(task.clone(), None);
            state.phase = TaskPhase::Stopped;
            state.exit_code = Some(0);
            state
        };
        Ok(tasks.iter().map(ended).collect())
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Ok(())
    }
}

impl TaskValidation for Instant {}

impl LaunchDiagnosis for Instant {}

impl LaunchRecovery for Instant {}

impl TaskLogs for Instant {}
