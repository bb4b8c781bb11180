//! The supervisor of one task: it starts the containers, waits for their exits and stops them.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{ContainerEnd, Diagnosis, TaskId, TaskPhase, Timestamp};
use jiff::SignedDuration;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::container::{ContainerExit, ContainerState, start_container, wait_for_exit};
use crate::context::Context;
use crate::data_dir::{DiskState, FileEvent, LaunchRecord, StopMarker, TaskDir};
use crate::definition::{MAX_STOP_TIMEOUT_SECS, StartCondition};
use crate::resolved_task::ResolvedContainer;
use crate::shim;

/// How long after its acceptance a task may still start, when no scheduler was running in between.
const START_DEADLINE: SignedDuration = SignedDuration::from_mins(10);

/// The reason of a task whose start marker may have been lost in a crash of the machine.
pub(crate) const LOST_REASON: &str =
    "the machine restarted after the task was accepted, so it is unknown whether the task ran";

/// Supervises one task.
#[derive(Debug)]
pub(crate) struct Supervisor {
    context: Arc<Context>,
    record: Arc<LaunchRecord>,
    id: TaskId,
    dir: TaskDir,
    stop_requests: watch::Receiver<Option<StopMarker>>,
    containers: Vec<ContainerState>,
    exits: JoinSet<(usize, ContainerExit)>,
    /// The reason of the stop, once the task stops; the first reason counts.
    stopping: Option<StopMarker>,
    /// The exit code that the task will report.
    exit_code: Option<i32>,
    /// For each container, when SIGKILL follows SIGTERM.
    kill_at: Vec<Option<Instant>>,
    started_at: Option<Timestamp>,
    stopped_at: Option<Timestamp>,
}

impl Supervisor {
    pub(crate) fn new(
        context: Arc<Context>,
        record: Arc<LaunchRecord>,
        id: TaskId,
        dir: TaskDir,
        stop_requests: watch::Receiver<Option<StopMarker>>,
    ) -> Self {
        let count = record.containers.len();
        Self {
            context,
            record,
            id,
            dir,
            stop_requests,
            containers: vec![ContainerState::Waiting { marker: 0 }; count],
            exits: JoinSet::new(),
            stopping: None,
            exit_code: None,
            kill_at: vec![None; count],
            started_at: None,
            stopped_at: None,
        }
    }

    /// Recovers the state of a task that an earlier launcher accepted, then supervises it.
    pub(crate) async fn resume(mut self) {
        if let Err(error) = self.recover_state().await {
            tracing::error!(task = %self.id, %error, "could not recover the state of a task; it is not started again");
            self.stop_with_reason("TaskFailedToStart", &format!("its files could not be read: {error}"));
        }
        self.run().await;
    }

    /// Supervises the task until it ends.
    pub(crate) async fn run(mut self) {
        loop {
            self.start_ready_containers();
            if !self.containers.iter().any(|container| container.is_open(self.stopping.is_some())) {
                break;
            }
            let kill_at = self.kill_at.iter().flatten().min().copied();
            tokio::select! {
                Some(exit) = self.exits.join_next() => {
                    if let Ok((index, exit)) = exit {
                        self.record_exit(index, exit);
                    }
                }
                Ok(()) = self.stop_requests.changed() => {
                    let request = self.stop_requests.borrow_and_update().clone();
                    if let Some(request) = request {
                        self.begin_stop(request);
                    }
                }
                () = sleep_until(kill_at), if kill_at.is_some() => self.kill_overdue(),
            }
        }
        self.finish();
    }

    /// Starts every container whose dependencies are met, including those that a start in this call meets.
    fn start_ready_containers(&mut self) {
        let mut more = true;
        while std::mem::take(&mut more) {
            for index in 0..self.containers.len() {
                let ContainerState::Waiting { marker } = self.containers[index] else { continue };
                if self.stopping.is_none() && self.is_ready(index) {
                    self.start_container(index, marker);
                    more = true;
                }
            }
        }
    }

