//! A scripted launcher, and short queries of the journal.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{
    Clock, ContainerEnd, DecisionQuery, DecisionRecord, EngineOptions, FaultKind, FireRequest, Firing,
    FiringQuery, FiringState, JobId, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery,
    LaunchReport, LaunchRequest, LaunchToken, Launcher, LogPage, LogRequest, MemoryStore, ObservedTasks,
    Population, Refusal, StartedTask, TaskId, TaskLogs, TaskPhase, TaskSize, TaskSpec, TaskState,
    TaskValidation, TickOutcome, Timestamp, TriggerRegistry, async_trait,
};
use ecs_scheduler_testing::{SimClock, Simulation};
use jiff::SignedDuration;
use parking_lot::Mutex;

/// The answer of the launcher to a call of `launch`; without a script it starts everything.
#[derive(Debug, Clone)]
pub(crate) enum Script {
    Refuse {
        all_but: u32,
        retryable: bool,
    },
    Fail {
        kind: FaultKind,
    },
    LoseAnswer,
    /// Reports neither tasks nor refusals.
    ReportNothing,
    Hang,
    Panic,
    /// Refuses the definition permanently. From now on the job's family resolves to this one, which may be unreadable.
    Withdraw {
        newest: &'static str,
        known: bool,
    },
}

/// Asks for this number of tasks by hand.
pub(crate) fn asking_for(tasks: Option<NonZeroU32>) -> FireRequest {
    let mut request = FireRequest::default();
    request.options.tasks = tasks;
    request
}

/// A call to the launcher that hangs or panics.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CallFault {
    Hang,
    Panic,
}

