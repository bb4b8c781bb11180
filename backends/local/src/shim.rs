//! The shell between the launcher and a container's process: it proves the start and keeps the exit code.
//!
//! The process must outlive the scheduler, and its exit code is told to its parent alone; so the parent is a shell of
//! a few lines that outlives the scheduler too. ADR 0004 weighs this against a helper program and a pipe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::resolved_task::PlannedContainer;

#[cfg(test)]
mod tests;

/// `$0` is where the container's files begin, `$1` the marker, `$2` the flag of a stop, the rest is the command.
///
/// The marker is created exclusively (`set -C`): of all that may try to start the same container, one gets through.
/// The flag is raised before the first SIGTERM, so a stop that comes while the command is being started, and is
/// caught by nobody, is seen all the same. The exit code is one write that ends in a line feed, so a reader knows half
/// a code from a whole one. Then whatever the command left behind in its process group is killed, the shell included,
/// as the end of a container would.
const SCRIPT: &str = r#"set -C
echo "$$" > "$1" || exit 75
trap : HUP INT QUIT TERM
(
  trap - HUP INT QUIT TERM
  [ -e "$2" ] && exit 143
  shift 2
  exec "$@"
) 2>&1
set -- "$?"
echo "$1" > "$0.exit" && kill -KILL 0
exit "$1"
"#;

/// The variable by which the processes of a container are known, in whatever process group they are.
const CONTAINER: &str = "ECSS_LOCAL_CONTAINER";

/// The files that a container's shell is told of.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Where the container's own files begin.
    pub(crate) prefix: PathBuf,
    /// What it must create to get through.
    pub(crate) marker: PathBuf,
    /// What says that the task is being stopped.
    pub(crate) flag: PathBuf,
}

/// Starts the shell for one container, whose output goes to `output`.
///
/// `program` is the resolved path of the command, `folder` where it starts.
pub(crate) fn spawn(
    container: &PlannedContainer,
    program: &Path,
    paths: &Paths,
    folder: &Path,
    output: io::PipeWriter,
) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .args([&*paths.prefix, &*paths.marker, &*paths.flag, program])
        .args(&container.argv[1..])
        .env_clear()
        .envs(&container.environment)
        .env(CONTAINER, &paths.prefix)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(false)
        .spawn()
}

/// Finds the program that a container's command names, as `execvp` would.
///
/// # Errors
///
/// Fails with the reason in words.
pub(crate) fn resolve(container: &PlannedContainer, folder: &Path) -> Result<PathBuf, String> {
    let name = &container.argv[0];
    if name.contains('/') {
        let path = folder.join(name);
        return match is_program(&path) {
            true => Ok(path),
            false => Err(format!("command \"{name}\" is not an executable file")),
        };
    }
    let search = container.environment.get("PATH").map_or("", String::as_str);
    std::env::split_paths(search)
        .map(|entry| folder.join(entry).join(name))
        .find(|path| is_program(path))
        .ok_or_else(|| format!("command \"{name}\" was not found in PATH {search}"))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Tells whether a process is the shell that was started for these files.
///
/// Linux shows the command line, which holds the task's unique name, so that a reused process number is told apart.
/// Elsewhere any process of that number counts.
pub(crate) fn is_alive(pid: i32, prefix: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    if !Path::new("/proc/self/cmdline").exists() {
        return Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    }
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    line.split(|byte| *byte == 0).any(|word| word == prefix.as_os_str().as_bytes())
}

/// Sends a signal to a container's whole process group, if it is still that container's.
pub(crate) fn signal(pid: i32, prefix: &Path, signal: Signal) {
    if is_alive(pid, prefix)
        && let Some(group) = Pid::from_raw(pid)
        && let Err(error) = rustix::process::kill_process_group(group, signal)
    {
        tracing::debug!(pid, %error, "could not signal a process group");
    }
}

/// Kills what is left of a container: what left its process group, and all of it when its shell was killed.
///
/// Its processes are known by a variable of their environment, which they inherit. A process that clears it, and one of another
/// user, is not found; without `/proc` none is.
#[cfg(target_os = "linux")]
pub(crate) fn kill_rest(prefix: &Path) {
    let mut killed = std::collections::HashSet::new();
    loop {
        let Ok(processes) = fs::read_dir("/proc") else { return };
        let names = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok());
        let found: Vec<i32> = names.filter(|pid| !killed.contains(pid) && is_of(*pid, prefix)).collect();
        if found.is_empty() {
            return;
        }
        // One that was just killed may have started others before.
        for pid in found {
            kill(pid, prefix);
            killed.insert(pid);
        }
    }
}

/// Kills nothing: where there is no `/proc`, nobody can tell whose a process is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_rest(_: &Path) {}

/// Kills a process by a handle, so that a number that was used again is no other process.
#[cfg(target_os = "linux")]
fn kill(pid: i32, prefix: &Path) {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(handle) = handle.filter(|_| is_of(pid, prefix))
        && let Err(error) = pidfd_send_signal(&handle, Signal::KILL)
    {
        tracing::debug!(pid, %error, "could not kill what a container left behind");
    }
}

#[cfg(target_os = "linux")]
fn is_of(pid: i32, prefix: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let value = |variable: &[u8]| {
        variable.strip_prefix(CONTAINER.as_bytes()).is_some_and(|rest| {
            rest.strip_prefix(b"=").is_some_and(|value| value == prefix.as_os_str().as_bytes())
        })
    };
    environment.split(|byte| *byte == 0).any(value)
}

/// Reads a shell's own end, for when it could not write the command's: 128 and the signal's number after a signal.
pub(crate) fn code_of(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}
