//! The provider: the settings of the launcher, and how it is opened by them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_core::{
    FaultKind, LaunchError, Launcher, LauncherProvider, LauncherSetup, PathKind, ProviderDescriptor, Setting,
};
use serde_json::{Value, json};

use crate::launcher::LocalLauncher;
use crate::options::LocalOptions;

/// The folder of task definitions.
const TASK_DEFINITIONS: Setting = Setting::new(
    "ECSS_LOCAL_TASK_DEFINITIONS",
    "local.taskDefinitions",
    "FOLDER",
    "The folder of task-definition JSON for the `local` launcher, one file per family",
)
.with_default_in_data_dir("task-definitions")
.with_path(PathKind::Folder);

/// The launcher `local`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalProvider;

#[async_trait]
impl LauncherProvider for LocalProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[TASK_DEFINITIONS];
        let summary = "Runs the commands of task definitions as processes of this machine";
        let purpose = "to run the commands of task definitions as processes of this machine";
        ProviderDescriptor::new("local", summary, SETTINGS).with_purpose(purpose)
    }

    /// Opens the launcher. A missing folder of task definitions is created, for this user alone.
    async fn open(&self, setup: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError> {
        let definitions = PathBuf::from(setup.settings.require(&TASK_DEFINITIONS)?);
        DirBuilder::new().recursive(true).mode(0o700).create(&definitions).map_err(|error| {
            let message = format!("could not make the folder \"{}\"", definitions.display());
            LaunchError::new(FaultKind::Config, message).with_source(error)
        })?;
        let options = LocalOptions {
            clock: Arc::clone(&setup.clock),
            variables: setup.task_variables,
            ..LocalOptions::new(definitions, setup.data_dir.join("local"))
        };
        Ok(Arc::new(LocalLauncher::open(options).await?))
    }

    fn options_schema(&self) -> Value {
        json!({ "type": "object", "description": "Ignored: it is for the ECS launcher" })
    }

    /// Returns true: one launcher owns the folder of its files.
    fn is_exclusive(&self) -> bool {
        true
    }
}