impl CallFault {
    async fn inject(fault: Option<Self>) {
        match fault {
            None => {}
            Some(Self::Hang) => std::future::pending().await,
            Some(Self::Panic) => panic!("a fault of the launcher"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ScriptedLauncher {
    clock: Arc<SimClock>,
    pub(crate) script: Mutex<VecDeque<Script>>,
    pub(crate) requests: Mutex<Vec<LaunchRequest>>,
    reports: Mutex<HashMap<LaunchToken, LaunchReport>>,
    pub(crate) tasks: Mutex<Vec<(JobId, TaskState)>>,
    pub(crate) population_fails: Mutex<bool>,
    pub(crate) population_kind: Mutex<FaultKind>,
    pub(crate) count_from_cache: AtomicBool,
    /// The job whose tasks are never counted: the call hangs.
    pub(crate) uncounted: Mutex<Option<JobId>>,
    /// Whether the quota is used up permanently.
    pub(crate) no_quota: Mutex<bool>,
    pub(crate) run_for: Mutex<Option<Duration>>,
    /// The definition that the family of every job resolves to.
    pub(crate) definition: Mutex<Option<String>>,
    /// The sizes of tasks, by definition; others are unknown.
    pub(crate) sizes: Mutex<HashMap<String, TaskSize>>,
    /// How long a task runs after a request to stop, and its exit code then.
    pub(crate) stopping: Mutex<(Duration, i32)>,
    /// How long tasks that are started from now on stay pending.
    pub(crate) pending_for: Mutex<Duration>,
    /// How long tasks that are started from now on stay pending until the platform gives them up; they never start then.
    pub(crate) fail_to_start: Mutex<Option<Duration>>,
    /// When tasks end that never start.
    given_up: Mutex<HashMap<TaskId, Timestamp>>,
    /// The containers of a task that ends by itself, with their exit codes.
    pub(crate) containers: Mutex<Vec<(String, Option<i32>)>>,
    /// Whether it hides all tasks.
    pub(crate) hidden: AtomicBool,
    /// The fault of the next observation, and of the next request to stop a task.
    pub(crate) observe_fault: Mutex<Option<CallFault>>,
    pub(crate) stop_fault: Mutex<Option<CallFault>>,
    /// The page of the next read of a task's output, and the fault of that read.
    pub(crate) log: Mutex<Option<LogPage>>,
    pub(crate) log_fault: Mutex<Option<CallFault>>,
    /// Whether requests to stop a task are denied.
    pub(crate) stop_denied: AtomicBool,
    /// Whether it keeps what it sees, and answers from it for this long.
    pub(crate) cache_for: Mutex<Option<Duration>>,
    cache: Mutex<HashMap<TaskId, (Timestamp, TaskState)>>,
    /// The job whose tasks cannot be observed now.
    pub(crate) unread: Mutex<Option<JobId>>,
    /// Every request to stop a task.
    pub(crate) stops: Mutex<Vec<TaskId>>,
    /// When tasks that were requested to stop end.
    ends: Mutex<HashMap<TaskId, Timestamp>>,
    /// The most tasks that were alive at once.
    pub(crate) most_alive: AtomicUsize,
    next: AtomicU32,
}

impl ScriptedLauncher {
    fn start(&self, request: &LaunchRequest, count: u32) -> Vec<StartedTask> {
        self.settle();
        let started: Vec<StartedTask> = (0..count)
            .map(|_| {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let task_id = TaskId::new(format!("task-{number}"));
                let starts = self.clock.now().saturating_add(*self.pending_for.lock()).unwrap();
                let mut state = TaskState::pending(task_id.clone(), None);
                state.started_at = Some(starts);
                if let Some(after) = *self.fail_to_start.lock() {
                    state.started_at = Some(Timestamp::MAX);
                    let at = self.clock.now().saturating_add(after).unwrap();
                    self.given_up.lock().insert(task_id.clone(), at);
                }
                self.tasks.lock().push((request.job.clone(), state));
                StartedTask::new(task_id, None)
            })
            .collect();
        self.most_alive.fetch_max(self.running(), Ordering::Relaxed);
        started
    }

    /// Starts a task of the job outside the scheduler.
    pub(crate) fn start_unrecorded(&self, job: &str, task: &str) {
        let state = TaskState::pending(TaskId::new(task), None);
        let mut state = state;
        state.started_at = Some(self.clock.now());
        self.tasks.lock().push((JobId::new(job).unwrap(), state));
    }

    /// Ends a task by itself now, with exit code 0.
    pub(crate) fn finish(&self, task: &str) {
        self.settle();
        let (now, mut tasks) = (self.clock.now(), self.tasks.lock());
        let (_, task) = tasks.iter_mut().find(|(_, known)| known.task_id.as_str() == task).unwrap();
        end(task, 0, now, "EssentialContainerExited");
    }

    /// Starts and ends every task whose time has come.
    fn settle(&self) {
        let (run_for, now) = (*self.run_for.lock(), self.clock.now());
        let (ends, (_, code)) = (self.ends.lock(), *self.stopping.lock());
        for (_, task) in self.tasks.lock().iter_mut().filter(|(_, task)| task.phase != TaskPhase::Stopped) {
            let starts = task.started_at.unwrap();
            let natural = run_for.map(|run_for| starts.saturating_add(run_for).unwrap());
            let given_up = self.given_up.lock().get(&task.task_id).copied().filter(|at| *at <= now);
            if starts <= now {
                task.phase = TaskPhase::Running;
            }
            if let Some(at) = ends.get(&task.task_id).filter(|at| **at <= now) {
                end(task, code, *at, "UserInitiated");
            } else if let Some(at) = given_up {
                end(task, 1, at, "TaskFailedToStart");
                task.reason = Some("CannotPullContainerError".to_owned());
            } else if let Some(at) = natural.filter(|at| *at <= now) {
                end(task, 0, at, "EssentialContainerExited");
                let ends = self.containers.lock().clone().into_iter();
                task.containers = ends.map(|(name, exit_code)| ContainerEnd::new(name, exit_code)).collect();
            }
        }
    }

    /// Returns the state of a task in the cache, unless it is too old.
    fn cached(&self, task: &TaskId) -> Option<TaskState> {
        let cache_for = SignedDuration::try_from((*self.cache_for.lock())?).unwrap();
        let (at, state) = self.cache.lock().get(task).cloned()?;
        (self.clock.now().duration_since(at) < cache_for).then_some(state)
    }

    /// Returns how many tasks are alive.
    pub(crate) fn running(&self) -> usize {
        self.settle();
        self.tasks.lock().iter().filter(|(_, task)| task.phase != TaskPhase::Stopped).count()
    }
}

/// Ends a task; one that was still pending never ran.
fn end(task: &mut TaskState, code: i32, at: Timestamp, stop_code: &str) {
    let ran = task.phase == TaskPhase::Running;
    task.phase = TaskPhase::Stopped;
    task.exit_code = ran.then_some(code);
    task.started_at = task.started_at.filter(|_| ran);
    task.stopped_at = Some(at);
    task.stop_code = Some(stop_code.to_owned());
}

#[async_trait]
impl Launcher for ScriptedLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(
            NonZeroU32::new(10).unwrap(),
            100,
            Duration::from_secs(1),
            Duration::from_secs(3_000),
        )
    }

    async fn population(&self, job: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        if *self.population_fails.lock() {
            return Err(LaunchError::new(*self.population_kind.lock(), "could not list tasks"));
        }
        if self.uncounted.lock().as_ref() == Some(job) {
            std::future::pending::<()>().await;
        }
        self.settle();
        let (tasks, definition) = (self.tasks.lock(), self.definition.lock().clone());
        let running = tasks.iter().filter(|(of, task)| of == job && task.phase != TaskPhase::Stopped);
        let counted = Population::new(running.map(|(_, task)| task.task_id.clone()).collect(), definition);
        let is_cached = self.count_from_cache.load(Ordering::Relaxed);
        Ok(if is_cached { counted.from_cache() } else { counted })
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.requests.lock().push(request.clone());
        tracing::info!("a scripted launch");
        let script = self.script.lock().pop_front();
        if let Some(Script::Fail { kind }) = script {
            return Err(LaunchError::new(kind, "could not run task"));
        }
        if let Some(Script::Withdraw { newest, known }) = script {
            *self.population_fails.lock() = !known;
            *self.definition.lock() = Some(newest.to_owned());
        }
        match script {
            Some(Script::Hang) => CallFault::inject(Some(CallFault::Hang)).await,
            Some(Script::Panic) => CallFault::inject(Some(CallFault::Panic)).await,
            _ => {}
        }
        if let Some(Script::ReportNothing) = script {
            return Ok(LaunchReport::default());
        }
        let known = self.reports.lock().get(&request.token).cloned();
        let report = known.unwrap_or_else(|| {
            let (count, retryable) = match script {
                Some(Script::Refuse { all_but, retryable }) => (all_but, retryable),
                Some(Script::Withdraw { .. }) => (0, false),
                _ => (request.count.get(), false),
            };
            let started = self.start(request, count);
            let refusal = Refusal::new("RESOURCE:MEMORY", retryable);
            let refused = vec![refusal; (request.count.get() - count) as usize];
            LaunchReport::new(started, refused)
        });
        self.reports.lock().insert(request.token.clone(), report.clone());
        match script {
            Some(Script::LoseAnswer) => Err(LaunchError::unanswered("connection reset")),
            _ => Ok(report),
        }
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let fault = self.observe_fault.lock().take();
        CallFault::inject(fault).await;
        self.settle();
        if self.hidden.load(Ordering::Relaxed) {
            return Ok(ObservedTasks::default());
        }
        let all = self.tasks.lock();
        let unread = self.unread.lock().clone();
        let (unread, asked): (Vec<_>, Vec<_>) = all
            .iter()
            .filter(|(_, task)| tasks.contains(&task.task_id))
            .partition(|(job, _)| unread.as_ref() == Some(job));
        let told = |task: &TaskState| {
            let mut state = task.clone();
            state.started_at = task.started_at.filter(|_| task.phase != TaskPhase::Pending);
            state
        };
        let mut observed = ObservedTasks::default();
        for state in asked.into_iter().map(|(_, task)| told(task)) {
            match self.cached(&state.task_id) {
                Some(cached) => observed.push_cached(cached),
                None => {
                    self.cache.lock().insert(state.task_id.clone(), (self.clock.now(), state.clone()));
                    observed.states.push(state);
                }
            }
        }
        if !unread.is_empty() {
            let unread = unread.into_iter().map(|(_, task)| task.task_id.clone()).collect();
            observed.push_unread(unread, LaunchError::new(FaultKind::Denied, "could not describe tasks"));
        }
        Ok(observed)
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.stops.lock().push(task.clone());
        let fault = self.stop_fault.lock().take();
        CallFault::inject(fault).await;
        if self.stop_denied.load(Ordering::Relaxed) {
            return Err(LaunchError::new(FaultKind::Denied, "could not stop task"));
        }
        for (_, known) in self.tasks.lock().iter_mut().filter(|(_, known)| known.task_id == *task) {
            known.reason.get_or_insert_with(|| reason.to_owned());
        }
        let ends = self.clock.now().saturating_add(self.stopping.lock().0).unwrap();
        self.ends.lock().entry(task.clone()).or_insert(ends);
        self.settle();
        Ok(())
    }
}

#[async_trait]
impl TaskValidation for ScriptedLauncher {
    async fn measure(&self, definition: &str, _: &TaskSpec) -> Result<TaskSize, LaunchError> {
        Ok(self.sizes.lock().get(definition).copied().unwrap_or_default())
    }
}

impl LaunchDiagnosis for ScriptedLauncher {}

#[async_trait]
impl TaskLogs for ScriptedLauncher {
    async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        let (fault, page) = (self.log_fault.lock().take(), self.log.lock().take());
        CallFault::inject(fault).await;
        match page {
            Some(page) => Ok(page),
            None => DenyingLogs.read_log(request).await,
        }
    }
}

/// Logs with the default of every method.
struct DenyingLogs;

impl TaskLogs for DenyingLogs {}

#[async_trait]
impl LaunchRecovery for ScriptedLauncher {
    async fn acquire_quota(&self, _: &LaunchRequest, _: Timestamp) {
        if *self.no_quota.lock() {
            std::future::pending::<()>().await;
        }
    }
}

/// A world whose launcher is scripted.
pub(crate) struct Stage {
    pub(crate) world: Simulation,
    pub(crate) launcher: Arc<ScriptedLauncher>,
}

impl Stage {
    pub(crate) fn at(now: &str) -> Self {
        Self::with(now, TriggerRegistry::new())
    }

