//! The state that the launcher and its event listener share.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, Fault, Share};
use ecs_scheduler_core::{Clock, LaunchError, TaskId, TaskPhase, TaskSpec, TaskState};
use parking_lot::Mutex;

use crate::clients::{Clients, RegionClients};
use crate::cluster_poller::{ClusterPoller, TaskListCache};
use crate::definitions::DefinitionCache;
use crate::event_health::EventHealth;
use crate::options::LaunchOptions;
use crate::request::{OWN_TAGS, started_by};
use crate::task_exit;
use crate::task_location::{TaskLocation, cluster_name};
use crate::task_snapshot::TaskSnapshot;
use crate::task_state_cache::{StateSource, TaskStateCache};

/// The settings of an [`EcsLauncher`](crate::EcsLauncher).
#[derive(Clone)]
pub struct EcsOptions {
    /// The cluster of jobs that name none, by name or ARN: `ECSS_ECS_CLUSTER`.
    pub cluster: String,
    /// The scheduler's name, `ECSS_NAME`: `startedBy` begins with it. It must be the engine's.
    pub name: String,
    /// Whether tasks get the tags `ecss:job` and `ecss:firing`, which needs `ecs:TagResource`; true.
    pub tags: bool,
    /// Whether every container gets the variables of its firing, and not only those that a job overrides; true.
    pub variables: bool,
    /// The SQS queue that "ECS Task State Change" events go to, by name or URL: `ECSS_ECS_EVENTS_QUEUE`. The
    /// scheduler's own: every message is deleted.
    pub events_queue: Option<String>,
    /// Interval at which a cluster is listed, and at which tasks are polled although events arrive; 5 m.
    pub reconcile_every: Duration,
    /// The share of AWS's quotas that is used.
    pub share: Share,
    /// The source of the time.
    pub clock: Arc<dyn Clock>,
}

impl EcsOptions {
    /// Makes options for a cluster, all else by default.
    #[must_use]
    pub fn new(cluster: impl Into<String>, name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            cluster: cluster.into(),
            name: name.into(),
            tags: true,
            variables: true,
            events_queue: None,
            reconcile_every: Duration::from_mins(5),
            share: Share::default(),
            clock,
        }
    }

    /// Returns how many tags the scheduler adds.
    pub(crate) fn own_tags(&self) -> usize {
        if self.tags { OWN_TAGS } else { 0 }
    }
}

impl fmt::Debug for EcsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcsOptions")
            .field("cluster", &self.cluster)
            .field("name", &self.name)
            .field("tags", &self.tags)
            .field("variables", &self.variables)
            .field("events_queue", &self.events_queue)
            .field("reconcile_every", &self.reconcile_every)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

/// The state that the launcher and its event listener share.
#[derive(Debug)]
pub(crate) struct LauncherContext {
    pub(crate) options: EcsOptions,
    pub(crate) clients: Arc<Clients>,
    pub(crate) definitions: DefinitionCache,
    pub(crate) task_states: TaskStateCache,
    pub(crate) event_health: EventHealth,
    /// Cached task lists by region (named) and cluster (by name).
    task_lists: Mutex<HashMap<TaskLocation, Arc<TaskListCache>>>,
    prefix: Arc<str>,
}

impl LauncherContext {
    pub(crate) fn new(aws: AwsContext, options: EcsOptions) -> Self {
        Self {
            clients: Arc::new(Clients::new(aws, options.share)),
            definitions: DefinitionCache::default(),
            task_states: TaskStateCache::default(),
            event_health: EventHealth::default(),
            task_lists: Mutex::default(),
            prefix: format!("{}/", options.name).into(),
            options,
        }
    }

    /// Parses and checks a job's options.
    pub(crate) fn parse_options(&self, task: &TaskSpec) -> Result<LaunchOptions, LaunchError> {
        LaunchOptions::from_task(task, self.options.own_tags()).map_err(|error| {
            LaunchError::new(ecs_scheduler_core::FaultKind::Config, "could not read the job's launch options")
                .with_source(error)
        })
    }

