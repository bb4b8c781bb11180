//! A worker: takes tasks from a spool folder and runs their programs.

use std::io;
use std::num::NonZeroUsize;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock as _, SystemClock, Timestamp};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::spool::{End, Launch, Spool, TaskName};

/// The time that a program has between the request to stop and its end by force.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Runs tasks from a spool folder.
#[derive(Debug)]
pub struct Worker {
    spool: Spool,
    name: String,
    poll_interval: Duration,
}

impl Worker {
    /// Makes a worker. The tasks that an earlier worker of this name left without an end get one: nobody watches their
    /// programs any more.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read or written.
    pub fn new(spool: Spool, name: impl Into<String>, poll_interval: Duration) -> io::Result<Self> {
        let name = name.into();
        for (task, _) in spool.live_tasks()? {
            if spool.worker_of(&task)?.as_deref() == Some(&name) {
                let reason = format!("worker {name} was restarted");
                spool.record_end(&task, &end(None, "WorkerLost", Some(reason)))?;
            }
        }
        Ok(Self { spool, name, poll_interval })
    }

    /// Runs tasks, at most `slots` at once, until an error occurs.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read or written.
    pub async fn run(self, slots: NonZeroUsize) -> io::Result<()> {
        let this = Arc::new(self);
        let mut running = JoinSet::new();
        for _ in 0..slots.get() {
            let worker = Arc::clone(&this);
            running.spawn(async move {
                loop {
                    if !worker.run_next().await? {
                        tokio::time::sleep(worker.poll_interval).await;
                    }
                }
            });
        }
        running.join_next().await.map_or(Ok(()), |ended| ended.map_err(io::Error::other)?)
    }

    /// Runs one waiting task to its end; returns whether there was one.
    async fn run_next(&self) -> io::Result<bool> {
        for (task, launch) in self.spool.live_tasks()? {
            if self.spool.worker_of(&task)?.is_none() && self.spool.claim(&task, &self.name)? {
                let end = self.run_task(&task, &launch).await?;
                self.spool.record_end(&task, &end)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn run_task(&self, task: &TaskName, launch: &Launch) -> io::Result<End> {
        if let Some(reason) = self.spool.stop_request(task)? {
            return Ok(end(None, "UserInitiated", Some(reason)));
        }
        let log = self.spool.create_log(task)?;
        let Some(program) = self.spool.program(&launch.program) else {
            return Ok(end(None, "TaskFailedToStart", Some("the program was removed".to_owned())));
        };
        let started = Command::new(program)
            .envs(&launch.environment)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .process_group(0)
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return Ok(end(None, "TaskFailedToStart", Some(error.to_string()))),
        };
        self.spool.record_start(task, now())?;
        let asked = tokio::select! {
            status = child.wait() => return Ok(end(status?.code(), "EssentialContainerExited", None)),
            asked = self.wait_for_stop_request(task) => asked?,
        };
        let status = stop(&mut child).await?;
        Ok(end(status.code(), "UserInitiated", Some(asked)))
    }

    async fn wait_for_stop_request(&self, task: &TaskName) -> io::Result<String> {
        loop {
            if let Some(reason) = self.spool.stop_request(task)? {
                return Ok(reason);
            }
            tokio::time::sleep(self.poll_interval).await;
        }
    }
}

/// Ends the program and the programs that it started.
async fn stop(child: &mut Child) -> io::Result<ExitStatus> {
    signal(child, Signal::TERM);
    match tokio::time::timeout(STOP_GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            signal(child, Signal::KILL);
            child.wait().await
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        // The group may have ended already.
        let _ = kill_process_group(group, signal);
    }
}

fn end(exit_code: Option<i32>, stop_code: &str, reason: Option<String>) -> End {
    End { at: now(), exit_code, stop_code: stop_code.to_owned(), reason }
}

fn now() -> Timestamp {
    SystemClock.now()
}