    pub(crate) fn with(now: &str, registry: TriggerRegistry) -> Self {
        let clock = Arc::new(SimClock::at(now.parse().unwrap()));
        let launcher = Arc::new(ScriptedLauncher {
            clock: Arc::clone(&clock),
            script: Mutex::default(),
            requests: Mutex::default(),
            reports: Mutex::default(),
            tasks: Mutex::default(),
            population_fails: Mutex::new(false),
            population_kind: Mutex::new(FaultKind::Unavailable),
            count_from_cache: AtomicBool::default(),
            uncounted: Mutex::default(),
            no_quota: Mutex::new(false),
            run_for: Mutex::new(Some(Duration::from_secs(5))),
            definition: Mutex::default(),
            sizes: Mutex::default(),
            stopping: Mutex::new((Duration::ZERO, 143)),
            pending_for: Mutex::default(),
            fail_to_start: Mutex::default(),
            given_up: Mutex::default(),
            containers: Mutex::default(),
            hidden: AtomicBool::new(false),
            observe_fault: Mutex::default(),
            stop_fault: Mutex::default(),
            log: Mutex::default(),
            log_fault: Mutex::default(),
            stop_denied: AtomicBool::new(false),
            cache_for: Mutex::default(),
            cache: Mutex::default(),
            unread: Mutex::default(),
            stops: Mutex::default(),
            ends: Mutex::default(),
            most_alive: AtomicUsize::new(0),
            next: AtomicU32::new(0),
        });
        let world = Simulation {
            clock,
            store: Arc::new(MemoryStore::default()),
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            registry: Arc::new(registry),
            options: EngineOptions::default(),
        };
        Self { world, launcher }
    }