    fn is_ready(&mut self, index: usize) -> bool {
        let record = self.record.clone();
        for dependency in &record.containers[index].depends_on {
            let named = |container: &ResolvedContainer| container.name == dependency.container_name;
            let Some(other) = record.containers.iter().position(named) else { continue };
            let met = match (&self.containers[other], dependency.condition) {
                (ContainerState::Waiting { .. }, _) => false,
                (ContainerState::Running { .. }, condition) => condition == StartCondition::Start,
                (ContainerState::Ended(exit), StartCondition::Success) if exit.code != Some(0) => {
                    let reason = format!(
                        "container \"{}\" could not start: \"{}\", which must succeed first, {}",
                        record.containers[index].name,
                        dependency.container_name,
                        exit.describe()
                    );
                    self.exit_code = exit.code;
                    self.stop_with_reason("TaskFailedToStart", &reason);
                    false
                }
                (ContainerState::Ended(_), _) => true,
            };
            if !met {
                return false;
            }
        }
        true
    }

    fn start_container(&mut self, index: usize, marker: u32) {
        let record = self.record.clone();
        let container = &record.containers[index];
        match start_container(container, &self.dir, marker, &self.context.options) {
            Ok((pid, children)) => {
                let (dir, name) = (self.dir.clone(), container.name.clone());
                self.exits
                    .spawn(async move { (index, wait_for_exit(Some(children), pid, &dir, &name).await) });
                self.containers[index] = ContainerState::Running { pid };
                self.record_running(None);
            }
            Err(reason) => {
                self.containers[index] = ContainerState::Ended(ContainerExit::unknown());
                let reason = format!("container \"{}\" could not start: {reason}", container.name);
                self.stop_with_reason("TaskFailedToStart", &reason);
            }
        }
    }

    fn record_running(&mut self, since: Option<Timestamp>) {
        let now = self.context.now();
        let at = *self.started_at.get_or_insert_with(|| since.map_or(now, |since| since.min(now)));
        self.context.tasks.lock().update(&self.id, Instant::now(), |state| {
            state.phase = TaskPhase::Running;
            state.started_at = Some(at);
        });
    }

    fn record_exit(&mut self, index: usize, exit: ContainerExit) {
        let record = self.record.clone();
        let container = &record.containers[index];
        self.kill_at[index] = None;
        self.stopped_at = exit.at.or(self.stopped_at);
        let description = exit.describe();
        let start_refused = exit.start_refused;
        let code = exit.code;
        self.containers[index] = ContainerState::Ended(exit);
        if start_refused {
            let reason =
                format!("container \"{}\" could not start: its marker could not be created", container.name);
            self.stop_with_reason("TaskFailedToStart", &reason);
            return;
        }
        // A container that is stopped because an essential one ended does not count.
        let counts = self.stopping.as_ref().is_none_or(|request| request.code == "UserInitiated");
        if counts && container.essential && self.exit_code.is_none() {
            self.exit_code = code;
        }
        if container.essential && self.stopping.is_none() {
            let reason = format!("essential container \"{}\" {description}", container.name);
            self.stop_with_reason("EssentialContainerExited", &reason);
        }
    }

    /// Stops the task for a reason that the supervisor found.
    fn stop_with_reason(&mut self, code: &str, reason: &str) {
        self.begin_stop(StopMarker { code: code.to_owned(), reason: reason.to_owned() });
    }

