//! The local launcher of ECS Scheduler: task definitions as processes of this machine.
//!
//! It reads task definitions in ECS's own JSON from a folder and runs their containers as processes, each behind a
//! small shell that proves its start and keeps its exit code. Tasks outlive the scheduler; a restarted one takes them
//! up again. How to use it is told in `doc/local-launcher.md`.
//!
//! ```text
//! launch(token) ─▶ record on disk ─▶ report          one file per call, synced before anything starts
//!                        │
//!                     Driver ─▶ sh ─▶ marker (O_EXCL) ─▶ command ─▶ <container>.exit
//!                        │                                   ▲
//!   open() ─▶ records ─▶ resume: marker? alive? exit code? ──┘   never a second start
//! ```

mod container;
mod data_dir;
pub mod definition;
mod definition_store;
mod launch;
mod log_writer;
mod options;
mod resolved_task;
mod shim;
mod supervisor;
mod task_table;

use std::collections::HashSet;
use std::fs::File;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ecs_scheduler_core::{
    ConfigError, FaultKind, JobId, LaunchError, LaunchLimits, LaunchReport, LaunchRequest, Launcher,
    Population, TaskId, TaskSpec, TaskState, Timestamp,
};
use jiff::SignedDuration;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::data_dir::{DataDir, StopOrder};
use crate::definition_store::Folder;
use crate::task_table::Book;

pub use crate::definition::{Definition, DefinitionProblem};
pub use crate::definition_store::Definitions;
pub use crate::options::LocalOptions;

#[cfg(test)]
mod tests;

/// Tasks that one launch may start, as on ECS.
const PER_CALL: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// How long a token is remembered after its first use.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How often ended tasks, old tokens and logs are looked through.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// How long an opening launcher waits for one that is just closing in the same folder.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What the launcher and the drivers of its tasks share.
#[derive(Debug)]
struct Shared {
    options: LocalOptions,
    /// The folder of definitions, absolute: relative working directories begin there.
    definitions_folder: PathBuf,
    data: DataDir,
    boot: Option<String>,
    folder: Mutex<Folder>,
    book: Mutex<Book>,
    /// What was reported as ignored already.
    told: Mutex<HashSet<String>>,
    /// Held open: whoever holds it owns the folder.
    _lock: File,
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    fn task_id(&self, name: &str) -> TaskId {
        TaskId::new(format!("arn:aws:ecs:local:000000000000:task/{}/{name}", self.options.cluster))
    }
}

/// Runs task definitions as processes of this machine, as this user.
///
/// Dropping it ends no task. One launcher at a time owns a data folder.
#[derive(Debug)]
pub struct LocalLauncher {
    shared: Arc<Shared>,
    drivers: Arc<Mutex<JoinSet<()>>>,
}

impl LocalLauncher {
    /// Opens the folders and takes up the tasks that an earlier launcher left. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails when a folder cannot be read or written, when another launcher owns the data folder, and when a record
    /// in it cannot be read: passing over it could start tasks twice.
    pub async fn open(options: LocalOptions) -> Result<Self, LaunchError> {
        let definitions = options.definitions.clone();
        let config = |what: String, error: std::io::Error| {
            LaunchError::new(FaultKind::Config, format!("{what}: {error}"))
        };
        let unread =
            |error| config(format!("could not read task definitions in {}", definitions.display()), error);
        let definitions_folder = definitions.canonicalize().map_err(unread)?;
        let folder = Folder::open(definitions.clone()).map_err(unread)?;
        let unusable = |error| config(format!("could not use data folder {}", options.data.display()), error);
        let data = DataDir::open(&options.data).map_err(unusable)?;
        let lock = lock(&data).await?;
        let records = data.launches().map_err(unusable)?;
        let this = Self {
            shared: Arc::new(Shared {
                definitions_folder,
                data,
                boot: data_dir::boot_id(),
                folder: Mutex::new(folder),
                book: Mutex::new(Book::default()),
                told: Mutex::new(HashSet::new()),
                _lock: lock,
                options: options.clone(),
            }),
            drivers: Arc::default(),
        };
        this.take_up(records).map_err(unusable)?;
        let shared = this.shared.clone();
        this.drivers.lock().spawn(async move { tidy(&shared).await });
        Ok(this)
    }

    /// Returns every usable task definition.
    #[must_use]
    pub fn definitions(&self) -> Vec<Arc<Definition>> {
        self.shared.folder.lock().current().all().cloned().collect()
    }

