//! The ECS launcher: the trait's calls, made of the other modules.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ecs_scheduler_backend_aws::{
    AwsContext, FARGATE_CALLS, FARGATE_TASKS, Fault, Quota, RUN_TASK, RateLimiter,
};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{
    CheckResult, ConfigError, FaultKind, Finding, JobId, LaunchDiagnosis, LaunchError, LaunchLimits,
    LaunchRecovery, LaunchReport, LaunchRequest, Launcher, LogPage, LogRequest, LostCall, ObservedTasks,
    Permission, Population, TaskId, TaskLogs, TaskSize, TaskSpec, TaskValidation, Timestamp,
};
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::clients::RegionClients;
use crate::context::{EcsOptions, LauncherContext};
use crate::definitions::names_revision;
use crate::events::EventListener;
use crate::options::{FIRING_ID, Fargate, LaunchOptions, SCHEDULED_AT};
use crate::run_task_response::{self, RunTaskResult};
use crate::task_location::TaskLocation;
use crate::task_snapshot::TaskSnapshot;
use crate::task_state_cache::StateSource;
use crate::{describe, diagnose, logs, lost_launch, measure, permissions, preflight, request};

/// Maximum number of tasks that one call starts.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>: `count` is 1 to 10.
const MAX_TASKS_PER_CALL: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// Time for which a token is relied on. ECS keeps it for 24 hours, or for an hour after its last task ended, which
/// may be at once. The rest is a margin for clocks and for a call in flight.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
const TOKEN_LIFETIME: Duration = Duration::from_mins(50);

/// Timeout for what precedes the call of a launch: the read of the containers of a definition, and the wait for quota. It is shorter
/// than the timeout of a launch, so that a call that was not sent does not count as one with an unknown result, and the engine
/// looks soon whether the firing may still launch.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Interval at which running tasks are polled: by calls, and with events, where a poll is free.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
const POLL_INTERVAL_WITH_EVENTS: Duration = Duration::from_secs(2);

/// Maximum length of a stop reason in characters.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>: up to 255 characters.
const MAX_STOP_REASON: usize = 255;

/// Number of jobs whose warnings are remembered, so that each is logged once.
const MAX_REMEMBERED_WARNINGS: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// The quota of tasks on Fargate Spot, beside the one for on-demand tasks.
const FARGATE_SPOT_TASKS: Quota = Quota { name: "fargate-spot-tasks", ..FARGATE_TASKS };

/// Starts, counts, follows and stops tasks on Amazon ECS.
///
/// It makes no call until it is used. Dropping it ends no task.
#[derive(Debug)]
pub struct EcsLauncher {
    shared: Arc<LauncherContext>,
    listener: Mutex<Option<EventListener>>,
    /// The jobs whose containers got no variables for lack of room, each with the definition.
    without_variables: Mutex<LruCache<(String, String), ()>>,
}

impl EcsLauncher {
    /// Makes a launcher. Makes no call.
    #[must_use]
    pub fn new(aws: AwsContext, options: EcsOptions) -> Self {
        Self {
            shared: Arc::new(LauncherContext::new(aws, options)),
            listener: Mutex::new(None),
            without_variables: Mutex::new(LruCache::new(MAX_REMEMBERED_WARNINGS)),
        }
    }

