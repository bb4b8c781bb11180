//! A launcher for commands that check and decide jobs beside a scheduler, or without one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ecs_scheduler_core::{
    ConfigError, FaultKind, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, Launcher, ObservedTasks, Population, TaskId, TaskLogs, TaskSize, TaskSpec, TaskValidation,
};

use crate::config::Config;
use crate::error::CommandError;
use crate::server::ServerBuilder;

/// Opens the configured launcher for checks. One that is exclusive is not opened, because that takes it from the scheduler
/// that uses it: a launcher without checks stands for it.
///
/// # Errors
///
/// Fails with the problem and the remedy.
pub(crate) async fn open_to_check(
    builder: &ServerBuilder,
    config: &Config,
) -> Result<Arc<dyn Launcher>, CommandError> {
    if config.launcher.provider.is_exclusive() {
        return Ok(Arc::new(OfflineLauncher::default()));
    }
    builder.open_launcher(config).await
}

/// A launcher that starts nothing and knows no task.
#[derive(Debug, Default)]
pub(crate) struct OfflineLauncher {
    /// The launcher that checks jobs; without one, `launch` is not checked.
    checks: Option<Arc<dyn Launcher>>,
}

impl OfflineLauncher {
    /// Makes one that leaves the checks of jobs to another launcher.
    pub(crate) fn with_checks(checks: Arc<dyn Launcher>) -> Self {
        Self { checks: Some(checks) }
    }

    fn refuse<T>() -> Result<T, LaunchError> {
        Err(LaunchError::new(FaultKind::Config, "a launcher needs a server"))
    }
}

#[async_trait]
impl Launcher for OfflineLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(NonZeroU32::MIN, 1, Duration::from_secs(60), Duration::from_secs(60))
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        Self::refuse()
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        Self::refuse()
    }

    async fn observe(&self, _: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        Self::refuse()
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Self::refuse()
    }
}

#[async_trait]
impl TaskValidation for OfflineLauncher {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        self.checks.as_ref().map_or(Ok(()), |launcher| launcher.check(task))
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        self.checks.as_ref().map_or(Ok(Vec::new()), |launcher| launcher.review(task))
    }

    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        match &self.checks {
            Some(launcher) => launcher.measure(definition, task).await,
            None => Self::refuse(),
        }
    }
}

impl LaunchDiagnosis for OfflineLauncher {}

impl LaunchRecovery for OfflineLauncher {}

impl TaskLogs for OfflineLauncher {}
