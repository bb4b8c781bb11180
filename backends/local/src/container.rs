//! The processes of one container: their start, and the wait for their exit.

use std::path::PathBuf;
use std::time::Duration;

use ecs_scheduler_core::Timestamp;
use tokio::process::Child;

use crate::data_dir::{FileEvent, TaskDir};
use crate::log_writer;
use crate::options::LocalOptions;
use crate::resolved_task::ResolvedContainer;
use crate::shim::{self, ShimPaths};

#[cfg(test)]
mod tests;

/// The exit code of a shell that could not create the start marker.
const EXIT_MARKER_TAKEN: i32 = 75;

/// How often a shell is polled that an earlier launcher started.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait for the rest of a container's output. It arrives at once, unless a process that could not be killed
/// holds the pipe.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of a container in its supervisor.
#[derive(Debug, Clone)]
pub(crate) enum ContainerState {
    /// Not started; the next start uses this marker number.
    Waiting { marker: u32 },
    /// Its shell is running.
    Running { pid: i32 },
    /// Its shell has exited.
    Ended(ContainerExit),
}

impl ContainerState {
    /// Tells whether the container will still start or exit.
    pub(crate) fn is_open(&self, stopping: bool) -> bool {
        match self {
            Self::Waiting { .. } => !stopping,
            Self::Running { .. } => true,
            Self::Ended(_) => false,
        }
    }
}

/// The child processes of a container: its shell, and the writer of its log.
#[derive(Debug)]
pub(crate) struct ChildProcesses {
    shell: Child,
    log_writer: Child,
}

/// Starts a container; returns the process id of its shell, which leads a process group.
///
/// # Errors
///
/// Fails with the reason as text; nothing was started.
pub(crate) fn start_container(
    container: &ResolvedContainer,
    dir: &TaskDir,
    marker: u32,
    options: &LocalOptions,
) -> Result<(i32, ChildProcesses), String> {
    let folder = match &container.working_directory {
        Some(folder) if !folder.is_dir() => {
            return Err(format!("working directory \"{}\" is not a folder", folder.display()));
        }
        Some(folder) => folder.clone(),
        None => dir
            .create_scratch()
            .map_err(|error| format!("its scratch folder could not be created: {error}"))?,
    };
    let program = shim::find_program(container, &folder)?;
    let paths = ShimPaths {
        prefix: dir.prefix(&container.name),
        marker: dir.marker(&container.name, marker),
        stop_flag: dir.stop_flag(),
    };
    let failed = |error| format!("/bin/sh could not be started: {error}");
    let (log_writer, output) = log_writer::spawn(&paths.prefix, options).map_err(failed)?;
    let shell = shim::spawn(container, &program, &paths, &folder, output).map_err(failed)?;
    let pid = shell.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    Ok((pid, ChildProcesses { shell, log_writer }))
}

/// How a container exited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerExit {
    /// The command's exit code, or 128 plus the number of the signal that ended it; absent when it was not recorded.
    pub(crate) code: Option<i32>,
    /// The time of the exit, if no launcher was running then.
    pub(crate) at: Option<Timestamp>,
    /// Whether its shell could not create the start marker, and so did not start the command.
    pub(crate) start_refused: bool,
}

impl ContainerExit {
    /// An exit with an unknown code and time.
    pub(crate) const fn unknown() -> Self {
        Self { code: None, at: None, start_refused: false }
    }

    /// Describes the exit; the text follows the container's name in a sentence.
    pub(crate) fn describe(&self) -> String {
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

/// Waits until a container's shell exits, kills the processes that it left, and returns how the container exited.
///
/// `children` is absent when an earlier scheduler started the shell; the shell is polled then.
pub(crate) async fn wait_for_exit(
    children: Option<ChildProcesses>,
    pid: i32,
    dir: &TaskDir,
    container: &str,
) -> ContainerExit {
    let prefix = dir.prefix(container);
    let is_child = children.is_some();
    let shell_code = match children {
        Some(ChildProcesses { mut shell, mut log_writer }) => {
            let shell_code = shell.wait().await.ok().and_then(shim::exit_code_of);
            kill_remaining(prefix).await;
            // After the timeout the log writer continues without supervision.
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, log_writer.wait()).await;
            shell_code
        }
        None => {
            while shim::is_alive(pid, &prefix) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            kill_remaining(prefix).await;
            None
        }
    };
    match dir.exit_code(container) {
        Some(code) => {
            let at = if is_child { None } else { dir.event_time(container, FileEvent::Ended) };
            ContainerExit { code: Some(code), at, start_refused: false }
        }
        None => {
            let killed_by_stop = || dir.read_stop().map(|_| 128 + 9);
            ContainerExit {
                code: shell_code.or_else(killed_by_stop),
                at: None,
                start_refused: shell_code == Some(EXIT_MARKER_TAKEN),
            }
        }
    }
}

async fn kill_remaining(prefix: PathBuf) {
    if let Err(error) = tokio::task::spawn_blocking(move || shim::kill_remaining(&prefix)).await {
        tracing::debug!(%error, "could not search for processes that a container left");
    }
}