    /// Returns the JSON schema of a job's `launch` object.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(LaunchOptions).to_value()
    }

    /// Starts the event listener if a queue is configured, and returns for how long the state of a running task is
    /// used from the cache. While events arrive, ECS is still polled at long intervals, in case an event was lost.
    fn state_ttl(&self) -> Duration {
        let Some(queue) = &self.shared.options.events_queue else { return Duration::ZERO };
        self.listener
            .lock()
            .get_or_insert_with(|| EventListener::start(Arc::clone(&self.shared), queue.clone()));
        if self.shared.event_health.is_receiving(queue) {
            self.shared.options.reconcile_every
        } else {
            POLL_INTERVAL
        }
    }

    /// Returns the rate limiters of the quotas that a call uses, each with its cost.
    fn rate_limiters(
        &self,
        at: &RegionClients,
        options: &LaunchOptions,
        request: &LaunchRequest,
    ) -> Vec<(Arc<RateLimiter>, u32)> {
        let quota_costs = quota_costs(options, request).into_iter();
        quota_costs.map(|(quota, cost)| (self.shared.clients.rate_limiter(&at.scope, quota), cost)).collect()
    }

    /// Sends calls no faster than they acquired quota. Between the two, the store makes the intent durable; in a busy
    /// second this takes as long as thousands of other writes, and all calls that acquired quota one by one would be
    /// sent at once.
    async fn throttle(&self, at: &RegionClients, options: &LaunchOptions, request: &LaunchRequest) {
        for (quota, cost) in quota_costs(options, request) {
            self.shared.clients.send_limiter(&at.scope, quota).acquire(Instant::now(), cost).await;
        }
    }

    /// Warns that the overrides of a job have no room for the firing's variables in other containers than these; once for each job
    /// and definition.
    fn warn_of_missing_variables(
        &self,
        request: &LaunchRequest,
        containers: &[(String, bool)],
        with_variables: &[&str],
    ) {
        let without = request::not_overridden(&request.task, containers);
        if without.len() == with_variables.len() {
            return;
        }
        let (job, definition) = (request.job.as_str(), request.definition.as_str());
        let key = (job.to_owned(), definition.to_owned());
        if self.without_variables.lock().put(key, ()).is_none() {
            tracing::warn!(
                job,
                definition,
                containers = without.join(", "),
                "the overrides leave no room for {FIRING_ID} and {SCHEDULED_AT} in these containers: shorten the overrides, or \
                 set ECSS_TASK_VARIABLES=off"
            );
        }
    }

    /// Reads the states of tasks of one cluster.
    async fn fetch_states(&self, location: &TaskLocation, tasks: &[TaskId]) -> ObservedTasks {
        let mut observed = ObservedTasks::default();
        let at = match self.shared.clients.client_for(location.region.as_deref()).await {
            Ok(at) => at,
            Err(fault) => {
                observed.push_unread(tasks.to_vec(), fault.into());
                return observed;
            }
        };
        for chunk in tasks.chunks(describe::MAX_TASKS) {
            let answer =
                describe::read_tasks(&self.shared.clients, &at, &location.cluster, chunk, false).await;
            let describe::Described { tasks: found, unreadable } = match answer {
                Ok(found) => {
                    if self.shared.clients.describe_faults.clear(&at.scope, &location.cluster) {
                        tracing::info!(cluster = location.cluster, "ECS accepts DescribeTasks calls again");
                    }
                    found
                }
                // The cluster does not exist (any more).
                Err(fault) if fault.kind() == FaultKind::NotFound => continue,
                Err(fault) if fault.kind() == FaultKind::Config => {
                    let (cluster, error) = (&location.cluster, chain(&fault));
                    if self.shared.clients.describe_faults.insert(&at.scope, cluster, &error) {
                        tracing::warn!(
                            cluster,
                            error,
                            "ECS rejects every DescribeTasks call; using the last known states"
                        );
                    }
                    let latest = chunk.iter().filter_map(|task| self.shared.task_states.latest(task));
                    latest.for_each(|state| observed.push_cached(state));
                    continue;
                }
                Err(fault) => {
                    observed.push_unread(chunk.to_vec(), fault.into());
                    continue;
                }
            };
            // Unknown tasks are left out, and refused names that ECS does not list either.
            let list = self.shared.task_list(&at, &location.cluster);
            for (task, fault) in unreadable.into_iter().filter(|(task, _)| list.lists(task)) {
                observed.push_unread(vec![task], fault.into());
            }
            for task in &found {
                let snapshot = TaskSnapshot::from(task);
                match self.shared.record_state(&at, &snapshot, StateSource::Response).await {
                    Ok(state) => observed.states.push(state),
                    Err(fault) => {
                        let task = TaskId::new(snapshot.task_arn.as_str());
                        observed.push_unread(vec![task], fault.into());
                    }
                }
            }
        }
        observed
    }
}

