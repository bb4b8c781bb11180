//! Every recorded evaluation of the Python version, through the engine: how many tasks, in which batches, with what
//! overridden.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    BuildContext, ConfigError, EngineOptions, EvalContext, Evaluation, JobId, LaunchDiagnosis, LaunchError,
    LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, Launcher, MemoryStore, ObservedTasks,
    Population, StartedTask, TaskId, TaskLogs, TaskSpec, TaskState, TaskValidation, Trigger, TriggerError,
    TriggerRegistry, TriggerType, async_trait, per_task,
};
use ecs_scheduler_testing::{SimClock, Simulation, StoreFaults};
use flate2::read::GzDecoder;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// The variable by which the Python version knows a job's tasks; the launcher adds it.
const TAG: &str = "ECS_SCHEDULER_OVERRIDE_TAG";

const NO_CAP: &str = "`ECSS_MAX_TASKS` bounds a job that scales by a queue too";

/// Cases that go otherwise on purpose: the batches that are launched, and why.
const DIFFERENCES: [(&str, &[u32], &str); 9] = [
    ("sqs msgs=100 per=1 tc=3 max=None running=1", &[10, 10, 10, 10, 9], NO_CAP),
    ("sqs msgs=101 per=1 tc=None max=None running=0", &[10, 10, 10, 10, 10], NO_CAP),
    ("sqs msgs=250 per=2 tc=3 max=None running=0", &[10, 10, 10, 10, 10], NO_CAP),
    ("page of 100 plain", &[], "every page of the list counts, and `ECSS_MAX_TASKS` is reached"),
    ("page of 100 overrides", &[], "every page of the list counts"),
    ("unknown trigger", &[], "an unknown trigger is an error, not the same as none"),
    ("overrides empty list", &[], "an empty list is no overrides: tasks are counted as they are launched"),
    ("overrides one without environment", &[1], "an override without environment overrides nothing"),
    ("plain job counts tagged tasks of another job", &[2], "a job counts its own tasks only"),
];

/// Whose values are written as JSON, where the Python version handed on what ECS refuses.
const AS_TEXT: &str = "overrides non-string values";

fn cases() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/execution/cases.jsonl.gz");
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap()
}

fn job_id(case: &Value) -> &str {
    case["job"]["id"].as_str().or(case["job"]["taskDefinition"].as_str()).unwrap()
}

/// Returns the containers that a job, a task or a recorded call overrides, with their environment.
fn environments(overrides: &Value) -> Vec<(String, BTreeMap<String, Value>)> {
    let container = |container: &Value| {
        let pairs = container["environment"].as_array().into_iter().flatten();
        let pairs = pairs.map(|pair| (pair["name"].as_str().unwrap().to_owned(), pair["value"].clone()));
        (container["name"].as_str().unwrap_or_default().to_owned(), pairs.collect())
    };
    overrides.as_array().into_iter().flatten().map(container).collect()
}

/// Returns the tasks that the job started itself: by its tag where it overrides anything, else those of its family
/// that have no job's tag.
fn own_tasks(case: &Value) -> Vec<TaskId> {
    let (id, job) = (job_id(case), &case["job"]);
    let family = job["taskDefinition"].as_str().unwrap_or(id);
    let tagged = job["overrides"].as_array().is_some_and(|overrides| !overrides.is_empty());
    let is_own = |task: &&Value| {
        let containers = environments(&task["containerOverrides"]);
        let mut tags = containers.iter().filter_map(|(_, environment)| environment.get(TAG));
        task["family"] == family && if tagged { tags.any(|tag| *tag == id) } else { tags.next().is_none() }
    };
    let tasks = case["world"]["tasks"].as_array().unwrap().iter().filter(is_own);
    tasks.map(|task| TaskId::new(task["arn"].as_str().unwrap())).collect()
}

/// A launcher that records its requests.
#[derive(Debug)]
struct Recorder {
    running: Vec<TaskId>,
    requests: Mutex<Vec<LaunchRequest>>,
}

#[async_trait]
impl Launcher for Recorder {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits::new(
            NonZeroU32::new(10).unwrap(),
            100,
            Duration::from_secs(1),
            Duration::from_secs(3_000),
        )
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        Ok(Population::new(self.running.clone(), None))
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let mut requests = self.requests.lock();
        requests.push(request.clone());
        let call = requests.len();
        let start = |index| StartedTask::new(TaskId::new(format!("arn:new/{call}-{index}")), None);
        Ok(LaunchReport::new((0..request.count.get()).map(start).collect(), Vec::new()))
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        Ok(tasks.iter().map(|task| TaskState::pending(task.clone(), None)).collect())
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Ok(())
    }
}

