//! The launcher's files: `launches/<token>.json` and `tasks/<task>/…`, all for this user alone.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ecs_scheduler_core::{FiringId, JobId, Refusal, TaskState, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::resolved_task::ResolvedContainer;

#[cfg(test)]
mod tests;

/// The content of a start marker that the launcher claimed, so that no shell can start under it.
const CLAIMED: &str = "claimed\n";

/// An accepted launch call; it is on disk before anything starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaunchRecord {
    pub(crate) token: String,
    pub(crate) job: JobId,
    pub(crate) firing: FiringId,
    pub(crate) started_by: String,
    pub(crate) definition: String,
    pub(crate) accepted_at: Timestamp,
    /// The boot id of the machine at acceptance; absent where the system has none.
    pub(crate) boot: Option<String>,
    /// The tasks' short names, which are also the names of their folders.
    pub(crate) tasks: Vec<String>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) containers: Vec<ResolvedContainer>,
}

/// A request to stop a task; it is on disk before the first signal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopMarker {
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// The state of a container as its files show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskState {
    /// No shell has created a start marker, and none can under a number lower than `next`.
    NotStarted { next: u32 },
    /// A shell has just created its start marker and has not written its process id yet.
    Starting,
    /// A shell has created its start marker and is running.
    Alive { pid: i32 },
    /// A shell has created its start marker and has exited; the code is absent when it was not recorded.
    Ended { code: Option<i32> },
}

/// The launcher's data folder.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Opens the folder, or creates it for this user alone.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        make_dir(root)?;
        let this = Self { root: root.canonicalize()? };
        make_dir(&this.root.join("launches"))?;
        make_dir(&this.root.join("tasks"))?;
        Ok(this)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn open_lock_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.root.join("lock"))
    }

    /// Writes the id of this process into the lock file.
    pub(crate) fn write_holder(&self, mut lock: &File) -> io::Result<()> {
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    }

    /// Returns the id of the process that holds the lock, if the lock file has one.
    pub(crate) fn read_holder(&self) -> Option<u32> {
        fs::read_to_string(self.root.join("lock")).ok()?.trim().parse().ok()
    }

    pub(crate) fn task_dir(&self, name: &str) -> TaskDir {
        TaskDir { path: self.root.join("tasks").join(name) }
    }

    /// Writes the record of a launch; it is durable when this returns.
    pub(crate) fn write_launch(&self, record: &LaunchRecord) -> io::Result<()> {
        for task in &record.tasks {
            make_dir(&self.task_dir(task).path)?;
        }
        let folder = self.root.join("launches");
        write_json_atomically(&folder.join(format!("{}.json", record.token)), record, true)?;
        File::open(&folder)?.sync_all()
    }

    pub(crate) fn remove_launch(&self, token: &str) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.root.join("launches").join(format!("{token}.json"))))
    }

    /// Reads the record of every launch. An unreadable record is an error, because its tasks could start twice.
    pub(crate) fn launches(&self) -> io::Result<Vec<LaunchRecord>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.root.join("launches"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.push(read_json(&path)?);
            } else {
                ignore_missing(fs::remove_file(&path))?;
            }
        }
        Ok(records)
    }

    /// Removes the oldest logs until all logs have at most `cap` bytes; logs that are being written stay.
    pub(crate) fn enforce_log_cap(&self, cap: u64) -> io::Result<()> {
        let mut logs = list_logs(self)?;
        let mut total: u64 = logs.iter().map(|log| log.bytes).sum();
        logs.retain(|log| !log.in_use);
        logs.sort_by_key(|log| log.modified);
        for log in logs {
            if total <= cap {
                break;
            }
            ignore_missing(fs::remove_file(&log.path))?;
            total -= log.bytes;
        }
        Ok(())
    }

    /// Returns the names of all task folders.
    pub(crate) fn task_names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(self.root.join("tasks"))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

/// A log file.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
    /// Whether a container of a running task writes to it.
    in_use: bool,
}

/// Lists the logs of all tasks.
fn list_logs(data: &DataDir) -> io::Result<Vec<LogFile>> {
    let mut found = Vec::new();
    for name in data.task_names()? {
        let dir = data.task_dir(&name);
        let ended = dir.path.join("state.json").exists();
        // A folder or file that is removed during the listing is skipped.
        for entry in fs::read_dir(&dir.path).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let has_suffix = |suffix: &str| name.to_str().is_some_and(|name| name.ends_with(suffix));
            let (current, rotated) = (has_suffix(".log"), has_suffix(".log.1"));
            if let Some(meta) = entry.metadata().ok().filter(|meta| meta.is_file() && (current || rotated)) {
                let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(LogFile { path, bytes: meta.len(), modified, in_use: current && !ended });
            }
        }
    }
    Ok(found)
}

