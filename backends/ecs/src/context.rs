//! What the launcher and its listener share.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{Aws, Fault, Share};
use ecs_scheduler_core::{Clock, LaunchError, TaskId, TaskPhase, TaskSpec, TaskState};
use parking_lot::Mutex;

use crate::clients::{Clients, Regional};
use crate::cluster_poller::{ClusterCopy, Sweeper};
use crate::definitions::Definitions;
use crate::event_health::Hearing;
use crate::options::LaunchOptions;
use crate::request::{OWN_TAGS, started_by};
use crate::task_exit;
use crate::task_location::{Somewhere, cluster_name};
use crate::task_snapshot::TaskView;
use crate::task_state_cache::{Book, From};

/// What an [`EcsLauncher`](crate::EcsLauncher) is set up with.
#[derive(Clone)]
pub struct EcsOptions {
    /// The cluster of jobs that name none, by name or ARN: `ECSS_ECS_CLUSTER`.
    pub cluster: String,
    /// The scheduler's name, `ECSS_NAME`: `startedBy` begins with it. It must be the engine's.
    pub name: String,
    /// Whether tasks get the tags `ecss:job` and `ecss:firing`, which needs `ecs:TagResource`; true.
    pub tags: bool,
    /// Whether every container is told of its firing, and not only those that a job overrides; true.
    pub variables: bool,
    /// The SQS queue that "ECS Task State Change" events go to, by name or URL: `ECSS_ECS_EVENTS_QUEUE`. The scheduler's own:
    /// every message is deleted.
    pub events_queue: Option<String>,
    /// How often a cluster is swept, and how often a task is asked for although its events are heard; 5 m.
    pub reconcile_every: Duration,
    /// How much of AWS's quotas is used.
    pub share: Share,
    /// What time it is.
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

/// What the launcher and its listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: EcsOptions,
    pub(crate) clients: Arc<Clients>,
    pub(crate) definitions: Definitions,
    pub(crate) book: Book,
    pub(crate) hearing: Hearing,
    /// Copies by region (named) and cluster (by name).
    copies: Mutex<HashMap<Somewhere, Arc<ClusterCopy>>>,
    prefix: Arc<str>,
}

impl Shared {
    pub(crate) fn new(aws: Aws, options: EcsOptions) -> Self {
        Self {
            clients: Arc::new(Clients::new(aws, options.share)),
            definitions: Definitions::default(),
            book: Book::default(),
            hearing: Hearing::default(),
            copies: Mutex::default(),
            prefix: format!("{}/", options.name).into(),
            options,
        }
    }

    /// Reads a job's options.
    pub(crate) fn read(&self, task: &TaskSpec) -> Result<LaunchOptions, LaunchError> {
        LaunchOptions::of(task, self.options.own_tags()).map_err(|error| {
            LaunchError::new(ecs_scheduler_core::FaultKind::Config, "could not read the job's launch options")
                .because(error)
        })
    }

    /// Returns the containers of what a call starts, which are all told of the firing. There are none where that is switched
    /// off, and where this scheduler may not read definitions. They are of a revision, so that a repeated call is the same call.
    pub(crate) async fn containers_of(
        &self,
        at: &Regional,
        definition: &str,
    ) -> Result<Vec<(String, bool)>, LaunchError> {
        if !self.options.variables {
            return Ok(Vec::new());
        }
        let known = self.definitions.started(&self.clients, at, definition).await.map_err(|fault| {
            let message = format!("could not learn the containers of \"{definition}\"; nothing was started");
            LaunchError::new(fault.kind(), message).because(fault)
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

    pub(crate) fn copy(&self, at: &Regional, cluster: &str) -> Arc<ClusterCopy> {
        let key = Somewhere { region: at.place.region.clone(), cluster: cluster_name(cluster).to_owned() };
        Arc::clone(self.copies.lock().entry(key).or_default())
    }

    pub(crate) fn sweeper(&self, at: Regional, cluster: &str) -> Sweeper {
        Sweeper {
            clients: Arc::clone(&self.clients),
            copy: self.copy(&at, cluster),
            at,
            cluster: cluster.to_owned(),
            prefix: Arc::clone(&self.prefix),
            every: self.options.reconcile_every,
        }
    }

    /// Takes in how a task stands; returns the newest that is known of it.
    pub(crate) async fn take_in(
        &self,
        at: &Regional,
        view: &TaskView,
        from: From,
    ) -> Result<TaskState, Fault> {
        let state = self.book.enter(view.progress(), self.judge(at, view).await?, from);
        if state.phase == TaskPhase::Stopped {
            let place = Somewhere::of(&state.task_id, &self.options.cluster);
            self.copy(at, &place.cluster).ended(&state.task_id);
        }
        Ok(state)
    }

    /// Takes in an event, unless it is of another's task. What cannot be judged now is asked for at the next look.
    pub(crate) async fn hear(&self, view: &TaskView) {
        if !view.started_by.as_deref().is_some_and(|owner| owner.starts_with(&*self.prefix)) {
            return;
        }
        self.hearing.event();
        let place = Somewhere::of(&TaskId::new(view.task_arn.as_str()), &self.options.cluster);
        let heard = async {
            let at = self.clients.of(place.region.as_deref()).await?;
            self.take_in(&at, view, From::Event).await
        };
        if let Err(fault) = heard.await {
            tracing::warn!(
                task = view.task_arn,
                error = ecs_scheduler_core::fault::chain(&fault),
                "an event could not be judged"
            );
        }
    }

    /// Judges a view; where several containers ended differently, the definition says which of them count.
    async fn judge(&self, at: &Regional, view: &TaskView) -> Result<TaskState, Fault> {
        let mixed = view.last_status == "STOPPED"
            && view.containers.len() > 1
            && view.containers.iter().any(|container| container.exit_code != Some(0));
        if !mixed {
            return Ok(task_exit::state(view, None));
        }
        let definition = match self.definitions.revision(&self.clients, at, &view.task_definition_arn).await {
            Ok(definition) => definition,
            Err(fault) if fault.kind().is_transient() => return Err(fault),
            // Who may not read it sees all containers count.
            Err(_) => None,
        };
        Ok(task_exit::state(view, definition.as_ref().map(|known| &known.containers[..])))
    }
}
