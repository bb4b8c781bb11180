//! A scheduler that ends before or after a given write or call, each in turn.
//!
//! It is a real process with the real engine, store and launcher: this test binary, started again for the same test,
//! which then plays the scheduler instead. So the product needs no switch to die by. Which launcher it has is the test's
//! own: those on AWS use this as well.

use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecs_scheduler::notify::{Channels, NotifyConfig};
use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_core::job::replacement;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::store::MAX_PAGE;
use ecs_scheduler_core::{
    Clock, ConfigError, DEFAULT_MAX_TASKS, DecisionQuery, DeliveryError, Engine, EngineHandle, EngineOptions,
    JobContext, JobId, JobUid, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, Launcher, ListFrom, LostCall, NewJob, Notification, Notifier, NotifyRule, ObservedTasks,
    Population, Store, SystemClock, TaskId, TaskLogs, TaskSize, TaskSpec, TaskValidation, TickOutcome,
    Timestamp, TriggerRegistry, async_trait,
};
use ecs_scheduler_testing::{ChaosStore, ChaosWrite, StoreFaults};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::audit::{audit, open};
use super::site::{DEADLINE, Site, until};

/// Tells the process that plays the scheduler where its files are, and how it is to end.
const ROOT: &str = "ECSS_CRASH_ROOT";
const STEP: &str = "ECSS_CRASH_STEP";
/// The test below, by its full name.
const TEST: &str = "crash::steps::a_crash_at_any_step_loses_no_tick_and_starts_no_task_twice";
/// How many steps of each kind are the last ones in turn; the long form has more.
const STEPS: u64 = 4;

/// A kind of steps of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Write(ChaosWrite),
    Launch,
    Delivery,
}

/// The names of the steps, in the order in which failed tasks go through them.
const STEP_NAMES: [(&str, Step); 7] = [
    ("write", Step::Write(ChaosWrite::Any)),
    ("launch", Step::Launch),
    ("outcome", Step::Write(ChaosWrite::Outcome)),
    ("retry", Step::Write(ChaosWrite::Retry)),
    ("repeated", Step::Write(ChaosWrite::Repeated)),
    ("outbox", Step::Write(ChaosWrite::Outbox)),
    ("delivery", Step::Delivery),
];

/// The last step of the scheduler: the n-th of its life, from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    step: Step,
    number: u64,
    /// Whether the step still has its effect.
    after: bool,
}

impl Last {
    fn text(self) -> String {
        let (name, _) = STEP_NAMES.iter().find(|(_, step)| *step == self.step).expect("each step has a name");
        format!("{} {name} {}", if self.after { "after" } else { "before" }, self.number)
    }
}

impl FromStr for Last {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [when, name, number] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("{text} is no step"));
        };
        let (_, step) = STEP_NAMES.iter().find(|(known, _)| *known == name).ok_or("unknown step")?;
        let number = number.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { step: *step, number, after: when == "after" })
    }
}

/// Something whose process ends before or after one of its calls.
#[derive(Debug)]
struct Doomed<T: ?Sized> {
    last: Last,
    calls: AtomicU64,
    inner: Arc<T>,
}

impl<T: ?Sized> Doomed<T> {
    fn new(inner: Arc<T>, last: Last) -> Arc<Self> {
        Arc::new(Self { last, calls: AtomicU64::new(0), inner })
    }

    /// Makes a call of this kind, unless the process ends before it.
    async fn call<R>(&self, step: Step, call: impl Future<Output = R>) -> R {
        let is_last =
            self.last.step == step && self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.last.number;
        if is_last && !self.last.after {
            std::process::abort();
        }
        let result = call.await;
        if is_last {
            std::process::abort();
        }
        result
    }
}

#[async_trait]
impl Notifier for Doomed<dyn Notifier> {
    fn channels(&self) -> &[String] {
        self.inner.channels()
    }

    fn defaults(&self) -> &[NotifyRule] {
        self.inner.defaults()
    }

    async fn deliver(&self, channel: &str, notification: &Notification) -> Result<(), DeliveryError> {
        self.call(Step::Delivery, self.inner.deliver(channel, notification)).await
    }
}

#[async_trait]
impl Launcher for Doomed<dyn Launcher> {
    fn limits(&self) -> LaunchLimits {
        self.inner.limits()
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.inner.population(job, task).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.call(Step::Launch, self.inner.launch(request)).await
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        self.inner.observe(tasks).await
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.inner.stop(task, reason).await
    }
}

#[async_trait]
impl TaskValidation for Doomed<dyn Launcher> {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        self.inner.check(task)
    }

    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        self.inner.measure(definition, task).await
    }
}

impl LaunchDiagnosis for Doomed<dyn Launcher> {}

impl TaskLogs for Doomed<dyn Launcher> {}

#[async_trait]
impl LaunchRecovery for Doomed<dyn Launcher> {
    async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        self.inner.acquire_quota(request, deadline).await;
    }

    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        self.inner.find_lost_launch(request, sent_at).await
    }
}

/// Opens the launcher of local processes.
pub(super) async fn local(site: &Site) -> Arc<dyn Launcher> {
    let options = LocalOptions::new(site.path("definitions"), site.path("tasks"));
    Arc::new(LocalLauncher::open(options).await.unwrap())
}

/// Starts an engine, with the channels of the site.
async fn engine(
    site: &Site,
    mut launcher: Arc<dyn Launcher>,
    store: Arc<dyn Store>,
    last: Option<Last>,
) -> EngineHandle {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = site.channels().map(|config| NotifyConfig::parse(&config.to_string()).unwrap());
    let mut notifier = config.and_then(|config| Channels::notifier(&config, "ecs-scheduler", &clock, None));
    if let Some(last) = last {
        launcher = Doomed::new(launcher, last);
        notifier = notifier.map(|notifier| Doomed::new(notifier, last) as Arc<dyn Notifier>);
    }
    let registry = Arc::new(TriggerRegistry::new());
    let options = EngineOptions { notifier, ..EngineOptions::default() };
    Engine { options, store, launcher, registry, clock }.start().await.unwrap()
}