/// The folder of one task.
#[derive(Debug, Clone)]
pub(crate) struct TaskDir {
    path: PathBuf,
}

impl TaskDir {
    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        ignore_missing(fs::remove_dir_all(&self.path))
    }

    /// The path prefix of a container's files; it is unique, so it also identifies the container's processes.
    pub(crate) fn prefix(&self, container: &str) -> PathBuf {
        self.path.join(container)
    }

    pub(crate) fn log(&self, container: &str) -> PathBuf {
        self.path.join(format!("{container}.log"))
    }

    /// The part of a container's log before the last rotation.
    pub(crate) fn rotated_log(&self, container: &str) -> PathBuf {
        self.path.join(format!("{container}.log.1"))
    }

    /// Returns the names of the containers that have files: those that were started, in alphabetical order.
    pub(crate) fn container_names(&self) -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if let Some((container, rest)) = name.to_str().and_then(|name| name.split_once('.'))
                && (rest.starts_with("log") || rest.starts_with("started."))
            {
                names.insert(container.to_owned());
            }
        }
        Ok(names)
    }

    pub(crate) fn marker(&self, container: &str, number: u32) -> PathBuf {
        self.path.join(format!("{container}.started.{number}"))
    }

    /// The file that exists from before the first signal of a stop.
    pub(crate) fn stop_flag(&self) -> PathBuf {
        self.path.join("stopping")
    }

    pub(crate) fn set_stop_flag(&self) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.stop_flag()).map(drop)
    }

    /// Creates the working directory of containers that name none.
    pub(crate) fn create_scratch(&self) -> io::Result<PathBuf> {
        let path = self.path.join("scratch");
        make_dir(&path)?;
        Ok(path)
    }

    /// Reads a container's exit code; `None` until it is written completely.
    pub(crate) fn exit_code(&self, container: &str) -> Option<i32> {
        let text = fs::read_to_string(self.path.join(format!("{container}.exit"))).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    }

    /// Returns when a container started or ended while no launcher was running: the modification time of a file.
    pub(crate) fn event_time(&self, container: &str, event: FileEvent) -> Option<Timestamp> {
        let path = match event {
            FileEvent::Started => self.marker(container, self.newest_marker(container)?),
            FileEvent::Ended => self.path.join(format!("{container}.exit")),
        };
        Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
    }

    fn newest_marker(&self, container: &str) -> Option<u32> {
        (0..).take_while(|number| self.marker(container, *number).exists()).last()
    }

    /// Returns the state of a container. If no shell has started it, claims the start marker, so that a late shell cannot
    /// start it either.
    pub(crate) fn claim_start(&self, container: &str) -> io::Result<DiskState> {
        let prefix = self.prefix(container);
        for number in 0.. {
            let marker = self.marker(container, number);
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&marker) {
                Ok(mut file) => {
                    file.write_all(CLAIMED.as_bytes())?;
                    return Ok(DiskState::NotStarted { next: number + 1 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let text = fs::read_to_string(&marker)?;
            if text == CLAIMED {
                continue;
            }
            return Ok(match text.trim_end().parse::<i32>() {
                Err(_) if text.is_empty() => DiskState::Starting,
                Ok(pid) if crate::shim::is_alive(pid, &prefix) => DiskState::Alive { pid },
                Ok(_) => {
                    crate::shim::kill_remaining(&prefix);
                    DiskState::Ended { code: self.exit_code(container) }
                }
                Err(_) => DiskState::Ended { code: self.exit_code(container) },
            });
        }
        Err(io::Error::other("a container has too many start markers"))
    }

    pub(crate) fn read_state(&self) -> Option<TaskState> {
        read_json(&self.path.join("state.json")).ok()
    }

    pub(crate) fn write_state(&self, state: &TaskState) -> io::Result<()> {
        write_json_atomically(&self.path.join("state.json"), state, false)
    }

    pub(crate) fn read_stop(&self) -> Option<StopMarker> {
        read_json(&self.path.join("stop.json")).ok()
    }

    pub(crate) fn write_stop(&self, request: &StopMarker) -> io::Result<()> {
        write_json_atomically(&self.path.join("stop.json"), request, false)
    }
}

/// An event whose time is the modification time of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FileEvent {
    /// The shell created the start marker.
    Started,
    /// The shell wrote the exit code.
    Ended,
}

/// Returns the boot id of the machine, which changes when the machine restarts.
pub(crate) fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

/// Replaces a file atomically; with `durable`, waits until the new content is on disk.
fn write_json_atomically<T: Serialize>(path: &Path, value: &T, durable: bool) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&temporary, path)
}
