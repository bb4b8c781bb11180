//! The launcher: it opens the folders, answers calls from the task table, and starts and stops tasks.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ecs_scheduler_core::{
    ConfigError, FaultKind, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, Launcher, LogPage, LogRequest, ObservedTasks, Population, TaskId, TaskLogs, TaskSize,
    TaskSpec, TaskValidation,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::data_dir::{self, DataDir, StopMarker};
use crate::definition::{DefinitionProblem, LocalDefinition};
use crate::definition_store::DefinitionStore;
use crate::limits::{MAX_TASKS_PER_CALL, TOKEN_TTL};
use crate::options::LocalOptions;
use crate::task_table::TaskTable;
use crate::{cleanup, launch, logs, resolved_task};

#[cfg(test)]
mod tests;

/// How long a new launcher waits for the previous one to release the data folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs task definitions as processes of this machine, as this user.
///
/// Dropping it ends no task. One launcher at a time owns a data folder.
#[derive(Debug)]
pub struct LocalLauncher {
    context: Arc<Context>,
    supervisors: Arc<Mutex<JoinSet<()>>>,
}

impl LocalLauncher {
    /// Opens the folders and resumes the tasks of an earlier launcher. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails when a folder cannot be read or written, when another launcher owns the data folder, and when a record
    /// in it cannot be read: without the record, tasks could start twice.
    pub async fn open(options: LocalOptions) -> Result<Self, LaunchError> {
        let definitions = options.definitions.clone();
        let config = |message: String, error: std::io::Error| {
            LaunchError::new(FaultKind::Config, message).with_source(error)
        };
        let unreadable =
            |error| config(format!("could not read task definitions in {}", definitions.display()), error);
        let definitions_folder = definitions.canonicalize().map_err(unreadable)?;
        let store = DefinitionStore::open(definitions.clone()).map_err(unreadable)?;
        let unusable = |error| config(format!("could not use data folder {}", options.data.display()), error);
        let data = DataDir::open(&options.data).map_err(unusable)?;
        let lock = acquire_lock(&data).await?;
        let records = data.launches().map_err(unusable)?;
        let this = Self {
            context: Arc::new(Context {
                definitions_folder,
                data,
                boot: data_dir::boot_id(),
                definitions: Mutex::new(store),
                tasks: Mutex::new(TaskTable::default()),
                logged_ignored: Mutex::new(HashSet::new()),
                _lock: lock,
                options: options.clone(),
            }),
            supervisors: Arc::default(),
        };
        launch::resume_tasks(&this.context, &this.supervisors, records).map_err(unusable)?;
        let context = this.context.clone();
        this.supervisors.lock().spawn(async move { cleanup::run_cleanup(&context).await });
        Ok(this)
    }

    /// Returns every usable task definition.
    #[must_use]
    pub fn definitions(&self) -> Vec<Arc<LocalDefinition>> {
        self.context.definitions.lock().current().all().cloned().collect()
    }

    /// Returns the problems of files in the folder of definitions; the other files are usable.
    #[must_use]
    pub fn check(&self) -> Vec<DefinitionProblem> {
        self.context.definitions.lock().current().problems().to_vec()
    }

    /// Returns the log file of a container of a known task; standard output and error go to this one file.
    #[doc(hidden)]
    #[must_use]
    pub fn log_path(&self, task: &TaskId, container: &str) -> Option<PathBuf> {
        let tasks = self.context.tasks.lock();
        let valid = !container.is_empty() && !container.contains(['/', '.']);
        let name = tasks.folder_name(task).filter(|_| valid);
        name.map(|name| self.context.data.task_dir(name).log(container))
    }
}

/// Locks the data folder; waits up to [`LOCK_TIMEOUT`] for another launcher to release it.
async fn acquire_lock(data: &DataDir) -> Result<File, LaunchError> {
    let config = |message: String| LaunchError::new(FaultKind::Config, message);
    let root = data.root().display();
    let file = data.open_lock_file().map_err(|error| {
        config(format!("could not open the lock file of data folder {root}")).with_source(error)
    })?;
    let started = tokio::time::Instant::now();
    let mut logged = false;
    while file.try_lock().is_err() {
        let holder = data.read_holder().map(|process| format!(" (process {process})")).unwrap_or_default();
        if started.elapsed() >= LOCK_TIMEOUT {
            return Err(config(format!(
                "could not lock data folder {root}: another scheduler{holder} uses it; stop it, or set another ECSS_DATA_DIR"
            )));
        }
        if !std::mem::replace(&mut logged, true) {
            let seconds = LOCK_TIMEOUT.as_secs();
            tracing::warn!(
                "data folder {root} is in use by another scheduler{holder}; waiting up to {seconds} s until it ends"
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    data.write_holder(&file).map_err(|error| {
        config(format!("could not write the lock file of data folder {root}")).with_source(error)
    })?;
    Ok(file)
}

#[async_trait]
impl Launcher for LocalLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(MAX_TASKS_PER_CALL, 100, Duration::from_millis(500), TOKEN_TTL)
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        let definition =
            self.context.definitions.lock().find(&task.definition).ok().map(|found| found.name());
        Ok(Population::new(self.context.tasks.lock().population(job), definition))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        launch::launch_once(&self.context, &self.supervisors, request).await
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        Ok(self.context.tasks.lock().observe(tasks).into())
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        let name = {
            let tasks = self.context.tasks.lock();
            match tasks.folder_name(task) {
                Some(name) if tasks.can_stop(task) => name.to_owned(),
                Some(_) | None => return Ok(()),
            }
        };
        let request = StopMarker { code: "UserInitiated".to_owned(), reason: reason.to_owned() };
        self.context.data.task_dir(&name).write_stop(&request).map_err(|error| {
            LaunchError::new(FaultKind::Unavailable, format!("could not record the stop of task {task}"))
                .with_source(error)
        })?;
        self.context.tasks.lock().request_stop(task, request);
        Ok(())
    }
}

#[async_trait]
impl TaskValidation for LocalLauncher {
    /// Accepts every `launch` object, so that one document serves this launcher and that of ECS.
    fn check(&self, _: &TaskSpec) -> Result<(), ConfigError> {
        Ok(())
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        let definition = self.context.definitions.lock().find(&task.definition);
        resolved_task::review(definition.as_deref().map_err(Clone::clone), task).map_err(|error| vec![error])
    }

    /// Returns the size that the definition and the job give; a local process has no price.
    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        let found = self.context.definitions.lock().find(definition);
        Ok(found.map_or_else(|_| TaskSize::default(), |found| resolved_task::measure(&found, task)))
    }
}

impl LaunchDiagnosis for LocalLauncher {}

impl LaunchRecovery for LocalLauncher {}

#[async_trait]
impl TaskLogs for LocalLauncher {
    async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        logs::read(&self.context, request).await
    }
}
