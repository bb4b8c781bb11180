//! A trigger that fires while files wait in a folder.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, FaultKind, Observation, Trigger, TriggerError,
    TriggerType, async_trait, per_task,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Fires while files wait in a folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder, as an absolute path. Folders in it are not looked into.
    pub path: PathBuf,
    /// Counts only files whose name ends so, for example `.csv`. Default: all.
    #[serde(default)]
    pub suffix: String,
    /// How many files one task takes. Default: the floor fires, however many files there are.
    #[serde(default)]
    pub value_per_task: Option<NonZeroU32>,
}

/// The kind `folder`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folder;

impl TriggerType for Folder {
    const KIND: &'static str = "folder";
    const SUMMARY: &'static str = "fires while files wait in a folder";
    type Config = FolderConfig;

    fn build(&self, config: FolderConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        if !config.path.is_absolute() {
            return Err(ConfigError::at("/path", "must be an absolute path"));
        }
        Ok(Arc::new(FolderTrigger(config)))
    }
}

#[derive(Debug)]
struct FolderTrigger(FolderConfig);

#[async_trait]
impl Trigger for FolderTrigger {
    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let FolderConfig { path, suffix, value_per_task } = &self.0;
        let files = count(path, suffix).await.map_err(|error| unreadable(path, error))?;
        let evaluation = match value_per_task {
            _ if files == 0 => Evaluation::idle("no file waits"),
            None => Evaluation::floor(format!("{files} files wait")),
            Some(each) => {
                let because = format!("{files} files ÷ {each} per task, rounded up");
                Evaluation::tasks(per_task(files.into(), *each), because)
            }
        };
        Ok(evaluation.observing(Observation {
            name: "waiting".to_owned(),
            subject: path.display().to_string(),
            value: files.into(),
            unit: "files".to_owned(),
            at: cx.tick.observed,
        }))
    }
}

/// Counts the files of a folder.
async fn count(path: &Path, suffix: &str) -> std::io::Result<u32> {
    let mut entries = tokio::fs::read_dir(path).await?;
    let mut files = 0;
    while let Some(entry) = entries.next_entry().await? {
        let named = entry.file_name().to_string_lossy().ends_with(suffix);
        files += u32::from(named && entry.file_type().await?.is_file());
    }
    Ok(files)
}

/// An unreadable folder is an error and never taken for an empty one.
fn unreadable(path: &Path, error: std::io::Error) -> TriggerError {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FaultKind::NotFound,
        std::io::ErrorKind::PermissionDenied => FaultKind::Denied,
        _ => FaultKind::Unavailable,
    };
    TriggerError::new(kind, format!("could not list folder \"{}\"", path.display())).because(error)
}
