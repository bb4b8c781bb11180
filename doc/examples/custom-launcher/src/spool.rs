//! The folder that the launcher and the workers share.
//!
//! | path | written by | contents |
//! |---|---|---|
//! | `programs/NAME` | an operator | the program that the task definition NAME starts |
//! | `launches/TOKEN.json` | the launcher | a [`Launch`]; it exists once for each token |
//! | `tasks/TOKEN-N.claim` | a worker | the name of the worker that runs task N of the launch; it exists once |
//! | `tasks/TOKEN-N.run` | a worker | the moment of the start |
//! | `tasks/TOKEN-N.stop` | the launcher | the reason of a stop request |
//! | `tasks/TOKEN-N.end` | a worker | an [`End`] |
//! | `tasks/TOKEN-N.log` | a worker | the output of the program |
//!
//! Each file appears whole or not at all, and is on disk before the call returns. No file is changed later.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{JobId, TaskId, TaskPhase, TaskState, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The tasks of one launch call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Launch {
    pub(crate) job: JobId,
    pub(crate) program: String,
    pub(crate) count: u32,
    pub(crate) environment: BTreeMap<String, String>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) exit_code: Option<i32>,
    pub(crate) stop_code: String,
    pub(crate) reason: Option<String>,
}

/// A task: the token of its launch, and its number in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskName {
    pub(crate) token: String,
    pub(crate) number: u32,
}

impl TaskName {
    /// Reads the id of a task. An id of another form names no task.
    pub(crate) fn parse(id: &TaskId) -> Option<Self> {
        let (token, number) = id.as_str().strip_prefix("spool/")?.rsplit_once('-')?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let number = number.parse().ok()?;
        token.bytes().all(fine).then(|| Self { token: token.to_owned(), number })
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId::new(format!("spool/{}-{}", self.token, self.number))
    }
}

/// A spool folder.
#[derive(Debug, Clone)]
pub struct Spool {
    root: PathBuf,
}

impl Spool {
    /// Opens the folder; creates it and the folders in it if they are missing.
    ///
    /// # Errors
    ///
    /// Fails when a folder cannot be created.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        for folder in ["programs", "launches", "tasks"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root })
    }

    /// Returns the path of a program, if there is a file of this name.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.root.join("programs").join(name);
        let fine = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        (fine && path.is_file()).then_some(path)
    }

    /// Tells whether a token was used before.
    pub(crate) fn is_recorded(&self, token: &str) -> bool {
        self.launch_path(token).exists()
    }

    /// Records a launch, unless its token was used before; returns the launch that holds.
    pub(crate) fn record_launch(&self, token: &str, launch: &Launch) -> io::Result<Launch> {
        let path = self.launch_path(token);
        if create_once(&path, launch)? { Ok(launch.clone()) } else { required(&path) }
    }

    /// Returns the launch of a task.
    pub(crate) fn launch_of(&self, task: &TaskName) -> io::Result<Option<Launch>> {
        let launch: Option<Launch> = read(&self.launch_path(&task.token))?;
        Ok(launch.filter(|launch| task.number < launch.count))
    }

    /// Returns all tasks that have not ended, with their launches.
    pub(crate) fn live_tasks(&self) -> io::Result<Vec<(TaskName, Launch)>> {
        let mut live = Vec::new();
        for entry in fs::read_dir(self.root.join("launches"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Some(token) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let launch: Launch = required(&path)?;
            for number in 0..launch.count {
                let task = TaskName { token: token.to_owned(), number };
                if !self.task_path(&task, "end").exists() {
                    live.push((task, launch.clone()));
                }
            }
        }
        Ok(live)
    }

    /// Returns the state of a task; none when there is no such task.
    pub(crate) fn state(&self, task: &TaskName) -> io::Result<Option<TaskState>> {
        if self.launch_of(task)?.is_none() {
            return Ok(None);
        }
        let mut state = TaskState::pending(task.id(), read(&self.task_path(task, "claim"))?);
        // The end is read first: a task that ends meanwhile is running in this answer.
        let end: Option<End> = read(&self.task_path(task, "end"))?;
        state.started_at = read(&self.task_path(task, "run"))?;
        if state.started_at.is_some() {
            state.phase = TaskPhase::Running;
        }
        if let Some(end) = end {
            state.phase = TaskPhase::Stopped;
            state.exit_code = end.exit_code;
            state.stop_code = Some(end.stop_code);
            state.reason = end.reason;
            state.stopped_at = Some(end.at);
        }
        Ok(Some(state))
    }

    /// Claims a task for a worker; false when another one has it.
    pub(crate) fn claim(&self, task: &TaskName, worker: &str) -> io::Result<bool> {
        create_once(&self.task_path(task, "claim"), &worker)
    }

    /// Returns the worker that claimed a task.
    pub(crate) fn worker_of(&self, task: &TaskName) -> io::Result<Option<String>> {
        read(&self.task_path(task, "claim"))
    }

    /// Records the start of a task.
    pub(crate) fn record_start(&self, task: &TaskName, at: Timestamp) -> io::Result<()> {
        create_once(&self.task_path(task, "run"), &at).map(drop)
    }

    /// Records the end of a task. The first one holds.
    pub(crate) fn record_end(&self, task: &TaskName, end: &End) -> io::Result<()> {
        create_once(&self.task_path(task, "end"), end).map(drop)
    }

    /// Asks the worker to stop a task. The first reason holds.
    pub(crate) fn request_stop(&self, task: &TaskName, reason: &str) -> io::Result<()> {
        create_once(&self.task_path(task, "stop"), &reason).map(drop)
    }

    /// Returns the reason for which a task is to stop.
    pub(crate) fn stop_request(&self, task: &TaskName) -> io::Result<Option<String>> {
        read(&self.task_path(task, "stop"))
    }

    /// Creates the file for the output of a task.
    pub(crate) fn create_log(&self, task: &TaskName) -> io::Result<File> {
        File::create(self.task_path(task, "log"))
    }

    fn launch_path(&self, token: &str) -> PathBuf {
        self.root.join("launches").join(format!("{token}.json"))
    }

    fn task_path(&self, task: &TaskName, extension: &str) -> PathBuf {
        self.root.join("tasks").join(format!("{}-{}.{extension}", task.token, task.number))
    }
}

/// Creates a file with a JSON value; returns false, and changes nothing, when the file exists.
fn create_once(path: &Path, value: &impl Serialize) -> io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn required<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    read(path)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
}