impl TaskValidation for Recorder {}

impl LaunchDiagnosis for Recorder {}

impl LaunchRecovery for Recorder {}

impl TaskLogs for Recorder {}

/// The recorded queues.
#[derive(Debug, Clone)]
struct Queues(BTreeMap<String, u64>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueConfig {
    queue_name: String,
    messages_per_task: Option<NonZeroU32>,
}

#[derive(Debug)]
struct Queue {
    messages: u64,
    each: Option<NonZeroU32>,
}

impl TriggerType for Queues {
    const KIND: &'static str = "sqs";
    const SUMMARY: &'static str = "reads a recorded queue";
    type Config = QueueConfig;

    fn build(&self, config: QueueConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(Queue { messages: self.0[&config.queue_name], each: config.messages_per_task }))
    }
}

#[async_trait]
impl Trigger for Queue {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(match (self.messages, self.each) {
            (0, _) => Evaluation::idle("empty"),
            (_, None) => Evaluation::floor("not empty"),
            (messages, Some(each)) => Evaluation::tasks(per_task(messages, each), "messages per task"),
        })
    }
}

/// Lets one tick of the recorded job pass, and returns what was launched.
async fn launched(case: &Value) -> Vec<LaunchRequest> {
    let launcher = Arc::new(Recorder { running: own_tasks(case), requests: Mutex::default() });
    let queues = case["world"]["queues"].as_object().unwrap().iter();
    let queues = Queues(queues.map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect());
    let mut registry = TriggerRegistry::new();
    registry.add(queues).unwrap();
    let clock = Arc::new(SimClock::at("2027-01-01T00:00:00Z".parse().unwrap()));
    let world = Simulation {
        clock: Arc::clone(&clock),
        store: Arc::new(MemoryStore::default()),
        launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
        registry: Arc::new(registry),
        options: EngineOptions::default(),
    };
    let mut job = case["job"].clone();
    job.as_object_mut().unwrap().remove("id");
    job["schedule"] = json!("at(2027-01-01T00:00:01)");
    world.create(job_id(case), &job).await.unwrap();
    let life = world.boot(StoreFaults::default(), 1).await.unwrap();
    clock.sleep_until("2027-01-01T00:00:05Z".parse().unwrap()).await;
    assert!(life.engine.stop(Duration::from_secs(60)).await);
    launcher.requests.lock().clone()
}

fn recorded_calls(case: &Value) -> Vec<&Value> {
    let calls = case["expect"]["calls"].as_array().unwrap().iter();
    calls.filter(|call| call[0] == "RunTask").map(|call| &call[1]).collect()
}

/// Compares one call, apart from what the launcher adds.
fn check_call(case: &Value, request: &LaunchRequest, recorded: &Value) {
    assert_eq!(request.definition, recorded["taskDefinition"], "{}", name(case));
    let untagged = |mut environment: BTreeMap<String, Value>| {
        environment.remove(TAG);
        environment
    };
    let recorded = environments(&recorded["overrides"]["containerOverrides"]);
    let recorded: Vec<_> = recorded.into_iter().map(|(name, pairs)| (name, untagged(pairs))).collect();
    let own = request.task.overrides.iter().map(|container| {
        let pairs = container.environment.iter().map(|(name, value)| (name.clone(), json!(value)));
        (container.container_name.clone(), untagged(pairs.collect()))
    });
    assert_eq!(own.collect::<Vec<_>>(), recorded, "{}", name(case));
}

#[tokio::test(start_paused = true)]
async fn every_recorded_evaluation_launches_as_the_python_version_did() {
    let mut differences = DIFFERENCES.to_vec();
    for case in cases() {
        let requests = launched(&case).await;
        let counts: Vec<u32> = requests.iter().map(|request| request.count.get()).collect();
        let calls = recorded_calls(&case);
        let recorded: Vec<u32> =
            calls.iter().map(|call| u32::try_from(call["count"].as_u64().unwrap()).unwrap()).collect();
        if let Some(index) = differences.iter().position(|(other, ..)| *other == name(&case)) {
            let (_, expected, why) = differences.swap_remove(index);
            assert_eq!(counts, expected, "{}: {why}", name(&case));
            assert_ne!(counts, recorded, "{} is no difference", name(&case));
            continue;
        }
        assert_eq!(counts, recorded, "{}", name(&case));
        if name(&case) != AS_TEXT {
            requests.iter().zip(calls).for_each(|(request, call)| check_call(&case, request, call));
        }
    }
    assert!(differences.is_empty(), "not recorded: {differences:?}");
}