    /// Returns what is wrong with files in the folder of definitions; their neighbours work all the same.
    #[must_use]
    pub fn check(&self) -> Vec<DefinitionProblem> {
        self.shared.folder.lock().current().problems().to_vec()
    }

    /// Returns where a container of a known task writes its output: standard output and error in one file.
    #[doc(hidden)]
    #[must_use]
    pub fn log_path(&self, task: &TaskId, container: &str) -> Option<PathBuf> {
        let book = self.shared.book.lock();
        let plain = !container.is_empty() && !container.contains(['/', '.']);
        book.name(task).filter(|_| plain).map(|name| self.shared.data.task(name).log(container))
    }
}

async fn lock(data: &DataDir) -> Result<File, LaunchError> {
    let config = |what: String| LaunchError::new(FaultKind::Config, what);
    let root = data.root().display();
    let file =
        data.lock_file().map_err(|error| config(format!("could not open the lock of {root}: {error}")))?;
    let started = tokio::time::Instant::now();
    let mut told = false;
    while file.try_lock().is_err() {
        let holder = data.holder().map(|process| format!(" (process {process})")).unwrap_or_default();
        if started.elapsed() >= LOCK_WAIT {
            return Err(config(format!(
                "could not own data folder {root}: another scheduler{holder} uses it; stop it, or set another ECSS_DATA_DIR"
            )));
        }
        if !std::mem::replace(&mut told, true) {
            let seconds = LOCK_WAIT.as_secs();
            tracing::warn!(
                "data folder {root} is in use by another scheduler{holder}; waiting up to {seconds} s for its end"
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    data.name_holder(&file)
        .map_err(|error| config(format!("could not write the lock of {root}: {error}")))?;
    Ok(file)
}

async fn tidy(shared: &Arc<Shared>) {
    let mut tick = tokio::time::interval(TIDY_EVERY);
    loop {
        tick.tick().await;
        let shared = shared.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || tidy_once(&shared)).await {
            tracing::warn!(%error, "could not look through the files of tasks");
        }
    }
}

/// Removes what need not be kept: folders first, because a record without folders starts nothing after a restart.
fn tidy_once(shared: &Shared) {
    let now = shared.now();
    let keep_for = SignedDuration::try_from(shared.options.keep_for).unwrap_or(SignedDuration::MAX);
    let names = shared.book.lock().prune_tasks(now, shared.options.keep_ended, keep_for);
    let tokens = shared.book.lock().prune_tokens(now, TOKEN_LIFE);
    let folders = names.iter().map(|name| shared.data.task(name).remove());
    let records = tokens.iter().map(|token| shared.data.remove_launch(token));
    let logs = std::iter::once_with(|| shared.data.bound_logs(shared.options.logs_cap));
    for error in folders.chain(records).chain(logs).filter_map(Result::err) {
        tracing::warn!(%error, "could not remove files of an ended task");
    }
}

#[async_trait]
impl Launcher for LocalLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits {
            per_call: PER_CALL,
            per_observation: 100,
            observe_every: Duration::from_millis(500),
            token_life: TOKEN_LIFE.unsigned_abs(),
        }
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        let definition = self.shared.folder.lock().find(&task.definition).ok().map(|found| found.name());
        Ok(Population { tasks: self.shared.book.lock().population(job), definition })
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.accept(request).await
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<Vec<TaskState>, LaunchError> {
        Ok(self.shared.book.lock().observe(tasks))
    }

    /// Takes every `launch` object: one document serves this launcher and that of ECS.
    fn check(&self, _: &TaskSpec) -> Result<(), ConfigError> {
        Ok(())
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        let definition = self.shared.folder.lock().find(&task.definition);
        resolved_task::review(definition.as_deref().map_err(Clone::clone), task).map_err(|error| vec![error])
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        let name = {
            let book = self.shared.book.lock();
            match book.name(task) {
                Some(name) if book.can_stop(task) => name.to_owned(),
                Some(_) | None => return Ok(()),
            }
        };
        let order = StopOrder { code: "UserInitiated".to_owned(), reason: reason.to_owned() };
        self.shared.data.task(&name).write_stop(&order).map_err(|error| {
            LaunchError::new(FaultKind::Unavailable, format!("could not note the stop of task {task}"))
                .because(error)
        })?;
        self.shared.book.lock().order_stop(task, order);
        Ok(())
    }
}
