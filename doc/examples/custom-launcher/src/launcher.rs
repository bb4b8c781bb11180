//! The launcher `spool`, and its provider.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    ConfigError, FaultKind, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, Launcher, LauncherProvider, LauncherSetup, ObservedTasks, Population, ProviderDescriptor,
    Refusal, Setting, SettingError, SettingValues, StartedTask, TaskId, TaskLogs, TaskSpec, TaskState,
    TaskValidation, async_trait,
};

use crate::spool::{Launch, Spool, TaskName};

/// The maximum number of tasks of one call.
const MAX_TASKS_PER_CALL: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// The spool folder.
const FOLDER: Setting = Setting::new(
    "SPOOL_FOLDER",
    "spool.folder",
    "FOLDER",
    "The folder that the launcher `spool` shares with its workers, as an absolute path; created when missing. The task \
     definition of a job is the name of a file in its folder `programs`",
);

/// Configures and opens the launcher `spool`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpoolProvider;

#[async_trait]
impl LauncherProvider for SpoolProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[FOLDER];
        ProviderDescriptor::new("spool", "Hands tasks to workers through a folder", SETTINGS)
            .chosen_by(&FOLDER)
            .with_purpose("to hand tasks to workers through a folder")
    }

    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let folder = settings.require(&FOLDER)?;
        if Path::new(folder).is_absolute() {
            return Ok(());
        }
        Err(SettingError::new(format!("SPOOL_FOLDER is \"{folder}\"; it must be an absolute path")))
    }

    async fn open(&self, setup: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError> {
        let folder = setup.settings.require(&FOLDER)?;
        let spool = Spool::open(folder).map_err(|error| {
            let message = format!("could not open the spool folder \"{folder}\"; check that it is writable");
            LaunchError::new(FaultKind::Config, message).with_source(error)
        })?;
        Ok(Arc::new(SpoolLauncher { spool, task_variables: setup.task_variables }))
    }
}

/// Puts tasks into a spool folder. All its state is in the folder, so a restart loses nothing.
#[derive(Debug)]
struct SpoolLauncher {
    spool: Spool,
    task_variables: bool,
}

impl SpoolLauncher {
    /// Works on the folder in a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || work(&spool)).await.map_err(io::Error::other)?
    }

    fn environment(&self, request: &LaunchRequest) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        if self.task_variables {
            environment.insert("ECSS_FIRING_ID".to_owned(), request.firing.as_str().to_owned());
            environment.insert("ECSS_SCHEDULED_AT".to_owned(), request.scheduled_at.to_string());
        }
        environment.extend(request.task.overrides.iter().flat_map(|change| change.environment.clone()));
        environment
    }
}

/// An unreadable folder is an error, and never taken for one without tasks.
fn unreadable(error: io::Error) -> LaunchError {
    LaunchError::new(FaultKind::Unavailable, "could not read the spool folder").with_source(error)
}

#[async_trait]
impl Launcher for SpoolLauncher {
    fn limits(&self) -> LaunchLimits {
        let token_life = Duration::from_hours(24);
        LaunchLimits::new(MAX_TASKS_PER_CALL, 100, Duration::from_secs(2), token_life)
    }

    async fn population(&self, job: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        let live = self.blocking(Spool::live_tasks).await.map_err(unreadable)?;
        let of_job = live.into_iter().filter(|(_, launch)| launch.job == *job);
        Ok(Population::new(of_job.map(|(task, _)| task.id()).collect(), None))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        if request.count > MAX_TASKS_PER_CALL {
            let message = format!("could not launch {} tasks: a call starts at most 10", request.count);
            return Err(LaunchError::new(FaultKind::Config, message));
        }
        let (program, token) = (request.definition.clone(), request.token.as_str().to_owned());
        // A token that was used before starts the same tasks again, also if the program is gone.
        if !self.spool.is_recorded(&token) && self.spool.program(&program).is_none() {
            let detail = format!("there is no file \"{program}\" in the folder \"programs\" of the spool");
            let refusal = Refusal::new("MISSING", false).with_detail(detail);
            let refused = vec![refusal; usize::try_from(request.count.get()).unwrap_or(usize::MAX)];
            return Ok(LaunchReport::new(Vec::new(), refused));
        }
        let environment = self.environment(request);
        let launch = Launch { job: request.job.clone(), program, count: request.count.get(), environment };
        let recorded = self.blocking({
            let token = token.clone();
            move |spool| spool.record_launch(&token, &launch)
        });
        // The file may be there although the write failed: only the same token may be sent again.
        let recorded = recorded.await.map_err(|error| {
            LaunchError::unanswered("could not record the launch in the spool folder").with_source(error)
        })?;
        let task = |number| TaskName { token: token.clone(), number }.id();
        let started = (0..recorded.count).map(|number| StartedTask::new(task(number), None));
        Ok(LaunchReport::new(started.collect(), Vec::new()))
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let tasks: Vec<TaskName> = tasks.iter().filter_map(TaskName::parse).collect();
        let states = self.blocking(move |spool| tasks.iter().map(|task| spool.state(task)).collect());
        let states: Vec<Option<TaskState>> = states.await.map_err(unreadable)?;
        Ok(states.into_iter().flatten().collect())
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        let Some(name) = TaskName::parse(task) else { return Ok(()) };
        let reason = reason.to_owned();
        let requested = self.blocking(move |spool| match spool.launch_of(&name)? {
            Some(_) => spool.request_stop(&name, &reason),
            None => Ok(()),
        });
        requested.await.map_err(|error| {
            let message = format!("could not record the stop of task {task}");
            LaunchError::new(FaultKind::Unavailable, message).with_source(error)
        })
    }
}

impl TaskValidation for SpoolLauncher {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        if !task.options.is_empty() {
            return Err(ConfigError::at("/launch", "The spool launcher takes no options."));
        }
        let is_too_much =
            |change: &ecs_scheduler_core::Override| change.command.is_some() || !change.resources.is_empty();
        match task.overrides.iter().position(is_too_much) {
            None => Ok(()),
            Some(index) => {
                let message = "The spool launcher overrides only the environment.";
                Err(ConfigError::at(format!("/overrides/{index}"), message))
            }
        }
    }
}

// No quota is waited for, tokens are never forgotten, and there is nothing to diagnose.
impl LaunchDiagnosis for SpoolLauncher {}

impl LaunchRecovery for SpoolLauncher {}

impl TaskLogs for SpoolLauncher {}
