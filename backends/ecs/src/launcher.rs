//! The launcher: each call of the trait, from what the other modules offer.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ecs_scheduler_backend_aws::{Aws, FARGATE_CALLS, FARGATE_TASKS, Fault, Pacer, Quota, RUN_TASK};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{
    ConfigError, Examination, FaultKind, Finding, JobId, LaunchError, LaunchLimits, LaunchReport,
    LaunchRequest, Launcher, Permission, Population, Search, TaskId, TaskSpec, TaskState, Timestamp,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::clients::Regional;
use crate::context::{EcsOptions, Shared};
use crate::definitions::names_revision;
use crate::events::Listener;
use crate::options::{Fargate, LaunchOptions};
use crate::run_task_response::{self, Outcome};
use crate::task_location::Somewhere;
use crate::task_snapshot::TaskView;
use crate::task_state_cache::From;
use crate::{describe, diagnose, lost_launch, permissions, preflight, request};

/// Tasks that one call may start.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>: `count` is 1 to 10.
const PER_CALL: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// How long a token is relied on. ECS keeps it for 24 hours or for an hour after the end of its last task, which may end
/// at once; the rest is a margin for clocks and for a call under way.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const TOKEN_LIFE: Duration = Duration::from_mins(50);

/// How long the containers of a definition may take to be read before a launch: less than a call may take in all, so that a
/// slow answer does not count as a launch whose answer is not known.
const LEARN_WITHIN: Duration = Duration::from_secs(8);

/// How often live tasks are looked at: by calls, and where events make a look free.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY_HEARING: Duration = Duration::from_secs(2);

/// Characters of the reason of a stop.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>: up to 255 characters.
const STOP_REASON: usize = 255;

/// The bucket of tasks on Fargate Spot, beside the one for on-demand tasks.
const FARGATE_SPOT_TASKS: Quota = Quota { name: "fargate-spot-tasks", ..FARGATE_TASKS };

/// Starts, counts, follows and stops tasks on Amazon ECS.
///
/// It calls nothing until it is asked for something. Dropping it ends no task.
#[derive(Debug)]
pub struct EcsLauncher {
    shared: Arc<Shared>,
    listener: Mutex<Option<Listener>>,
}

impl EcsLauncher {
    /// Makes a launcher; calls nothing.
    #[must_use]
    pub fn new(aws: Aws, options: EcsOptions) -> Self {
        Self { shared: Arc::new(Shared::new(aws, options)), listener: Mutex::new(None) }
    }

