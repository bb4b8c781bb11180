//! The shim: a shell between the launcher and a container's process that proves the start and records the exit code.
//!
//! The process must outlive the scheduler, and only its parent receives its exit code. So the parent is a shell of a
//! few lines that outlives the scheduler too. ADR 0004 compares this with a helper program and with a pipe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use crate::resolved_task::ResolvedContainer;

#[cfg(test)]
mod tests;

/// `$0` is the prefix of the container's files, `$1` the start marker, `$2` the stop flag, the rest is the command.
///
/// The marker is created exclusively (`set -C`), so only one shell can start a container. The flag is set before the
/// first SIGTERM, so the shell honours a stop even when the signal arrives before the command can catch it. The exit
/// code is one write that ends in a line feed, so a reader can detect an incomplete one. Then the shell kills its
/// process group, itself included, as the end of a container kills all of its processes.
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

/// The environment variable that identifies the processes of a container in any process group.
const CONTAINER_VARIABLE: &str = "ECSS_LOCAL_CONTAINER";

/// The files that a container's shell gets as arguments.
#[derive(Debug)]
pub(crate) struct ShimPaths {
    /// The prefix of the container's own files.
    pub(crate) prefix: PathBuf,
    /// The start marker, which the shell must create before the command.
    pub(crate) marker: PathBuf,
    /// The file that exists once the task is being stopped.
    pub(crate) stop_flag: PathBuf,
}

/// Starts the shell of a container.
///
/// `program` is the path of the command's program, `folder` the working directory.
pub(crate) fn spawn(
    container: &ResolvedContainer,
    program: &Path,
    paths: &ShimPaths,
    folder: &Path,
    output: io::PipeWriter,
) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .args([&*paths.prefix, &*paths.marker, &*paths.stop_flag, program])
        .args(&container.argv[1..])
        .env_clear()
        .envs(&container.environment)
        .env(CONTAINER_VARIABLE, &paths.prefix)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(false)
        .spawn()
}

/// Finds the program of a container's command, as `execvp` does.
///
/// # Errors
///
/// Fails with the reason as text.
pub(crate) fn find_program(container: &ResolvedContainer, folder: &Path) -> Result<PathBuf, String> {
    let name = &container.argv[0];
    if name.contains('/') {
        let path = folder.join(name);
        return match is_executable(&path) {
            true => Ok(path),
            false => Err(format!("command \"{name}\" is not an executable file")),
        };
    }
    let search = container.environment.get("PATH").map_or("", String::as_str);
    std::env::split_paths(search)
        .map(|entry| folder.join(entry).join(name))
        .find(|path| is_executable(path))
        .ok_or_else(|| format!("command \"{name}\" was not found in PATH {search}"))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Tells whether a process is the shell of the container with this prefix.
///
/// On Linux the command line, which contains the unique prefix, distinguishes it from another process with a reused id.
/// On other systems any process of that id counts.
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

/// Sends a signal to a container's process group, if its leader is still the container's shell.
pub(crate) fn send_signal(pid: i32, prefix: &Path, signal: Signal) {
    if is_alive(pid, prefix)
        && let Some(group) = Pid::from_raw(pid)
        && let Err(error) = rustix::process::kill_process_group(group, signal)
    {
        tracing::debug!(pid, %error, "could not signal a process group");
    }
}

/// Kills the remaining processes of a container: those that left its process group, and all when its shell was killed.
///
/// An inherited environment variable identifies them. A process that cleared its environment or belongs to another user
/// is not found; without `/proc`, no process is found.
#[cfg(target_os = "linux")]
pub(crate) fn kill_remaining(prefix: &Path) {
    let mut killed = std::collections::HashSet::new();
    loop {
        let Ok(processes) = fs::read_dir("/proc") else { return };
        let names = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok());
        let found: Vec<i32> = names.filter(|pid| !killed.contains(pid) && belongs_to(*pid, prefix)).collect();
        if found.is_empty() {
            return;
        }
        // A killed process may have started others before, so the search is repeated.
        for pid in found {
            kill(pid, prefix);
            killed.insert(pid);
        }
    }
}

/// Kills nothing: without `/proc`, the processes of a container cannot be identified.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_remaining(_: &Path) {}

/// Kills a process through a pidfd, so that a reused process id cannot hit another process.
#[cfg(target_os = "linux")]
fn kill(pid: i32, prefix: &Path) {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(handle) = handle.filter(|_| belongs_to(pid, prefix))
        && let Err(error) = pidfd_send_signal(&handle, Signal::KILL)
    {
        tracing::debug!(pid, %error, "could not kill a process that a container left");
    }
}

#[cfg(target_os = "linux")]
fn belongs_to(pid: i32, prefix: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let value = |variable: &[u8]| {
        variable.strip_prefix(CONTAINER_VARIABLE.as_bytes()).is_some_and(|rest| {
            rest.strip_prefix(b"=").is_some_and(|value| value == prefix.as_os_str().as_bytes())
        })
    };
    environment.split(|byte| *byte == 0).any(value)
}

/// Returns the shell's own exit code, for when the command's was not recorded: 128 plus the signal number after a signal.
pub(crate) fn exit_code_of(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}
