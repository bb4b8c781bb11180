use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::{ChaosStore, SimClock, StoreFaults};
use ecs_scheduler_core::clock::Clock;
use ecs_scheduler_core::decide::{DecisionRecord, TickOutcome};
use ecs_scheduler_core::engine::{Engine, EngineHandle, EngineOptions};
use ecs_scheduler_core::firing::{Firing, FiringState};
use ecs_scheduler_core::job::{self, JobContext, JobId, JobUid, StoredJob};
use ecs_scheduler_core::launcher::{
    LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, Launcher,
    LogPage, LogRequest, LostCall, ObservedTasks, TaskLogs, TaskValidation,
};
use ecs_scheduler_core::registry::{ConfigError, TriggerRegistry};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::store::{DecisionQuery, FiringQuery, ListFrom, MAX_PAGE, NewJob, Store, StoreError};
use ecs_scheduler_core::task::{Population, TaskId, TaskSize, TaskSpec};

/// A simulated environment that outlives its engines: a clock, a store and a launcher. Engines are started, crash, and are
/// restarted.
#[derive(Debug)]
pub struct Simulation {
    /// The clock.
    pub clock: Arc<SimClock>,
    /// The store, which survives crashes.
    pub store: Arc<dyn Store>,
    /// The launcher, which survives crashes.
    pub launcher: Arc<dyn Launcher>,
    /// The installed triggers.
    pub registry: Arc<TriggerRegistry>,
    /// The engines' options.
    pub options: EngineOptions,
}

/// One run of an engine, until it stops or crashes.
#[derive(Debug)]
pub struct EngineRun {
    /// The engine.
    pub engine: EngineHandle,
    /// The faulty store that the engine uses.
    pub store: Arc<ChaosStore>,
    launcher: Arc<KillableLauncher>,
}

