//! How tasks go through their states.
//!
//! ```text
//! PROVISIONING ─▶ PENDING ─▶ RUNNING ─▶ DEACTIVATING ─▶ STOPPING ─▶ DEPROVISIONING ─▶ STOPPED ─▶ forgotten after 1 h
//!       └────────────┴─ StopTask, or it fails to start ────────────────▲
//! ```

use jiff::{SignedDuration, Timestamp};

use super::model::{EcsState, PlannedStep, Status, Step};
use super::settings::{EcsSettings, TaskLifecycle};
use crate::clock::later;
use crate::launch_log::LaunchLog;

/// Time for which a stopped task is shown.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
const RETENTION_AFTER_STOP: SignedDuration = SignedDuration::from_hours(1);

/// The cause of a stop.
#[derive(Debug, Clone)]
pub(crate) struct StopCause {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

impl EcsState {
    /// Applies all steps that are due.
    pub(crate) fn advance(&mut self, now: Timestamp, settings: &EcsSettings, launch_log: &mut LaunchLog) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), planned) = entry.remove_entry();
            let is_valid = self.tasks.get(&planned.task).is_some_and(|task| task.plan == planned.plan);
            if is_valid {
                self.apply_step(planned, at, settings, launch_log);
            }
        }
    }

    fn apply_step(
        &mut self,
        planned: PlannedStep,
        at: Timestamp,
        settings: &EcsSettings,
        launch_log: &mut LaunchLog,
    ) {
        match planned.step {
            Step::Enter(status) => self.enter_status(planned.task, status, at, settings, launch_log),
            Step::Forget => {
                let Some(task) = self.tasks.remove(&planned.task) else { return };
                self.by_arn.remove(&task.arn);
                if let Some(token) = task.token {
                    self.task_forgotten(task.cluster, token, at);
                }
            }
        }
    }

    /// Plans the steps of a new task until it runs, or fails to start.
    pub(crate) fn plan_start(&mut self, number: u64, from: Status, life: &TaskLifecycle, now: Timestamp) {
        let mut at = now;
        if from == Status::Provisioning {
            at = later(at, life.provisioning);
            self.plan(number, at, Step::Enter(Status::Pending));
        }
        at = later(at, life.pending);
        let next = if life.fails_to_start.is_some() { Status::Deprovisioning } else { Status::Running };
        self.plan(number, at, Step::Enter(next));
    }

    /// Moves a task into a status and plans the next step.
    fn enter_status(
        &mut self,
        number: u64,
        status: Status,
        at: Timestamp,
        settings: &EcsSettings,
        launch_log: &mut LaunchLog,
    ) {
        let task = self.tasks.get_mut(&number).expect("only kept tasks have valid plans");
        let life = task.life.clone();
        if !task.to_stop && status > Status::Running {
            let ending = match &life.fails_to_start {
                Some(reason) => StopCause { code: "TaskFailedToStart", reason: reason.clone() },
                None => StopCause {
                    code: "EssentialContainerExited",
                    reason: "Essential container in task exited".to_owned(),
                },
            };
            task.order_stop(&ending, at);
        }
        let skipped = match status {
            Status::Deactivating => life.deactivating.is_zero() || task.started_at.is_none(),
            Status::Stopping => life.stopping.is_zero() || task.started_at.is_none(),
            Status::Deprovisioning => life.deprovisioning.is_zero() || !task.has_interface(),
            Status::Provisioning | Status::Pending | Status::Running | Status::Stopped => false,
        };
        if !skipped {
            task.last = status;
            task.version += 1;
        }
        let dwell = |time: SignedDuration| if skipped { at } else { later(at, time) };
        let next = match status {
            Status::Provisioning | Status::Pending => None,
            Status::Running => {
                task.started_at = Some(at);
                life.run.map(|run| (later(at, run), Status::Deactivating))
            }
            Status::Deactivating => Some((dwell(life.deactivating), Status::Stopping)),
            Status::Stopping => Some((dwell(life.stopping), Status::Deprovisioning)),
            Status::Deprovisioning => {
                task.end_containers();
                Some((dwell(life.deprovisioning), Status::Stopped))
            }
            Status::Stopped => None,
        };
        if status == Status::Stopped {
            task.end_containers();
            task.stopped_at = Some(at);
            launch_log.record_end(task.started_by.as_deref());
            self.task_ended(number, at);
            self.plan(number, later(at, RETENTION_AFTER_STOP), Step::Forget);
        }
        if let Some((when, next)) = next {
            self.plan(number, when, Step::Enter(next));
        }
        if !skipped {
            self.announce(&[number], settings, at);
        }
    }

    /// Stops a task from its present status.
    pub(crate) fn stop(&mut self, number: u64, ending: &StopCause, now: Timestamp) {
        let task = self.tasks.get_mut(&number).expect("the caller found it");
        if task.to_stop {
            return;
        }
        task.order_stop(ending, now);
        task.plan += 1;
        task.version += 1;
        let first = if task.last == Status::Running { Status::Deactivating } else { Status::Deprovisioning };
        self.plan(number, now, Step::Enter(first));
    }
}

impl super::model::Task {
    fn order_stop(&mut self, ending: &StopCause, at: Timestamp) {
        self.to_stop = true;
        self.stopping_at = Some(at);
        self.stop_code = Some(ending.code);
        self.stopped_reason = Some(ending.reason.clone());
    }

    /// Sets the exit codes of containers that ran.
    fn end_containers(&mut self) {
        if self.started_at.is_none() {
            return;
        }
        let killed = self.stop_code == Some("UserInitiated");
        for container in &mut self.containers {
            let scripted = self.life.exit_codes.get(&container.name).copied().unwrap_or(0);
            container.exit_code.get_or_insert(if killed { self.life.stopped_exit_code } else { scripted });
        }
    }
}