    /// Returns the containers of a definition that is to be launched; each gets the variables of the firing. Returns
    /// none if the variables are switched off, or if this scheduler may not read definitions. They belong to one
    /// revision, so that a repeated call is the same call.
    pub(crate) async fn containers_for_launch(
        &self,
        at: &RegionClients,
        definition: &str,
    ) -> Result<Vec<(String, bool)>, LaunchError> {
        if !self.options.variables {
            return Ok(Vec::new());
        }
        let known =
            self.definitions.find_for_launch(&self.clients, at, definition).await.map_err(|fault| {
                let message =
                    format!("could not read the containers of \"{definition}\"; nothing was started");
                LaunchError::new(fault.kind(), message).with_source(fault)
            })?;
        Ok(known.map(|known| known.containers.clone()).unwrap_or_default())
    }

    /// Returns the cluster of a job.
    pub(crate) fn cluster<'a>(&'a self, options: &'a LaunchOptions) -> &'a str {
        options.cluster.as_deref().unwrap_or(&self.options.cluster)
    }

    /// Returns the `startedBy` of a job's tasks.
    pub(crate) fn owner(&self, job: &str) -> String {
        started_by(&format!("{}{job}", self.prefix))
    }

    pub(crate) fn task_list(&self, at: &RegionClients, cluster: &str) -> Arc<TaskListCache> {
        let key = TaskLocation { region: at.scope.region.clone(), cluster: cluster_name(cluster).to_owned() };
        Arc::clone(self.task_lists.lock().entry(key).or_default())
    }

    pub(crate) fn cluster_poller(&self, at: RegionClients, cluster: &str) -> ClusterPoller {
        ClusterPoller {
            clients: Arc::clone(&self.clients),
            task_list: self.task_list(&at, cluster),
            at,
            cluster: cluster.to_owned(),
            prefix: Arc::clone(&self.prefix),
            every: self.options.reconcile_every,
        }
    }

    /// Records the state of a task and returns its newest known state.
    pub(crate) async fn record_state(
        &self,
        at: &RegionClients,
        snapshot: &TaskSnapshot,
        source: StateSource,
    ) -> Result<TaskState, Fault> {
        let state =
            self.task_states.update(snapshot.progress(), self.resolve_state(at, snapshot).await?, source);
        if state.phase == TaskPhase::Stopped {
            let location = TaskLocation::from_task_id(&state.task_id, &self.options.cluster);
            self.task_list(at, &location.cluster).record_stopped(&state.task_id);
        }
        Ok(state)
    }

    /// Records an event, unless it is about a task of another scheduler. If the event cannot be resolved now, the
    /// next poll asks ECS.
    pub(crate) async fn record_event(&self, snapshot: &TaskSnapshot) {
        if !snapshot.started_by.as_deref().is_some_and(|owner| owner.starts_with(&*self.prefix)) {
            return;
        }
        self.event_health.record_event();
        let location =
            TaskLocation::from_task_id(&TaskId::new(snapshot.task_arn.as_str()), &self.options.cluster);
        let recorded = async {
            let at = self.clients.client_for(location.region.as_deref()).await?;
            self.record_state(&at, snapshot, StateSource::Event).await
        };
        if let Err(fault) = recorded.await {
            tracing::warn!(
                task = snapshot.task_arn,
                error = ecs_scheduler_core::fault::chain(&fault),
                "could not process a task event"
            );
        }
    }

    /// Resolves the state of a task. If several containers ended differently, the definition says which of them
    /// count.
    async fn resolve_state(&self, at: &RegionClients, snapshot: &TaskSnapshot) -> Result<TaskState, Fault> {
        let mixed = snapshot.last_status == "STOPPED"
            && snapshot.containers.len() > 1
            && snapshot.containers.iter().any(|container| container.exit_code != Some(0));
        if !mixed {
            return Ok(task_exit::task_state(snapshot, None));
        }
        let definition =
            match self.definitions.revision(&self.clients, at, &snapshot.task_definition_arn).await {
                Ok(definition) => definition,
                Err(fault) if fault.kind().is_transient() => return Err(fault),
                // Without permission to read the definition, all containers count.
                Err(_) => None,
            };
        Ok(task_exit::task_state(snapshot, definition.as_ref().map(|known| &known.containers[..])))
    }
}
