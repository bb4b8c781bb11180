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

use crate::plan::PlannedContainer;

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
) >> "$0.log" 2>&1
set -- "$?"
echo "$1" > "$0.exit" && kill -KILL 0
exit "$1"
"#;

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

/// Starts the shell for one container.
///
/// `program` is the resolved path of the command, `folder` where it starts.
pub(crate) fn spawn(
    container: &PlannedContainer,
    program: &Path,
    paths: &Paths,
    folder: &Path,
) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .args([&*paths.prefix, &*paths.marker, &*paths.flag, program])
        .args(&container.argv[1..])
        .env_clear()
        .envs(&container.environment)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
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

/// Kills what is left of a container whose shell ended without killing it: the shell itself was killed.
///
/// The number may be a stranger's by now, so a group is killed only if one of its processes is known to be the
/// container's: it writes the container's log, or has not become the command yet. Without `/proc` nobody can tell, and
/// nothing is killed.
pub(crate) fn kill_rest(pid: i32, prefix: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let member = |name: &str| group_of(name) == Some(pid) && is_of(name, prefix);
    let left = processes.flatten().any(|process| process.file_name().to_str().is_some_and(member));
    if left
        && let Some(group) = Pid::from_raw(pid)
        && let Err(error) = rustix::process::kill_process_group(group, Signal::KILL)
    {
        tracing::warn!(pid, %error, "could not kill what the shell of a container left behind");
    }
}

/// Reads the process group from `/proc/<pid>/stat`: the third word behind the program's name in parentheses.
fn group_of(process: &str) -> Option<i32> {
    process.parse::<u32>().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn is_of(process: &str, prefix: &Path) -> bool {
    let mut log = prefix.as_os_str().to_owned();
    log.push(".log");
    let log = PathBuf::from(log);
    let writes =
        |fd: u8| fs::metadata(format!("/proc/{process}/fd/{fd}")).is_ok_and(|open| is_same(&open, &log));
    [1, 2].into_iter().any(writes) || process.parse().is_ok_and(|pid| is_alive(pid, prefix))
}

fn is_same(open: &fs::Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (open.dev(), open.ino()))
}

/// Reads a shell's own end, for when it could not write the command's: 128 and the signal's number after a signal.
pub(crate) fn code_of(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}