/// Returns the quotas that a call uses, each with its cost, scarcest first: a launch that waits for tasks must not
/// hold a call.
fn quota_costs(options: &LaunchOptions, request: &LaunchRequest) -> Vec<(Quota, u32)> {
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
        let has_events = self.shared.options.events_queue.is_some();
        LaunchLimits::new(
            MAX_TASKS_PER_CALL,
            describe::MAX_TASKS,
            if has_events { POLL_INTERVAL_WITH_EVENTS } else { POLL_INTERVAL },
            TOKEN_LIFETIME,
        )
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        let shared = &self.shared;
        let options = shared.parse_options(task)?;
        let at = shared.clients.client_for(options.region.as_deref()).await?;
        let before = shared.clients.answers();
        let definition = if names_revision(&task.definition) {
            Some(task.definition.clone())
        } else {
            let found = shared.definitions.find(&shared.clients, &at, &task.definition).await?;
            found.map(|known| known.arn.clone())
        };
        let poller = shared.cluster_poller(at, shared.cluster(&options));
        let tasks = poller.tasks_of(&shared.owner(job.as_str())).await?;
        let counted = Population::new(tasks, definition);
        Ok(if shared.clients.answers() == before { counted.from_cache() } else { counted })
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let shared = &self.shared;
        if request.count > MAX_TASKS_PER_CALL {
            let message = format!(
                "could not start {} tasks in one call: ECS accepts at most {MAX_TASKS_PER_CALL}",
                request.count
            );
            return Err(LaunchError::new(FaultKind::Config, message));
        }
        let options = shared.parse_options(&request.task)?;
        let at = shared.clients.client_for(options.region.as_deref()).await?;
        let cluster = shared.cluster(&options);
        let deadline = Instant::now() + PREPARATION_TIMEOUT;
        let learnt = shared.containers_for_launch(&at, &request.definition);
        let learnt = tokio::time::timeout_at(deadline, learnt).await;
        let containers = learnt.unwrap_or_else(|_| {
            let definition = &request.definition;
            let message =
                format!("could not read the containers of \"{definition}\" in time; nothing was started");
            Err(LaunchError::new(FaultKind::Unavailable, message))
        })?;
        let others = request::other_containers(&request.task, &options, &containers);
        self.warn_of_missing_variables(request, &containers, &others);
        let (own_cluster, tagged) = (&shared.options.cluster, shared.options.tags);
        let call = request::build_run_task(request, &options, own_cluster, tagged, &others);
        let sendable = tokio::time::timeout_at(deadline, self.throttle(&at, &options, request)).await;
        sendable.map_err(|_| {
            let message = format!(
                "could not send RunTask within {} s: other launches use up the quota; nothing was started",
                PREPARATION_TIMEOUT.as_secs()
            );
            LaunchError::new(FaultKind::Throttled, message)
        })?;
        let began = Instant::now();
        shared.clients.aws().meter().record_use(&request.job, "RunTask");
        let report = match call.send_with(&at.launch_client).await {
            Ok(output) => run_task_response::report_from_output(&output, request.count.get()),
            Err(error) => match run_task_response::classify_error(error, request) {
                RunTaskResult::Report(report) => report,
                RunTaskResult::Inactive(report) => {
                    shared.definitions.invalidate(&at, &request.definition);
                    report
                }
                RunTaskResult::Throttled(error) => {
                    for (limiter, _) in self.rate_limiters(&at, &options, request) {
                        limiter.throttled();
                    }
                    return Err(error);
                }
                RunTaskResult::Failed(error) => return Err(error),
            },
        };
        // A repeated call may name tasks whose events came before.
        if report.started.iter().any(|task| shared.task_states.latest(&task.task_id).is_none()) {
            shared.event_health.expect_event(began);
        }
        let started = report.started.iter().map(|task| task.task_id.clone());
        shared.task_list(&at, cluster).record_started(&request::started_by(&request.started_by), started);
        Ok(report)
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let ttl = self.state_ttl();
        let mut observed = ObservedTasks::default();
        let mut ask: BTreeMap<TaskLocation, Vec<TaskId>> = BTreeMap::new();
        for task in tasks {
            match self.shared.task_states.get_fresh(task, ttl) {
                Some(state) => observed.push_cached(state),
                None => {
                    let location = TaskLocation::from_task_id(task, &self.shared.options.cluster);
                    ask.entry(location).or_default().push(task.clone());
                }
            }
        }
        let reads = ask.iter().map(|(location, tasks)| self.fetch_states(location, tasks));
        for read in futures::future::join_all(reads).await {
            observed.states.extend(read.states);
            observed.cached.extend(read.cached);
            observed.unread.extend(read.unread);
        }
        Ok(observed)
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        let location = TaskLocation::from_task_id(task, &self.shared.options.cluster);
        let at = self.shared.clients.client_for(location.region.as_deref()).await?;
        let reason: String = reason.chars().take(MAX_STOP_REASON).collect();
        let began = Instant::now();
        let call = async {
            let call = at.client.stop_task().cluster(&location.cluster).task(task.as_str()).reason(reason);
            call.send().await.map_err(|error| Fault::from_sdk(error, format!("could not stop task {task}")))
        };
        match self.shared.clients.call_paced(&at.scope, RUN_TASK, call).await {
            Ok(answer) => {
                if answer.task().is_some_and(|task| task.last_status() != Some("STOPPED")) {
                    self.shared.event_health.expect_event(began);
                }
                Ok(())
            }
            // The task or the cluster does not exist (any more).
            Err(fault) if matches!(fault.kind(), FaultKind::NotFound | FaultKind::Config) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

#[async_trait]
impl TaskValidation for EcsLauncher {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        LaunchOptions::from_task(task, self.shared.options.own_tags()).map(drop)
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        // `check` reports options that cannot be parsed.
        let Ok(options) = self.shared.parse_options(task) else { return Ok(Vec::new()) };
        let refusals = options.refusals(task);
        if refusals.is_empty() { Ok(options.warnings(task)) } else { Err(refusals) }
    }

    async fn platform_warnings(&self, task: &TaskSpec) -> Vec<String> {
        let shared = &self.shared;
        let Ok(options) = shared.parse_options(task) else { return Vec::new() };
        let Ok(at) = shared.clients.client_for(options.region.as_deref()).await else { return Vec::new() };
        // Without an answer of ECS there is nothing to warn of.
        let Ok(found) = shared.definitions.find(&shared.clients, &at, &task.definition).await else {
            return Vec::new();
        };
        let mut warnings =
            Vec::from_iter(preflight::check_definition(task, at.scope.region.as_deref(), found.as_deref()));
        if shared.options.variables
            && let Some(known) = found
        {
            warnings.extend(preflight::check_overrides_length(task, &options, &known.containers));
        }
        warnings.into_iter().map(|finding| finding.message).collect()
    }

    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        let shared = &self.shared;
        let options = shared.parse_options(task)?;
        let at = shared.clients.client_for(options.region.as_deref()).await?;
        let known = shared.definitions.find_for_launch(&shared.clients, &at, definition).await?;
        let region = at.scope.region.as_deref();
        Ok(known.map_or_else(TaskSize::default, |known| measure::measure(task, &options, &known, region)))
    }

    async fn preflight(&self, task: &TaskSpec) -> Result<Vec<Finding>, LaunchError> {
        let shared = &self.shared;
        let options = match LaunchOptions::from_task(task, shared.options.own_tags()) {
            Ok(options) => options,
            Err(error) => return Ok(vec![Finding::at(error.pointer, error.message)]),
        };
        let at = shared.clients.client_for(options.region.as_deref()).await?;
        let cluster = shared.cluster(&options);
        let mut found =
            preflight::check_task(&shared.clients, &shared.definitions, &at, cluster, task, &options).await?;
        if shared.options.variables
            && let Ok(Some(known)) = shared.definitions.find(&shared.clients, &at, &task.definition).await
        {
            found.extend(preflight::check_overrides_length(task, &options, &known.containers));
        }
        Ok(found)
    }
}

