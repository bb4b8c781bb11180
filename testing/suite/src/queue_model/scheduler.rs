//! The scheduler in the model: its own engine, journal and `decide()`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{HOUR, MAX_TASKS, POLL, QueueSetting, QueueSimulation, Report, Scenario, VISIBILITY_TIMEOUT};
use crate::{SimClock, Simulation, StoreFaults};
use ecs_scheduler_core::clock::Clock;
use ecs_scheduler_core::engine::EngineOptions;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::launcher::{
    LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, Launcher,
    ObservedTasks, StartedTask, TaskLogs, TaskValidation,
};
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::registry::{BuildContext, ConfigError, TriggerRegistry, TriggerType};
use ecs_scheduler_core::scaling::per_task;
use ecs_scheduler_core::task::{Population, TaskId, TaskPhase, TaskSpec, TaskState};
use ecs_scheduler_core::trigger::{EvalContext, Evaluation, QueueReading, Trigger, TriggerError};

/// The queue simulation under the engine's clock.
#[derive(Debug)]
struct SharedSimulation {
    clock: Arc<SimClock>,
    began: Timestamp,
    world: Mutex<QueueSimulation>,
    per_task: NonZeroU32,
}

impl SharedSimulation {
    /// Advances the simulation to the clock's time, then calls `read`.
    fn with_current<T>(&self, read: impl FnOnce(&mut QueueSimulation) -> T) -> T {
        let passed = self.clock.now().duration_since(self.began).as_secs();
        let mut world = self.world.lock();
        world.advance(u32::try_from(passed).unwrap_or(0));
        read(&mut world)
    }

    fn moment(&self, second: u32) -> Timestamp {
        self.began + SignedDuration::from_secs(i64::from(second))
    }

    /// Returns the state of a task at this second.
    fn state(&self, world: &QueueSimulation, id: &TaskId, seen: u32) -> Option<TaskState> {
        let number: usize = id.as_str().parse().ok()?;
        let task = world.task(number);
        if task.launched > seen {
            return None;
        }
        let mut state = TaskState::pending(id.clone(), None);
        if task.starts <= seen {
            state.phase = TaskPhase::Running;
            state.started_at = Some(self.moment(task.starts));
        }
        if let Some((at, clean)) = task.ended.filter(|(at, _)| *at <= seen) {
            state.phase = TaskPhase::Stopped;
            state.stopped_at = Some(self.moment(at));
            state.exit_code = Some(i32::from(!clean));
        }
        Some(state)
    }
}

/// Reads the model's queue.
#[derive(Debug)]
struct ModelTrigger(Arc<SharedSimulation>);

#[async_trait]
impl Trigger for ModelTrigger {
    fn reports_queue_depth(&self) -> bool {
        true
    }

    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let (visible, in_flight) = self.0.with_current(|world| world.counts());
        let reading = QueueReading::new(
            visible.into(),
            in_flight.into(),
            Duration::from_secs(VISIBILITY_TIMEOUT.into()),
            self.0.per_task,
        );
        let reason = format!("{visible} messages ÷ {} per task, rounded up", self.0.per_task);
        Ok(Evaluation::tasks(per_task(visible.into(), self.0.per_task), reason).with_queue_reading(reading))
    }
}

struct ModelType(Arc<SharedSimulation>);

/// The model's queue has no options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelConfig {}

impl TriggerType for ModelType {
    const KIND: &'static str = "model";
    const SUMMARY: &'static str = "Counts the model's queue.";
    type Config = ModelConfig;

    fn build(&self, _: ModelConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(ModelTrigger(Arc::clone(&self.0))))
    }
}

/// Launches the model's tasks.
#[derive(Debug)]
struct ModelLauncher(Arc<SharedSimulation>);

#[async_trait]
impl Launcher for ModelLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(
            NonZeroU32::new(10).expect("10 is not zero"),
            100,
            Duration::from_secs(2),
            Duration::from_secs(3_000),
        )
    }

    async fn population(&self, _: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        let tasks = self.0.with_current(|world| {
            let seen = world.view();
            let live = world.tasks_at(seen).filter(|(_, task)| task.ended.is_none_or(|(at, _)| at > seen));
            live.map(|(number, _)| TaskId::new(number.to_string())).collect()
        });
        Ok(Population::new(tasks, Some(task.definition.clone())))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let started = self.0.with_current(|world| {
            let start = |_| StartedTask::new(TaskId::new(world.launch().to_string()), None);
            (0..request.count.get()).map(start).collect()
        });
        Ok(LaunchReport::new(started, Vec::new()))
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        let shared = &self.0;
        Ok(shared.with_current(|world| {
            let seen = world.view();
            tasks.iter().filter_map(|id| shared.state(world, id, seen)).collect()
        }))
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Ok(())
    }
}

impl TaskValidation for ModelLauncher {}

impl LaunchDiagnosis for ModelLauncher {}

impl LaunchRecovery for ModelLauncher {}

impl TaskLogs for ModelLauncher {}

/// Runs the scheduler through a scenario. Must be called on a tokio runtime whose time is paused.
///
/// With `restarts` the engine is killed and restarted that many times, evenly over the hour.
///
/// # Panics
///
/// Panics when the engine does not start on an in-memory store.
pub async fn run_scheduler(scenario: Scenario, setting: QueueSetting, seed: u64, restarts: u32) -> Report {
    let settle = json!({"settle": format!("{}s", setting.settle)});
    run_job(scenario, setting, seed, restarts, settle).await
}

/// Runs the scheduler as [`run_scheduler`] does, with the default `settle` and without restarts.
///
/// # Panics
///
/// As [`run_scheduler`].
pub async fn run_with_default_settle(scenario: Scenario, setting: QueueSetting, seed: u64) -> Report {
    run_job(scenario, setting, seed, 0, json!({})).await
}

/// Runs the scheduler; `fields` are merged into the job.
async fn run_job(
    scenario: Scenario,
    setting: QueueSetting,
    seed: u64,
    restarts: u32,
    fields: Value,
) -> Report {
    let began: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a moment is written here");
    let clock = Arc::new(SimClock::at(began));
    let shared = Arc::new(SharedSimulation {
        clock: Arc::clone(&clock),
        began,
        world: Mutex::new(QueueSimulation::new(scenario, setting, seed)),
        per_task: scenario.per_task,
    });
    let mut registry = TriggerRegistry::new();
    registry.add(ModelType(Arc::clone(&shared))).expect("the registry is empty");
    let world = Simulation {
        clock: Arc::clone(&clock),
        store: Arc::new(MemoryStore::default()),
        launcher: Arc::new(ModelLauncher(Arc::clone(&shared))),
        registry: Arc::new(registry),
        options: EngineOptions::default(),
    };
    let mut job = json!({
        "taskDefinition": "work", "schedule": format!("rate({POLL} seconds)"), "maxCount": MAX_TASKS,
        "trigger": {"type": "model"}, "mode": scenario.mode,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        job[name] = value.clone();
    }
    world.create("work", &job).await.expect("the store is empty");
    let mut run = world.boot(StoreFaults::default(), seed).await.expect("a store in memory is read");
    for number in 1..=restarts {
        clock.sleep_until(shared.moment(number * HOUR / (restarts + 1))).await;
        run.crash().await;
        run = world.boot(StoreFaults::default(), seed).await.expect("a store in memory is read");
    }
    while !shared.with_current(|world| world.is_over()) && clock.now() < shared.moment(3 * HOUR) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    run.engine.stop(Duration::from_secs(60)).await;
    shared.with_current(|world| world.report())
}
