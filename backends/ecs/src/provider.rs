//! The provider: the settings of the launcher, and how it is opened by them.

use std::sync::Arc;

use async_trait::async_trait;
use ecs_scheduler_backend_aws::AwsContext;
use ecs_scheduler_core::{
    LaunchError, Launcher, LauncherProvider, LauncherSetup, ProviderDescriptor, Setting, SettingError,
    SettingValues,
};
use serde_json::Value;

use crate::context::EcsOptions;
use crate::launcher::EcsLauncher;
use crate::options::is_cluster;

/// The cluster.
const CLUSTER: Setting = Setting::new(
    "ECSS_ECS_CLUSTER",
    "ecs.cluster",
    "CLUSTER",
    "The ECS cluster on which tasks start, by name or ARN, unless a job's `launch.cluster` names another",
)
.inherited();
/// Whether tasks are tagged.
const TAGS: Setting = Setting::new(
    "ECSS_ECS_TAGS",
    "ecs.tags",
    "on|off",
    "With `on`, tasks get the tags `ecss:job` and `ecss:firing`; this needs the permission `ecs:TagResource`. \
     Without the tags, the launcher finds the tasks of a call whose answer was lost by their creation time",
)
.with_default("on");
/// The queue of task-state events.
const EVENTS_QUEUE: Setting = Setting::new(
    "ECSS_ECS_EVENTS_QUEUE",
    "ecs.eventsQueue",
    "QUEUE",
    "The SQS queue, by name or URL, to which an EventBridge rule sends `ECS Task State Change` events. Only this \
     process may read it: each replica needs its own",
)
.without_default("none: tasks are described every few seconds");

/// The launcher `ecs`.
#[derive(Debug, Clone)]
pub struct EcsProvider {
    aws: AwsContext,
}

impl EcsProvider {
    /// Makes the provider. It calls AWS only when the launcher is used.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { aws }
    }
}

#[async_trait]
impl LauncherProvider for EcsProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[CLUSTER, TAGS, EVENTS_QUEUE];
        ProviderDescriptor::new("ecs", "Starts tasks on an ECS cluster", SETTINGS)
            .chosen_by(&CLUSTER)
            .with_purpose("to start tasks on an ECS cluster")
    }

    /// Checks the cluster and the queue, and parses the switch.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let Some(cluster) = settings.get(&CLUSTER) else {
            let message = "ECSS_LAUNCHER is \"ecs\", but no cluster is named; set ECSS_ECS_CLUSTER";
            return Err(SettingError::new(message));
        };
        if !is_cluster(cluster) {
            return Err(SettingError::new(format!(
                "ECSS_ECS_CLUSTER is \"{cluster}\"; it must be the name or the ARN of a cluster: up to 255 letters, \
                 digits, \"_\" and \"-\""
            )));
        }
        if let Some(queue) = settings.get(&EVENTS_QUEUE).filter(|queue| !is_queue(queue)) {
            return Err(SettingError::new(format!(
                "ECSS_ECS_EVENTS_QUEUE is \"{queue}\"; it must be the URL or the name of a queue: up to 80 letters, \
                 digits, \"_\" and \"-\""
            )));
        }
        settings.is_on(&TAGS).map(drop)
    }

    async fn open(&self, setup: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError> {
        let cluster = setup.settings.require(&CLUSTER)?;
        let options = EcsOptions {
            tags: setup.settings.is_on(&TAGS)?,
            variables: setup.task_variables,
            events_queue: setup.settings.get(&EVENTS_QUEUE).map(str::to_owned),
            ..EcsOptions::new(cluster, setup.scheduler, Arc::clone(&setup.clock))
        };
        Ok(Arc::new(EcsLauncher::new(self.aws.clone(), options)))
    }

    fn options_schema(&self) -> Value {
        EcsLauncher::schema()
    }
}

/// Tells whether a text is the name or the URL of a queue.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
fn is_queue(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        let stem = text.strip_suffix(".fifo").unwrap_or(text);
        let is_valid = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        return text.len() <= 80 && !stem.is_empty() && stem.bytes().all(is_valid);
    };
    matches!(scheme, "http" | "https")
        && rest.bytes().all(|c| c.is_ascii_graphic())
        && rest.split_once('/').is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
}
