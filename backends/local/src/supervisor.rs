//! One task from its acceptance to its end.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{ContainerEnd, TaskId, TaskPhase, Timestamp};
use jiff::SignedDuration;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Shared;
use crate::container::{Ended, Progress, Running, ended_of};
use crate::data_dir::{LaunchRecord, Moment, StopOrder, TaskDir, Trace};
use crate::definition::{Condition, MAX_STOP_TIMEOUT_SECS};
use crate::resolved_task::PlannedContainer;
use crate::shim;

/// How long after its acceptance a task may still be started, when the scheduler was away in between.
const START_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// What is said of a task whose proof of a start may have gone down with the machine.
pub(crate) const LOST: &str = "the machine went down after the task was accepted, and it cannot be told whether it ran; it is not started again";

/// Follows one task.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) record: Arc<LaunchRecord>,
    pub(crate) id: TaskId,
    pub(crate) dir: TaskDir,
    pub(crate) orders: watch::Receiver<Option<StopOrder>>,
    containers: Vec<Progress>,
    ends: JoinSet<(usize, Ended)>,
    /// Why the task ends, once it does; what is said first counts.
    stopping: Option<StopOrder>,
    /// The code that the task will report.
    exit_code: Option<i32>,
    /// When SIGKILL follows SIGTERM, for each container.
    kill_at: Vec<Option<Instant>>,
    started_at: Option<Timestamp>,
    stopped_at: Option<Timestamp>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        record: Arc<LaunchRecord>,
        id: TaskId,
        dir: TaskDir,
        orders: watch::Receiver<Option<StopOrder>>,
    ) -> Self {
        let count = record.containers.len();
        Self {
            shared,
            record,
            id,
            dir,
            orders,
            containers: vec![Progress::Waiting { marker: 0 }; count],
            ends: JoinSet::new(),
            stopping: None,
            exit_code: None,
            kill_at: vec![None; count],
            started_at: None,
            stopped_at: None,
        }
    }

    /// Takes up a task that an earlier launcher accepted, then follows it.
    pub(crate) async fn resume(mut self) {
        if let Err(error) = self.look_back().await {
            tracing::error!(task = %self.id, %error, "could not learn what became of a task; it is not started again");
            self.end_with("TaskFailedToStart", &format!("its files could not be read: {error}"));
        }
        self.follow().await;
    }

    /// Follows the task to its end.
    pub(crate) async fn follow(mut self) {
        loop {
            self.start_what_may();
            if !self.containers.iter().any(|progress| progress.is_open(self.stopping.is_some())) {
                break;
            }
            let kill_at = self.kill_at.iter().flatten().min().copied();
            tokio::select! {
                Some(end) = self.ends.join_next() => {
                    if let Ok((index, ended)) = end {
                        self.note_end(index, ended);
                    }
                }
                Ok(()) = self.orders.changed() => {
                    let order = self.orders.borrow_and_update().clone();
                    if let Some(order) = order {
                        self.begin_stop(order);
                    }
                }
                () = sleep_until(kill_at), if kill_at.is_some() => self.kill_overdue(),
            }
        }
        self.close();
    }

    /// Starts every container whose dependencies are met, until none is met by one that was just started.
    fn start_what_may(&mut self) {
        let mut more = true;
        while std::mem::take(&mut more) {
            for index in 0..self.containers.len() {
                let Progress::Waiting { marker } = self.containers[index] else { continue };
                if self.stopping.is_none() && self.is_due(index) {
                    self.start(index, marker);
                    more = true;
                }
            }
        }
    }

    fn is_due(&mut self, index: usize) -> bool {
        let record = self.record.clone();
        for dependency in &record.containers[index].depends_on {
            let named = |container: &PlannedContainer| container.name == dependency.container_name;
            let Some(other) = record.containers.iter().position(named) else { continue };
            let met = match (&self.containers[other], dependency.condition) {
                (Progress::Waiting { .. }, _) => false,
                (Progress::Running(_), condition) => condition == Condition::Start,
                (Progress::Ended(ended), Condition::Success) if ended.code != Some(0) => {
                    let reason = format!(
                        "container \"{}\" could not start: \"{}\", which must succeed first, {}",
                        record.containers[index].name,
                        dependency.container_name,
                        ended.in_words()
                    );
                    self.exit_code = ended.code;
                    self.end_with("TaskFailedToStart", &reason);
                    false
                }
                (Progress::Ended(_), _) => true,
            };
            if !met {
                return false;
            }
        }
        true
    }

    fn start(&mut self, index: usize, marker: u32) {
        let record = self.record.clone();
        let container = &record.containers[index];
        match Running::start(container, &self.dir, marker, &self.shared.options) {
            Ok((running, started)) => {
                let (dir, name, pid) = (self.dir.clone(), container.name.clone(), running.pid);
                self.ends.spawn(async move { (index, ended_of(Some(started), pid, &dir, &name).await) });
                self.containers[index] = Progress::Running(running);
                self.note_running(None);
            }
            Err(reason) => {
                self.containers[index] = Progress::Ended(Ended::unknown());
                let reason = format!("container \"{}\" could not start: {reason}", container.name);
                self.end_with("TaskFailedToStart", &reason);
            }
        }
    }

    fn note_running(&mut self, since: Option<Timestamp>) {
        let now = self.shared.now();
        let at = *self.started_at.get_or_insert_with(|| since.map_or(now, |since| since.min(now)));
        self.shared.book.lock().update(&self.id, now, |state| {
            state.phase = TaskPhase::Running;
            state.started_at = Some(at);
        });
    }

    fn note_end(&mut self, index: usize, ended: Ended) {
        let record = self.record.clone();
        let container = &record.containers[index];
        self.kill_at[index] = None;
        self.stopped_at = ended.at.or(self.stopped_at);
        let words = ended.in_words();
        let refused = ended.refused;
        let code = ended.code;
        self.containers[index] = Progress::Ended(ended);
        if refused {
            let reason =
                format!("container \"{}\" could not start: its marker could not be created", container.name);
            self.end_with("TaskFailedToStart", &reason);
            return;
        }
        // What is stopped because an essential container ended does not count.
        let counts = self.stopping.as_ref().is_none_or(|order| order.code == "UserInitiated");
        if counts && container.essential && self.exit_code.is_none() {
            self.exit_code = code;
        }
        if container.essential && self.stopping.is_none() {
            let reason = format!("essential container \"{}\" {words}", container.name);
            self.end_with("EssentialContainerExited", &reason);
        }
    }

    /// Ends the task for a reason of its own.
    fn end_with(&mut self, code: &str, reason: &str) {
        self.begin_stop(StopOrder { code: code.to_owned(), reason: reason.to_owned() });
    }

    fn begin_stop(&mut self, order: StopOrder) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(order);
        let runs = |progress: &Progress| matches!(progress, Progress::Running(_));
        if self.containers.iter().any(runs)
            && let Err(error) = self.dir.raise_stop_flag()
        {
            tracing::warn!(task = %self.id, %error, "could not flag a stop; a container just starting may miss it");
        }
        for (index, container) in self.record.containers.iter().enumerate() {
            if let Progress::Running(running) = &self.containers[index] {
                shim::signal(running.pid, &self.dir.prefix(&container.name), Signal::TERM);
                // A launch of an earlier version may say more.
                let patience = container.stop_timeout_secs.min(MAX_STOP_TIMEOUT_SECS);
                self.kill_at[index] = Some(Instant::now() + Duration::from_secs(patience));
            }
        }
    }

    fn kill_overdue(&mut self) {
        let now = Instant::now();
        for (index, container) in self.record.containers.iter().enumerate() {
            if self.kill_at[index].is_some_and(|at| at <= now) {
                self.kill_at[index] = None;
                if let Progress::Running(running) = &self.containers[index] {
                    shim::signal(running.pid, &self.dir.prefix(&container.name), Signal::KILL);
                }
            }
        }
    }

    fn close(&mut self) {
        let now = self.shared.now();
        let order = self.stopping.take();
        let never = order.as_ref().is_some_and(|order| order.code == "TaskFailedToStart");
        let containers = if never { Vec::new() } else { self.container_ends() };
        let mut last = None;
        self.shared.book.lock().update(&self.id, now, |state| {
            state.phase = TaskPhase::Stopped;
            state.exit_code = self.exit_code;
            state.containers = containers;
            state.started_at = self.started_at;
            let at = self.stopped_at.map_or(now, |at| at.min(now));
            state.stopped_at = Some(self.started_at.map_or(at, |started| at.max(started)));
            state.stop_code = order.as_ref().map(|order| order.code.clone());
            state.reason = order.map(|order| order.reason);
            last = Some(state.clone());
        });
        if let Some(state) = last
            && let Err(error) = self.dir.write_state(&state)
        {
            tracing::warn!(task = %self.id, %error, "could not keep how a task ended");
        }
    }

    fn container_ends(&self) -> Vec<ContainerEnd> {
        let ends = self.record.containers.iter().zip(&self.containers);
        ends.map(|(container, progress)| {
            let exit_code = match progress {
                Progress::Ended(ended) => ended.code,
                Progress::Waiting { .. } | Progress::Running(_) => None,
            };
            ContainerEnd { name: container.name.clone(), exit_code }
        })
        .collect()
    }

    /// Finds out what became of each container while no launcher was there.
    async fn look_back(&mut self) -> std::io::Result<()> {
        let record = self.record.clone();
        let same_boot = record.boot.is_some() && record.boot == self.shared.boot;
        let order = self.dir.read_stop();
        let mut ends = Vec::new();
        let (mut ran, mut lost) = (false, false);
        for (index, container) in record.containers.iter().enumerate() {
            let mut trace = self.dir.settle(&container.name)?;
            if trace == Trace::Starting {
                trace = self.wait_for_start(&container.name).await?;
            }
            if !matches!(trace, Trace::NotStarted { .. }) {
                ran = true;
                self.note_running(self.dir.moment(&container.name, Moment::Started));
            }
            self.containers[index] = match trace {
                Trace::NotStarted { next } if same_boot => Progress::Waiting { marker: next },
                Trace::NotStarted { .. } => {
                    lost = true;
                    Progress::Ended(Ended::unknown())
                }
                Trace::Alive { pid } => {
                    let (dir, name) = (self.dir.clone(), container.name.clone());
                    self.ends.spawn(async move { (index, ended_of(None, pid, &dir, &name).await) });
                    Progress::Running(Running { pid })
                }
                Trace::Starting => self.ended_before(index, None, &mut ends),
                Trace::Ended { code } => {
                    self.ended_before(index, code.or(order.as_ref().map(|_| 128 + 9)), &mut ends)
                }
            };
        }
        if lost {
            self.end_with("EssentialContainerExited", LOST);
        } else if let Some(order) = order {
            self.begin_stop(order);
        } else if !ran && self.shared.now().duration_since(record.accepted_at) > START_WITHIN {
            self.end_with("TaskFailedToStart", "the scheduler was away for too long after accepting it");
        }
        ends.sort_by_key(|(_, ended)| ended.at);
        for (index, ended) in ends {
            self.note_end(index, ended);
        }
        Ok(())
    }

    /// Puts an end that nobody watched with the others, which are told in their order once all are known.
    fn ended_before(&self, index: usize, code: Option<i32>, ends: &mut Vec<(usize, Ended)>) -> Progress {
        let at = self.dir.moment(&self.record.containers[index].name, Moment::Ended);
        ends.push((index, Ended { code, at, refused: false }));
        Progress::Ended(Ended::unknown())
    }

    async fn wait_for_start(&self, container: &str) -> std::io::Result<Trace> {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let trace = self.dir.settle(container)?;
            if trace != Trace::Starting {
                return Ok(trace);
            }
        }
        Ok(Trace::Ended { code: self.dir.exit_code(container) })
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}