    pub(crate) async fn until(&self, moment: &str) {
        self.world.clock.sleep_until(moment.parse().unwrap()).await;
    }

    /// Returns all decisions of a job, oldest first.
    pub(crate) async fn decisions(&self, job: &str) -> Vec<DecisionRecord> {
        let query = DecisionQuery { job: Some(JobId::new(job).unwrap()), ..DecisionQuery::default() };
        let mut decisions = self.world.store.decisions(&query).await.unwrap();
        decisions.reverse();
        decisions
    }

    /// Returns outcome and number of ticks of each decision of a job, oldest first.
    pub(crate) async fn outcomes(&self, job: &str) -> Vec<(TickOutcome, u64)> {
        self.decisions(job)
            .await
            .into_iter()
            .map(|record| (record.draft.outcome, record.draft.span.count))
            .collect()
    }

    /// Returns all firings of a job, oldest first.
    pub(crate) async fn firings(&self, job: &str) -> Vec<Firing> {
        let query = FiringQuery { job: Some(JobId::new(job).unwrap()), ..FiringQuery::default() };
        let mut firings = self.world.store.firings(&query).await.unwrap();
        firings.reverse();
        firings
    }

    pub(crate) async fn states(&self, job: &str) -> Vec<FiringState> {
        self.firings(job).await.into_iter().map(|firing| firing.state).collect()
    }

    /// Replaces a job's document without a nudge.
    pub(crate) async fn replace(&self, job: &str, document: &serde_json::Value) {
        let id = JobId::new(job).unwrap();
        let stored = self.world.store.get(std::slice::from_ref(&id)).await.unwrap().pop().unwrap();
        let document = serde_json::value::to_raw_value(document).unwrap();
        self.world.store.replace(&id, stored.revision, document, self.world.clock.now()).await.unwrap();
    }
}
