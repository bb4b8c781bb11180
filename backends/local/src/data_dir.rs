//! What lies on disk: `launches/<token>.json`, `tasks/<task>/…`, and who may open them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ecs_scheduler_core::{FiringId, JobId, Refusal, TaskState, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::resolved_task::PlannedContainer;

#[cfg(test)]
mod tests;

/// What the launcher claims a marker with, so that no shell can start behind it.
const CLAIM: &str = "claimed\n";

/// One launch call that was accepted: on disk before anything is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaunchRecord {
    pub(crate) token: String,
    pub(crate) job: JobId,
    pub(crate) firing: FiringId,
    pub(crate) started_by: String,
    pub(crate) definition: String,
    pub(crate) accepted_at: Timestamp,
    /// Which start of the machine it was accepted in; absent where that cannot be told.
    pub(crate) boot: Option<String>,
    /// The tasks' short names, which are their folders'.
    pub(crate) tasks: Vec<String>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) containers: Vec<PlannedContainer>,
}

/// What was asked of a task's end; on disk before the first signal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopOrder {
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// What the files say of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// No shell has got through, and none can any more under this marker number or a lower one.
    NotStarted { next: u32 },
    /// A shell got through this instant and has not told its number yet.
    Starting,
    /// A shell got through and lives.
    Alive { pid: i32 },
    /// A shell got through and is gone; the code is absent when it could not be kept.
    Ended { code: Option<i32> },
}

/// The launcher's folder.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Creates the folder where it is missing, for this user alone.
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

    pub(crate) fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.root.join("lock"))
    }

    /// Writes which process has the lock into its file.
    pub(crate) fn name_holder(&self, mut lock: &File) -> io::Result<()> {
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    }

    /// Returns the process that has the lock, if it said so.
    pub(crate) fn holder(&self) -> Option<u32> {
        std::fs::read_to_string(self.root.join("lock")).ok()?.trim().parse().ok()
    }

    pub(crate) fn task(&self, name: &str) -> TaskDir {
        TaskDir { path: self.root.join("tasks").join(name) }
    }

    /// Writes a launch so that it survives a crash of the machine from here on.
    pub(crate) fn write_launch(&self, record: &LaunchRecord) -> io::Result<()> {
        for task in &record.tasks {
            make_dir(&self.task(task).path)?;
        }
        let folder = self.root.join("launches");
        replace(&folder.join(format!("{}.json", record.token)), record, true)?;
        File::open(&folder)?.sync_all()
    }

    pub(crate) fn remove_launch(&self, token: &str) -> io::Result<()> {
        gone(fs::remove_file(self.root.join("launches").join(format!("{token}.json"))))
    }

    /// Reads every launch; one that cannot be read is an error, because its tasks could be started twice.
    pub(crate) fn launches(&self) -> io::Result<Vec<LaunchRecord>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.root.join("launches"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.push(read_json(&path)?);
            } else {
                gone(fs::remove_file(&path))?;
            }
        }
        Ok(records)
    }

    /// Keeps all logs together within `cap` bytes: the oldest go, but for those that are being written.
    pub(crate) fn bound_logs(&self, cap: u64) -> io::Result<()> {
        let mut logs = logs(self)?;
        let mut total: u64 = logs.iter().map(|log| log.bytes).sum();
        logs.retain(|log| !log.in_use);
        logs.sort_by_key(|log| log.modified);
        for log in logs {
            if total <= cap {
                break;
            }
            gone(fs::remove_file(&log.path))?;
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

/// A file of output.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
    /// Whether a container of a running task writes it.
    in_use: bool,
}

/// Lists the logs of all tasks.
fn logs(data: &DataDir) -> io::Result<Vec<Log>> {
    let mut found = Vec::new();
    for name in data.task_names()? {
        let dir = data.task(&name);
        let ended = dir.path.join("state.json").exists();
        // A folder, or a file, that goes meanwhile has no logs.
        for entry in fs::read_dir(&dir.path).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let is_log = |end: &str| name.to_str().is_some_and(|name| name.ends_with(end));
            let (newest, earlier) = (is_log(".log"), is_log(".log.1"));
            if let Some(meta) = entry.metadata().ok().filter(|meta| meta.is_file() && (newest || earlier)) {
                let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(Log { path, bytes: meta.len(), modified, in_use: newest && !ended });
            }
        }
    }
    Ok(found)
}