    fn begin_stop(&mut self, request: StopMarker) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(request);
        let is_running = |container: &ContainerState| matches!(container, ContainerState::Running { .. });
        if self.containers.iter().any(is_running)
            && let Err(error) = self.dir.set_stop_flag()
        {
            tracing::warn!(task = %self.id, %error, "could not set the stop flag; a container that is just starting may miss the stop");
        }
        for (index, container) in self.record.containers.iter().enumerate() {
            if let ContainerState::Running { pid } = self.containers[index] {
                shim::send_signal(pid, &self.dir.prefix(&container.name), Signal::TERM);
                // The record of an earlier version may have a larger value.
                let stop_timeout = container.stop_timeout_secs.min(MAX_STOP_TIMEOUT_SECS);
                self.kill_at[index] = Some(Instant::now() + Duration::from_secs(stop_timeout));
            }
        }
    }

    fn kill_overdue(&mut self) {
        let now = Instant::now();
        for (index, container) in self.record.containers.iter().enumerate() {
            if self.kill_at[index].is_some_and(|at| at <= now) {
                self.kill_at[index] = None;
                if let ContainerState::Running { pid } = self.containers[index] {
                    shim::send_signal(pid, &self.dir.prefix(&container.name), Signal::KILL);
                }
            }
        }
    }

    fn finish(&mut self) {
        let now = self.context.now();
        let request = self.stopping.take();
        let start_failed = request.as_ref().is_some_and(|request| request.code == "TaskFailedToStart");
        let containers = if start_failed { Vec::new() } else { self.container_ends() };
        let mut final_state = None;
        self.context.tasks.lock().update(&self.id, Instant::now(), |state| {
            state.phase = TaskPhase::Stopped;
            state.exit_code = self.exit_code;
            state.containers = containers;
            state.started_at = self.started_at;
            let at = self.stopped_at.map_or(now, |at| at.min(now));
            state.stopped_at = Some(self.started_at.map_or(at, |started| at.max(started)));
            state.stop_code = request.as_ref().map(|request| request.code.clone());
            let lost = request.as_ref().is_some_and(|request| request.reason == LOST_REASON);
            state.diagnosis = lost.then(|| Diagnosis::TASK_LOST.with_text(LOST_REASON));
            state.reason = request.map(|request| request.reason);
            final_state = Some(state.clone());
        });
        if let Some(state) = final_state
            && let Err(error) = self.dir.write_state(&state)
        {
            tracing::warn!(task = %self.id, %error, "could not write the final state of a task");
        }
    }

    fn container_ends(&self) -> Vec<ContainerEnd> {
        let containers = self.record.containers.iter().zip(&self.containers);
        let end_of = |(container, state): (&ResolvedContainer, &ContainerState)| {
            let exit_code = match state {
                ContainerState::Ended(exit) => exit.code,
                ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
            };
            ContainerEnd::new(container.name.clone(), exit_code)
        };
        containers.map(end_of).collect()
    }

    /// Recovers the state of each container from the files; it may have changed while no launcher was running.
    async fn recover_state(&mut self) -> std::io::Result<()> {
        let record = self.record.clone();
        let same_boot = record.boot.is_some() && record.boot == self.context.boot;
        let request = self.dir.read_stop();
        let mut past_exits = Vec::new();
        let (mut ran, mut lost) = (false, false);
        for (index, container) in record.containers.iter().enumerate() {
            let mut state = self.dir.claim_start(&container.name)?;
            if state == DiskState::Starting {
                state = self.wait_for_start(&container.name).await?;
            }
            if !matches!(state, DiskState::NotStarted { .. }) {
                ran = true;
                self.record_running(self.dir.event_time(&container.name, FileEvent::Started));
            }
            self.containers[index] = match state {
                DiskState::NotStarted { next } if same_boot => ContainerState::Waiting { marker: next },
                DiskState::NotStarted { .. } => {
                    lost = true;
                    ContainerState::Ended(ContainerExit::unknown())
                }
                DiskState::Alive { pid } => {
                    let (dir, name) = (self.dir.clone(), container.name.clone());
                    self.exits.spawn(async move { (index, wait_for_exit(None, pid, &dir, &name).await) });
                    ContainerState::Running { pid }
                }
                DiskState::Starting => self.add_past_exit(index, None, &mut past_exits),
                DiskState::Ended { code } => {
                    self.add_past_exit(index, code.or(request.as_ref().map(|_| 128 + 9)), &mut past_exits)
                }
            };
        }
        if lost {
            self.stop_with_reason("EssentialContainerExited", LOST_REASON);
        } else if let Some(request) = request {
            self.begin_stop(request);
        } else if !ran && self.context.now().duration_since(record.accepted_at) > START_DEADLINE {
            self.stop_with_reason(
                "TaskFailedToStart",
                "no scheduler was running in the time in which the accepted task had to start",
            );
        }
        past_exits.sort_by_key(|(_, exit)| exit.at);
        for (index, exit) in past_exits {
            self.record_exit(index, exit);
        }
        Ok(())
    }

    /// Adds an exit that happened while no launcher was running; all of them are recorded in order once the last is
    /// known.
    fn add_past_exit(
        &self,
        index: usize,
        code: Option<i32>,
        exits: &mut Vec<(usize, ContainerExit)>,
    ) -> ContainerState {
        let at = self.dir.event_time(&self.record.containers[index].name, FileEvent::Ended);
        exits.push((index, ContainerExit { code, at, start_refused: false }));
        ContainerState::Ended(ContainerExit::unknown())
    }

    async fn wait_for_start(&self, container: &str) -> std::io::Result<DiskState> {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let state = self.dir.claim_start(container)?;
            if state != DiskState::Starting {
                return Ok(state);
            }
        }
        Ok(DiskState::Ended { code: self.dir.exit_code(container) })
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}
