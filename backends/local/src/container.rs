//! One container's process: its start, and how its end is learnt.

use std::path::PathBuf;
use std::time::Duration;

use ecs_scheduler_core::Timestamp;
use tokio::process::Child;

use crate::LocalOptions;
use crate::data_dir::{Moment, TaskDir};
use crate::log_writer;
use crate::resolved_task::PlannedContainer;
use crate::shim::{self, Paths};

#[cfg(test)]
mod tests;

/// The shell's own code for "somebody else has, or took, the marker".
const NO_MARKER: i32 = 75;

/// How often a shell is looked at that this launcher did not start itself.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the rest of a container's output is waited for. It comes at once, unless something still holds the pipe that could
/// not be killed.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

/// How far a container has come.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// Not started; the marker's number is the one to start under.
    Waiting { marker: u32 },
    /// Its shell lives.
    Running(Running),
    /// Its shell is gone.
    Ended(Ended),
}

impl Progress {
    /// Tells whether something is still to come of it.
    pub(crate) fn is_open(&self, stopping: bool) -> bool {
        match self {
            Self::Waiting { .. } => !stopping,
            Self::Running(_) => true,
            Self::Ended(_) => false,
        }
    }
}

/// The processes of a container: its shell, and the one that writes its log.
#[derive(Debug)]
pub(crate) struct Started {
    shell: Child,
    output: Child,
}

/// A container's shell: leader of its process group.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) pid: i32,
}

impl Running {
    /// Starts a container.
    ///
    /// # Errors
    ///
    /// Fails with the reason in words; nothing was started then.
    pub(crate) fn start(
        container: &PlannedContainer,
        dir: &TaskDir,
        marker: u32,
        options: &LocalOptions,
    ) -> Result<(Self, Started), String> {
        let folder = match &container.working_directory {
            Some(folder) if !folder.is_dir() => {
                return Err(format!("working directory \"{}\" is not a folder", folder.display()));
            }
            Some(folder) => folder.clone(),
            None => {
                dir.scratch().map_err(|error| format!("its scratch folder could not be made: {error}"))?
            }
        };
        let program = shim::resolve(container, &folder)?;
        let paths = Paths {
            prefix: dir.prefix(&container.name),
            marker: dir.marker(&container.name, marker),
            flag: dir.stop_flag(),
        };
        let failed = |error| format!("/bin/sh could not be started: {error}");
        let (output, writer) = log_writer::keep(&paths.prefix, options).map_err(failed)?;
        let shell = shim::spawn(container, &program, &paths, &folder, writer).map_err(failed)?;
        let pid = shell.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        Ok((Self { pid }, Started { shell, output }))
    }
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The command's exit code, 128 and the signal's number after a signal; absent when it could not be kept.
    pub(crate) code: Option<i32>,
    /// When, if it was some time ago.
    pub(crate) at: Option<Timestamp>,
    /// Whether its shell was kept from starting the command.
    pub(crate) refused: bool,
}

impl Ended {
    /// An end of which nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self { code: None, at: None, refused: false }
    }

    /// Says it in words that follow the container's name.
    pub(crate) fn in_words(&self) -> String {
        match self.code {
            None => "ended without leaving an exit code".to_owned(),
            Some(126) => "exited with code 126: its command could not be executed".to_owned(),
            Some(127) => "exited with code 127: a command was not found".to_owned(),
            Some(137) => "was killed (SIGKILL, exit code 137)".to_owned(),
            Some(code @ 129..=192) => format!("was ended by signal {} (exit code {code})", code - 128),
            Some(code) => format!("exited with code {code}"),
        }
    }
}

/// Waits until a container's shell is gone, ends what it left behind, and tells how it ended.
///
/// `started` is absent for a shell that an earlier scheduler started: it is looked at from time to time then.
pub(crate) async fn ended_of(started: Option<Started>, pid: i32, dir: &TaskDir, container: &str) -> Ended {
    let prefix = dir.prefix(container);
    let watched = started.is_some();
    let own = match started {
        Some(Started { mut shell, mut output }) => {
            let own = shell.wait().await.ok().and_then(shim::code_of);
            kill_rest(prefix).await;
            // A process that is not over by then goes on by itself.
            let _ = tokio::time::timeout(DRAINED_WITHIN, output.wait()).await;
            own
        }
        None => {
            while shim::is_alive(pid, &prefix) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            kill_rest(prefix).await;
            None
        }
    };
    match dir.exit_code(container) {
        Some(code) => {
            let at = if watched { None } else { dir.moment(container, Moment::Ended) };
            Ended { code: Some(code), at, refused: false }
        }
        None => {
            let killed_by_us = || dir.read_stop().map(|_| 128 + 9);
            Ended { code: own.or_else(killed_by_us), at: None, refused: own == Some(NO_MARKER) }
        }
    }
}

async fn kill_rest(prefix: PathBuf) {
    if let Err(error) = tokio::task::spawn_blocking(move || shim::kill_rest(&prefix)).await {
        tracing::debug!(%error, "could not look for what a container left behind");
    }
}