#[async_trait]
impl LaunchDiagnosis for EcsLauncher {
    async fn diagnose(&self, tasks: &[TaskSpec]) -> Vec<CheckResult> {
        Box::pin(diagnose::run_checks(&self.shared, tasks)).await
    }

    async fn permissions(&self, tasks: &[TaskSpec]) -> Result<Vec<Permission>, LaunchError> {
        permissions::required(&self.shared, tasks).await
    }
}

#[async_trait]
impl TaskLogs for EcsLauncher {
    async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        Box::pin(logs::read(&self.shared, request)).await
    }
}

#[async_trait]
impl LaunchRecovery for EcsLauncher {
    async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        // Invalid options and an unreachable region fail in the call itself.
        let Ok(options) = self.shared.parse_options(&request.task) else { return };
        let Ok(at) = self.shared.clients.client_for(options.region.as_deref()).await else { return };
        let left = Duration::try_from(deadline.duration_since(self.shared.options.clock.now()));
        let deadline = Instant::now() + left.unwrap_or_default();
        for (limiter, cost) in self.rate_limiters(&at, &options, request) {
            limiter.acquire(deadline, cost).await;
        }
    }

    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        let shared = &self.shared;
        let options = shared.parse_options(&request.task)?;
        let at = shared.clients.client_for(options.region.as_deref()).await?;
        let scope =
            lost_launch::SearchScope { clients: &shared.clients, at: &at, cluster: shared.cluster(&options) };
        // Found tasks may have stopped already, so they do not enter the cache: the engine counts them.
        Ok(lost_launch::find_lost_launch(&scope, request, sent_at, shared.options.clock.now()).await?)
    }
}