impl Simulation {
    /// Starts an engine whose store injects these faults, by this seed.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn boot(&self, faults: StoreFaults, seed: u64) -> Result<EngineRun, StoreError> {
        self.boot_with(ChaosStore::new(Arc::clone(&self.store), faults, seed)).await
    }

    /// Starts an engine on this store, which must wrap the simulation's store.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn boot_with(&self, store: ChaosStore) -> Result<EngineRun, StoreError> {
        let store = Arc::new(store);
        let launcher =
            Arc::new(KillableLauncher { inner: Arc::clone(&self.launcher), dead: AtomicBool::new(false) });
        let engine = Engine {
            options: self.options.clone(),
            store: Arc::clone(&store) as Arc<dyn Store>,
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        };
        Ok(EngineRun { engine: engine.start().await?, store, launcher })
    }

    /// Stores a job unchanged, without notifying an engine.
    ///
    /// # Errors
    ///
    /// Fails when the name is taken.
    ///
    /// # Panics
    ///
    /// Panics when `id` is no job's name.
    pub async fn create(&self, id: &str, document: &Value) -> Result<StoredJob, StoreError> {
        let job = NewJob {
            id: JobId::new(id).expect("a test names its jobs well"),
            uid: JobUid::derived("sim", &JobId::new(id).expect("a test names its jobs well")),
            document: serde_json::value::to_raw_value(document).expect("JSON is JSON"),
            at: self.clock.now(),
        };
        self.store.create(job).await
    }

    /// Replaces a job's document as an edit does, without notifying an engine.
    ///
    /// # Errors
    ///
    /// Fails when the job does not exist, or is edited concurrently.
    ///
    /// # Panics
    ///
    /// Panics when `id` is no job's name, or `document` no object.
    pub async fn edit(&self, id: &str, document: &Value) -> Result<StoredJob, StoreError> {
        let id = JobId::new(id).expect("a test names its jobs well");
        let stored = self.store.get(std::slice::from_ref(&id)).await?.pop();
        let stored = stored.ok_or_else(|| StoreError::NotFound((&id).into()))?;
        let context = JobContext {
            registry: &self.registry,
            max_tasks: self.options.max_tasks,
            strictness: Strictness::Lenient,
            launcher: None,
            channels: None,
        };
        let (document, now) =
            (document.as_object().expect("a document is an object").clone(), self.clock.now());
        let changed = job::replacement(&stored, document, &context, now).expect("a test edits now and then");
        let Some(document) = changed else { return Ok(stored) };
        let document = serde_json::value::to_raw_value(&document).expect("JSON is JSON");
        self.store.replace(&id, stored.revision, document, now).await
    }

    /// Checks every invariant against the journal, and returns what it counted.
    ///
    /// For each stored job: the ticks of its recorded decisions are exactly the ticks of its schedule from its creation
    /// to its newest settled tick, each once. For each firing: at most one per tick and retry, never more tasks than requested,
    /// no outcome left pending once it ended.
    ///
    /// # Errors
    ///
    /// Fails with the first broken invariant.
    pub async fn audit(
        &self,
        context: &dyn Fn(&StoredJob) -> ecs_scheduler_core::schedule::Schedule,
    ) -> Result<InvariantReport, String> {
        let decisions = self.decisions().await;
        let firings = self.firings().await;
        let mut by_job: HashMap<JobUid, Vec<&DecisionRecord>> = HashMap::new();
        for decision in &decisions {
            by_job.entry(decision.uid).or_default().push(decision);
        }
        let mut audit = InvariantReport::default();
        for stored in self.jobs().await {
            let mut records = by_job.remove(&stored.uid).unwrap_or_default();
            records.retain(|record| record.draft.span.count > 0);
            records.sort_by_key(|record| record.draft.span.first);
            audit.ticks += check_ticks(&stored, &records, &context(&stored))?;
        }
        audit.check_firings(&firings, &decisions)?;
        audit.decisions = decisions.len();
        Ok(audit)
    }

    /// Returns all firings.
    pub async fn firings(&self) -> Vec<Firing> {
        let mut all: Vec<Firing> = Vec::new();
        loop {
            let before = all.last().map(|firing| firing.id.clone());
            let page = self.store.firings(&FiringQuery { before, ..FiringQuery::default() }).await;
            let page = page.expect("the simulation's own store does not fail");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// Returns all decisions.
    pub async fn decisions(&self) -> Vec<DecisionRecord> {
        let mut all: Vec<DecisionRecord> = Vec::new();
        loop {
            let before = all.last().map(|decision| decision.id);
            let page = self.store.decisions(&DecisionQuery { before, ..DecisionQuery::default() }).await;
            let page = page.expect("the simulation's own store does not fail");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    async fn jobs(&self) -> Vec<StoredJob> {
        let mut all: Vec<StoredJob> = Vec::new();
        loop {
            let page = self.store.list(ListFrom::Skip(all.len() as u64), MAX_PAGE).await;
            let page = page.expect("the simulation's own store does not fail");
            if page.jobs.is_empty() {
                return all;
            }
            all.extend(page.jobs);
        }
    }
}

impl EngineRun {
    /// Ends this run as `kill -9` does: no further call reaches store or launcher.
    pub async fn crash(self) {
        self.store.kill();
        self.launcher.dead.store(true, Ordering::SeqCst);
        self.engine.stop(Duration::ZERO).await;
    }
}

/// The counts of an invariant check.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct InvariantReport {
    /// Ticks with an outcome.
    pub ticks: u64,
    /// Rows of decisions.
    pub decisions: usize,
    /// Firings.
    pub firings: usize,
    /// Tasks that firings started.
    pub tasks: usize,
}

impl InvariantReport {
    fn check_firings(&mut self, firings: &[Firing], decisions: &[DecisionRecord]) -> Result<(), String> {
        let outcomes: HashMap<_, _> =
            decisions.iter().map(|record| (record.id, record.draft.outcome)).collect();
        let mut ticks = HashSet::new();
        let mut tasks = HashSet::new();
        for firing in firings {
            if !ticks.insert((firing.uid, firing.nominal, firing.origin, firing.retry.number)) {
                return Err(format!("two firings for {} of {}", firing.nominal, firing.job));
            }
            if firing.started() > firing.requested {
                return Err(format!("firing {} started too many", firing.id));
            }
            for task in &firing.tasks {
                if !tasks.insert(task.task_id.clone()) {
                    return Err(format!("task {} belongs to two firings", task.task_id));
                }
            }
            let open = matches!(firing.state, FiringState::Planned | FiringState::Launching);
            let pending = outcomes.get(&firing.decision) == Some(&TickOutcome::Pending);
            if !open && pending {
                return Err(format!("firing {} ended and its tick is still pending", firing.id));
            }
        }
        self.firings = firings.len();
        self.tasks = tasks.len();
        Ok(())
    }
}

/// Checks that these spans, in order of time, cover every tick of the schedule exactly once; returns the number of ticks.
fn check_ticks(
    stored: &StoredJob,
    records: &[&DecisionRecord],
    schedule: &ecs_scheduler_core::schedule::Schedule,
) -> Result<u64, String> {
    let mut after = stored.created;
    let mut total = 0;
    for record in records {
        let span = record.draft.span;
        if schedule.next_after(after) != Some(span.first) {
            return Err(format!("{}: {span:?} does not follow the tick {after}", stored.id));
        }
        let count = schedule.count_in(after, span.last);
        if count != span.count {
            return Err(format!("{}: {span:?} holds {count} ticks", stored.id));
        }
        after = span.last;
        total += count;
    }
    if stored.progress.settled.is_some_and(|settled| settled != after) {
        return Err(format!("{}: settled {:?}, recorded {after}", stored.id, stored.progress.settled));
    }
    Ok(total)
}

/// A launcher that stops answering when its engine is killed.
#[derive(Debug)]
struct KillableLauncher {
    inner: Arc<dyn Launcher>,
    dead: AtomicBool,
}

impl KillableLauncher {
    async fn alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Launcher for KillableLauncher {
    fn limits(&self) -> LaunchLimits {
        self.inner.limits()
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.alive().await;
        self.inner.population(job, task).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.alive().await;
        let answer = self.inner.launch(request).await;
        self.alive().await;
        answer
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        self.alive().await;
        self.inner.observe(tasks).await
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.alive().await;
        self.inner.stop(task, reason).await
    }
}

#[async_trait]
impl TaskValidation for KillableLauncher {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        self.inner.check(task)
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        self.inner.review(task)
    }

    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        self.alive().await;
        self.inner.measure(definition, task).await
    }
}

impl LaunchDiagnosis for KillableLauncher {}

#[async_trait]
impl TaskLogs for KillableLauncher {
    async fn read_log(&self, request: &LogRequest) -> Result<LogPage, LaunchError> {
        self.alive().await;
        self.inner.read_log(request).await
    }
}

#[async_trait]
impl LaunchRecovery for KillableLauncher {
    async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        self.alive().await;
        self.inner.acquire_quota(request, deadline).await;
    }

    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        self.alive().await;
        let answer = self.inner.find_lost_launch(request, sent_at).await;
        self.alive().await;
        answer
    }
}