    /// Returns the JSON schema of a job's `launch` object.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(LaunchOptions).to_value()
    }

    /// Begins to listen to events, if there are any, and tells for how long an answer about a live task holds: as long as events
    /// are heard, ECS is asked in case one of them was lost.
    fn fresh(&self) -> Duration {
        let Some(queue) = &self.shared.options.events_queue else { return Duration::ZERO };
        self.listener.lock().get_or_insert_with(|| Listener::start(Arc::clone(&self.shared), queue.clone()));
        if self.shared.hearing.hears(queue) { self.shared.options.reconcile_every } else { LOOK_EVERY }
    }

    /// Returns the pacers of the buckets that a call takes from, each with its cost.
    fn pacers(
        &self,
        at: &Regional,
        options: &LaunchOptions,
        request: &LaunchRequest,
    ) -> Vec<(Arc<Pacer>, u32)> {
        let buckets = buckets(options, request).into_iter();
        buckets.map(|(quota, cost)| (self.shared.clients.pacer(&at.place, quota), cost)).collect()
    }

    /// Lets calls go no faster than they were admitted. In between, the intent is made durable: in a busy second that takes as
    /// long as thousands of other writes, and calls that were admitted one by one would all be sent at once.
    async fn pass(&self, at: &Regional, options: &LaunchOptions, request: &LaunchRequest) {
        for (quota, cost) in buckets(options, request) {
            self.shared.clients.gate(&at.place, quota).admit(Instant::now(), cost).await;
        }
    }

    async fn describe(
        &self,
        place: &Somewhere,
        tasks: &[TaskId],
        states: &mut Vec<TaskState>,
    ) -> Result<(), Fault> {
        let at = self.shared.clients.of(place.region.as_deref()).await?;
        for chunk in tasks.chunks(describe::MOST) {
            let answer = describe::each(&self.shared.clients, &at, &place.cluster, chunk, false).await;
            let found = match answer {
                // Tasks that are not known, and names that ECS refuses, are left out.
                Ok(found) => found.tasks,
                // There is no such cluster (any more).
                Err(fault) if fault.kind() == FaultKind::NotFound => continue,
                Err(fault) if fault.kind() == FaultKind::Config => {
                    let (cluster, error) = (&place.cluster, chain(&fault));
                    tracing::warn!(cluster, error, "ECS calls every question about tasks invalid");
                    states.extend(chunk.iter().filter_map(|task| self.shared.book.last(task)));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            for task in &found {
                states.push(self.shared.take_in(&at, &TaskView::from(task), From::Answer).await?);
            }
        }
        Ok(())
    }
}

/// Names the buckets that a call takes from, each with its cost; the scarcest first: who waits for tasks holds no call.
fn buckets(options: &LaunchOptions, request: &LaunchRequest) -> Vec<(Quota, u32)> {
    let tasks = match options.capacity(request.attempt).fargate() {
        None => return vec![(RUN_TASK, 1)],
        Some(Fargate::OnDemand) => FARGATE_TASKS,
        Some(Fargate::Spot) => FARGATE_SPOT_TASKS,
    };
    vec![(tasks, request.count.get()), (FARGATE_CALLS, 1), (RUN_TASK, 1)]
}

#[async_trait]
impl Launcher for EcsLauncher {
    fn limits(&self) -> LaunchLimits {
        let hearing = self.shared.options.events_queue.is_some();
        LaunchLimits {
            per_call: PER_CALL,
            per_observation: describe::MOST,
            observe_every: if hearing { LOOK_EVERY_HEARING } else { LOOK_EVERY },
            token_life: TOKEN_LIFE,
        }
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        let shared = &self.shared;
        let options = shared.read(task)?;
        let at = shared.clients.of(options.region.as_deref()).await?;
        let definition = if names_revision(&task.definition) {
            Some(task.definition.clone())
        } else {
            let found = shared.definitions.find(&shared.clients, &at, &task.definition).await?;
            found.map(|known| known.arn.clone())
        };
        let sweeper = shared.sweeper(at, shared.cluster(&options));
        let tasks = sweeper.tasks_of(&shared.owner(job.as_str())).await?;
        Ok(Population { tasks, definition })
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let shared = &self.shared;
        if request.count > PER_CALL {
            let message =
                format!("could not start {} tasks at once: ECS takes {PER_CALL} a call", request.count);
            return Err(LaunchError::new(FaultKind::Config, message));
        }
        let options = shared.read(&request.task)?;
        let at = shared.clients.of(options.region.as_deref()).await?;
        let cluster = shared.cluster(&options);
        let learnt = tokio::time::timeout(LEARN_WITHIN, shared.containers_of(&at, &request.definition)).await;
        let containers = learnt.unwrap_or_else(|_| {
            let definition = &request.definition;
            let message =
                format!("could not learn the containers of \"{definition}\" in time; nothing was started");
            Err(LaunchError::new(FaultKind::Unavailable, message))
        })?;
        let beside = request::beside(&request.task, &options, &containers);
        let (own_cluster, tagged) = (&shared.options.cluster, shared.options.tags);
        let call = request::run_task(request, &options, own_cluster, tagged, &beside);
        self.pass(&at, &options, request).await;
        let began = Instant::now();
        shared.clients.aws().meter().used(&request.job, "RunTask");
        let report = match call.send_with(&at.launching).await {
            Ok(output) => run_task_response::of_output(&output),
            Err(error) => match run_task_response::of_error(error, request) {
                Outcome::Report(report) => report,
                Outcome::Inactive(report) => {
                    shared.definitions.forget(&at, &request.definition);
                    report
                }
                Outcome::Throttled(error) => {
                    for (pacer, _) in self.pacers(&at, &options, request) {
                        pacer.throttled();
                    }
                    return Err(error);
                }
                Outcome::Failed(error) => return Err(error),
            },
        };
        // A repeated call may name tasks whose events came before.
        if report.started.iter().any(|task| shared.book.last(&task.task_id).is_none()) {
            shared.hearing.expect(began);
        }
        let started = report.started.iter().map(|task| task.task_id.clone());
        shared.copy(&at, cluster).started(&request::started_by(&request.started_by), started);
        Ok(report)
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<Vec<TaskState>, LaunchError> {
        let fresh = self.fresh();
        let mut states = Vec::with_capacity(tasks.len());
        let mut ask: BTreeMap<Somewhere, Vec<TaskId>> = BTreeMap::new();
        for task in tasks {
            match self.shared.book.known(task, fresh) {
                Some(state) => states.push(state),
                None => {
                    let place = Somewhere::of(task, &self.shared.options.cluster);
                    ask.entry(place).or_default().push(task.clone());
                }
            }
        }
        for (place, tasks) in &ask {
            self.describe(place, tasks, &mut states).await?;
        }
        Ok(states)
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        let place = Somewhere::of(task, &self.shared.options.cluster);
        let at = self.shared.clients.of(place.region.as_deref()).await?;
        let reason: String = reason.chars().take(STOP_REASON).collect();
        let began = Instant::now();
        let call = async {
            let call = at.client.stop_task().cluster(&place.cluster).task(task.as_str()).reason(reason);
            call.send().await.map_err(|error| Fault::of(error, format!("could not stop task {task}")))
        };
        match self.shared.clients.paced(&at, RUN_TASK, call).await {
            Ok(answer) => {
                if answer.task().is_some_and(|task| task.last_status() != Some("STOPPED")) {
                    self.shared.hearing.expect(began);
                }
                Ok(())
            }
            // There is no such task (any more), or no such cluster.
            Err(fault) if matches!(fault.kind(), FaultKind::NotFound | FaultKind::Config) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        LaunchOptions::of(task, self.shared.options.own_tags()).map(drop)
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        // The check names options that cannot be read.
        let refusals = self.shared.read(task).map(|options| options.refusals(task)).unwrap_or_default();
        if refusals.is_empty() { Ok(Vec::new()) } else { Err(refusals) }
    }

    fn options_schema(&self) -> Option<Value> {
        Some(Self::schema())
    }

    async fn preflight(&self, task: &TaskSpec) -> Result<Vec<Finding>, LaunchError> {
        let shared = &self.shared;
        let options = match LaunchOptions::of(task, shared.options.own_tags()) {
            Ok(options) => options,
            Err(error) => return Ok(vec![Finding::at(error.pointer, error.message)]),
        };
        let at = shared.clients.of(options.region.as_deref()).await?;
        let cluster = shared.cluster(&options);
        let mut found =
            preflight::look(&shared.clients, &shared.definitions, &at, cluster, task, &options).await?;
        if shared.options.variables
            && let Ok(Some(known)) = shared.definitions.find(&shared.clients, &at, &task.definition).await
        {
            found.extend(preflight::too_long(task, &options, &known.containers));
        }
        Ok(found)
    }

    async fn examine(&self, tasks: &[TaskSpec]) -> Vec<Examination> {
        Box::pin(diagnose::all(&self.shared, tasks)).await
    }

    async fn admit(&self, request: &LaunchRequest, deadline: Timestamp) {
        // What cannot be read, or reached, fails in the call itself.
        let Ok(options) = self.shared.read(&request.task) else { return };
        let Ok(at) = self.shared.clients.of(options.region.as_deref()).await else { return };
        let left = Duration::try_from(deadline.duration_since(self.shared.options.clock.now()));
        let deadline = Instant::now() + left.unwrap_or_default();
        for (pacer, cost) in self.pacers(&at, &options, request) {
            pacer.admit(deadline, cost).await;
        }
    }

    async fn search(&self, request: &LaunchRequest, sent_at: Timestamp) -> Result<Search, LaunchError> {
        let shared = &self.shared;
        let options = shared.read(&request.task)?;
        let at = shared.clients.of(options.region.as_deref()).await?;
        let scope =
            lost_launch::Scope { clients: &shared.clients, at: &at, cluster: shared.cluster(&options) };
        // Found tasks may have stopped already, so they do not enter the copy: the engine's ledger counts them.
        Ok(lost_launch::search(&scope, request, sent_at, shared.options.clock.now()).await?)
    }

    async fn permissions(&self, tasks: &[TaskSpec]) -> Result<Vec<Permission>, LaunchError> {
        permissions::of(&self.shared, tasks).await
    }
}
