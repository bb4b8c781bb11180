//! A trigger that fires while files wait in a folder, and one that reads the backlog of a custom queue.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{
    Batcher, BuildContext, ConfigError, EvalContext, Evaluation, FaultKind, Observation, Source, Trigger,
    TriggerError, TriggerType, async_trait, per_task,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

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
                let reason = format!("{files} files ÷ {each} per task, rounded up");
                Evaluation::tasks(per_task(files.into(), *each), reason)
            }
        };
        let folder = path.display().to_string();
        let waiting = Observation::new("waiting", folder, files.into(), "files", cx.tick.observed);
        Ok(evaluation.with_observation(waiting))
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
    TriggerError::new(kind, format!("could not list folder \"{}\"", path.display())).with_source(error)
}

/// Fires while a queue of the broker holds messages.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BacklogConfig {
    /// The queue's name.
    pub queue: String,
    /// How many messages one task takes. Default: 1.
    #[serde(default = "one")]
    pub value_per_task: NonZeroU32,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// The kind `backlog`. All its triggers read through one batcher.
#[derive(Debug)]
pub struct Backlog {
    depths: Batcher<Broker>,
}

impl Backlog {
    /// Makes the kind for a broker. Nothing is read before the first evaluation.
    #[must_use]
    pub fn new(broker: Broker) -> Self {
        Self { depths: Batcher::new(broker) }
    }
}

impl TriggerType for Backlog {
    const KIND: &'static str = "backlog";
    const SUMMARY: &'static str = "fires while a queue of the broker holds messages";
    type Config = BacklogConfig;

    fn build(&self, config: BacklogConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        if config.queue.is_empty() || config.queue.contains(char::is_whitespace) {
            return Err(ConfigError::at("/queue", "must be a name without blanks"));
        }
        Ok(Arc::new(BacklogTrigger { config, depths: self.depths.clone() }))
    }
}

#[derive(Debug)]
struct BacklogTrigger {
    config: BacklogConfig,
    depths: Batcher<Broker>,
}

#[async_trait]
impl Trigger for BacklogTrigger {
    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let BacklogConfig { queue, value_per_task } = &self.config;
        let depth = self.depths.read_for(cx.tick, queue.clone()).await?;
        let reason = format!("{depth} messages ÷ {value_per_task} per task, rounded up");
        Ok(Evaluation::tasks(per_task(depth, *value_per_task), reason))
    }
}

/// A broker that is asked by a line, `TOKEN orders mails`, and answers by one, `12 0`; `-` is a queue that it does not have.
pub struct Broker {
    address: String,
    token: String,
}

impl Broker {
    /// Names the broker. Secrets, which jobs must not hold, come from the program.
    #[must_use]
    pub fn new(address: String, token: String) -> Self {
        Self { address, token }
    }

    async fn ask(&self, queues: &[String]) -> std::io::Result<Vec<Option<u64>>> {
        let mut broker = BufReader::new(TcpStream::connect(&self.address).await?);
        broker.write_all(format!("{} {}\n", self.token, queues.join(" ")).as_bytes()).await?;
        let mut answer = String::new();
        broker.read_line(&mut answer).await?;
        let depths: Vec<_> = answer.split_whitespace().map(|depth| depth.parse().ok()).collect();
        if depths.len() == queues.len() {
            Ok(depths)
        } else {
            Err(std::io::Error::other(format!("it answered {answer:?}")))
        }
    }
}

#[async_trait]
impl Source for Broker {
    type Key = String;
    type Reading = u64;
    const MAX_KEYS: usize = 100;

    async fn read(&self, queues: &[String]) -> HashMap<String, Result<u64, TriggerError>> {
        let answer = self.ask(queues).await.map_err(|error| silent(&self.address, error));
        let depth = |(place, queue): (usize, &String)| {
            let depths = answer.as_ref().map_err(Clone::clone)?;
            depths[place].ok_or_else(|| missing(queue))
        };
        queues.iter().enumerate().map(|at| (at.1.clone(), depth(at))).collect()
    }
}

fn silent(address: &str, error: std::io::Error) -> TriggerError {
    let message = format!("could not ask the broker at {address}; check that it runs, and BROKER_TOKEN");
    TriggerError::new(FaultKind::Unavailable, message).with_source(error)
}

fn missing(queue: &str) -> TriggerError {
    TriggerError::new(FaultKind::NotFound, format!("the broker has no queue \"{queue}\"; check its name"))
}