/// One task's folder.
#[derive(Debug, Clone)]
pub(crate) struct TaskDir {
    path: PathBuf,
}

impl TaskDir {
    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(&self.path))
    }

    /// Where the files of a container begin; unique, so that it also tells its process from any other.
    pub(crate) fn prefix(&self, container: &str) -> PathBuf {
        self.path.join(container)
    }

    pub(crate) fn log(&self, container: &str) -> PathBuf {
        self.path.join(format!("{container}.log"))
    }

    pub(crate) fn marker(&self, container: &str, number: u32) -> PathBuf {
        self.path.join(format!("{container}.started.{number}"))
    }

    /// What says, before the first signal, that the task is being stopped.
    pub(crate) fn stop_flag(&self) -> PathBuf {
        self.path.join("stopping")
    }

    pub(crate) fn raise_stop_flag(&self) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.stop_flag()).map(drop)
    }

    /// Where a container starts that names no folder.
    pub(crate) fn scratch(&self) -> io::Result<PathBuf> {
        let path = self.path.join("scratch");
        make_dir(&path)?;
        Ok(path)
    }

    /// Reads a container's exit code; `None` while it is not wholly written.
    pub(crate) fn exit_code(&self, container: &str) -> Option<i32> {
        let text = fs::read_to_string(self.path.join(format!("{container}.exit"))).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    }

    /// Returns when a container started or ended by its file's time, for what happened while nobody watched.
    pub(crate) fn moment(&self, container: &str, what: Moment) -> Option<Timestamp> {
        let path = match what {
            Moment::Started => self.marker(container, self.newest_marker(container)?),
            Moment::Ended => self.path.join(format!("{container}.exit")),
        };
        Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
    }

    fn newest_marker(&self, container: &str) -> Option<u32> {
        (0..).take_while(|number| self.marker(container, *number).exists()).last()
    }

    /// Finds out what became of a container and, when it was not started, makes sure that it will not be behind our
    /// back: the marker that a late shell would need is taken.
    pub(crate) fn settle(&self, container: &str) -> io::Result<Trace> {
        let prefix = self.prefix(container);
        for number in 0.. {
            let marker = self.marker(container, number);
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&marker) {
                Ok(mut file) => {
                    file.write_all(CLAIM.as_bytes())?;
                    return Ok(Trace::NotStarted { next: number + 1 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let text = fs::read_to_string(&marker)?;
            if text == CLAIM {
                continue;
            }
            return Ok(match text.trim_end().parse::<i32>() {
                Err(_) if text.is_empty() => Trace::Starting,
                Ok(pid) if crate::shim::is_alive(pid, &prefix) => Trace::Alive { pid },
                Ok(_) => {
                    crate::shim::kill_rest(&prefix);
                    Trace::Ended { code: self.exit_code(container) }
                }
                Err(_) => Trace::Ended { code: self.exit_code(container) },
            });
        }
        Err(io::Error::other("a container has more markers than numbers"))
    }

    pub(crate) fn read_state(&self) -> Option<TaskState> {
        read_json(&self.path.join("state.json")).ok()
    }

    pub(crate) fn write_state(&self, state: &TaskState) -> io::Result<()> {
        replace(&self.path.join("state.json"), state, false)
    }

    pub(crate) fn read_stop(&self) -> Option<StopOrder> {
        read_json(&self.path.join("stop.json")).ok()
    }

    pub(crate) fn write_stop(&self, order: &StopOrder) -> io::Result<()> {
        replace(&self.path.join("stop.json"), order, false)
    }
}

/// A moment that a file's time tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// The marker's.
    Started,
    /// The exit code's.
    Ended,
}

/// Returns a name of the machine's present start, which changes when it is started again.
pub(crate) fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

/// Replaces a file by a new one in one step; `durable` waits until it is on the disk.
fn replace<T: Serialize>(path: &Path, value: &T, durable: bool) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&fresh, path)
}