/// Plays the scheduler until the step at which it ends.
pub(crate) async fn play(site: &Site, last: Last, launcher: Arc<dyn Launcher>) {
    let mut store = ChaosStore::new(open(site).await, StoreFaults::default(), 0);
    if let Step::Write(kind) = last.step {
        store = store.die_at_write_of(kind, last.number, last.after).on_death(|| std::process::abort());
    }
    let _engine = engine(site, launcher, Arc::new(store), Some(last)).await;
    std::future::pending::<()>().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test tells its own child, which is no setting of the product"
)]
pub(crate) fn role() -> Option<(Site, Last)> {
    let root = std::env::var(ROOT).ok()?;
    let last = std::env::var(STEP).expect("a player knows its end");
    Some((Site::at(root.into()), last.parse().unwrap()))
}

/// Has a process play one life in the test of this name, and waits until it has ended by itself.
async fn live(test: &str, site: &Site, last: Last) {
    let mut player = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(site.environment.iter().map(|(name, value)| (name, value)))
        .env(ROOT, site.root())
        .env(STEP, last.text())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ended = tokio::time::timeout(DEADLINE, player.wait()).await;
    let status = ended.unwrap_or_else(|_| panic!("{last:?} does not come")).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{last:?}: {status}");
}

/// Stores a job.
pub(crate) async fn create(store: &dyn Store, id: &str, document: &Value) {
    let id = JobId::new(id).unwrap();
    let uid = JobUid::random();
    let document = to_raw_value(document).unwrap();
    store.create(NewJob { id, uid, document, at: SystemClock.now() }).await.unwrap();
}

/// Has lives end at each of their first steps in turn.
pub(crate) async fn die_at_every_step(test: &str, site: &Site) {
    let longer = if super::rounds() > super::ROUNDS { 4 } else { 1 };
    for number in 1..=STEPS * longer {
        die_around(test, site, Step::Write(ChaosWrite::Any), number).await;
        if number <= 2 * longer {
            die_around(test, site, Step::Launch, number).await;
        }
    }
}

/// Has a life end before a step, and one after it.
async fn die_around(test: &str, site: &Site, step: Step, number: u64) {
    for after in [false, true] {
        live(test, site, Last { step, number, after }).await;
    }
}

/// Has lives end at each step of failed tasks, from their outcome to the delivery of a notification. `before` is called before the two
/// lives of each step.
pub(crate) async fn die_after_failures(test: &str, site: &Site, before: impl Fn(usize)) {
    let longer = if super::rounds() > super::ROUNDS { 4 } else { 1 };
    for number in 1..=longer {
        for (index, (_, step)) in STEP_NAMES[1..].iter().enumerate() {
            before(index);
            die_around(test, site, *step, number).await;
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_step_loses_no_tick_and_starts_no_task_twice() {
    if let Some((site, last)) = role() {
        return play(&site, last, local(&site).await).await;
    }
    let site = Site::new();
    site.define("work", "");
    let store = open(&site).await;
    create(&*store, "one", &json!({"taskDefinition": "work", "schedule": "*"})).await;
    create(&*store, "three", &json!({"taskDefinition": "work", "schedule": "*", "taskCount": 3})).await;
    store.close().await.unwrap();
    drop(store);
    die_at_every_step(TEST, &site).await;
    finish(&site, local(&site).await).await;
    let audit = audit(&site).await;
    assert!(audit.firings > 4 && audit.tasks > audit.firings, "jobs were fired throughout: {audit:?}");
}

/// Suspends the jobs, and lets a last life carry what is open to its end.
pub(crate) async fn finish(site: &Site, launcher: Arc<dyn Launcher>) {
    finish_when(site, launcher, async |_| true).await;
}

/// The same; the last life also waits until a condition about the store holds.
pub(crate) async fn finish_when(
    site: &Site,
    launcher: Arc<dyn Launcher>,
    is_done: impl AsyncFn(Arc<dyn Store>) -> bool,
) {
    let store = open(site).await;
    let engine = engine(site, launcher, Arc::clone(&store), None).await;
    let context = JobContext {
        registry: &TriggerRegistry::new(),
        max_tasks: DEFAULT_MAX_TASKS,
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    for job in store.list(ListFrom::Skip(0), MAX_PAGE).await.unwrap().jobs {
        let mut document: Map<String, Value> = serde_json::from_str(job.document.get()).unwrap();
        document.insert("suspended".to_owned(), true.into());
        // As the API does: ticks of the old version that have no outcome yet are kept.
        let now = SystemClock.now();
        let document =
            replacement(&job, document, &context, now).unwrap().expect("the job was not suspended");
        store.replace(&job.id, job.revision, to_raw_value(&document).unwrap(), now).await.unwrap();
        engine.nudge(&job.id);
        let seen = DecisionQuery {
            job: Some(job.id.clone()),
            outcome: Some(TickOutcome::Suspended),
            ..DecisionQuery::default()
        };
        until("a tick is seen as suspended", async || !store.decisions(&seen).await.unwrap().is_empty())
            .await;
    }
    until("all firings end", async || store.open_firings().await.unwrap().is_empty()).await;
    until("every event has arrived", async || is_done(Arc::clone(&store)).await).await;
    assert!(engine.stop(Duration::from_secs(10)).await);
    store.close().await.unwrap();
}
