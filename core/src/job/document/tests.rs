use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::job::messages;
use crate::launcher::tests::DenyingLauncher;
use crate::launcher::{
    LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, ObservedTasks,
    TaskLogs, TaskValidation,
};
use crate::policy::{
    Breaker, CatchUpPolicy, OnError, Overlap, RetryAction, RetryCondition, RetryRule, TaskRetry,
};
use crate::registry::TriggerType;
use crate::schedule::Schedule;
use crate::task::{Population, TaskId, TaskSpec};
use crate::trigger::{EvalContext, Evaluation, TriggerError};

mod accepted;
mod durations;
mod moments;
mod notify;
mod properties;
mod refused;
mod schedule_view;
mod stored;
mod updates;
mod warnings;

/// A trigger that measures nothing: `{"type": "gauge"}`; with `ticks` it provides a schedule. As `sqs` it says that it counts
/// a queue.
#[derive(Debug)]
struct Gauge {
    ticks: Option<Schedule>,
    counts: bool,
}

#[async_trait]
impl Trigger for Gauge {
    fn schedule(&self) -> Option<&Schedule> {
        self.ticks.as_ref()
    }

    fn reports_queue_depth(&self) -> bool {
        self.counts
    }

    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(Evaluation::floor("always"))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GaugeConfig {
    #[serde(default)]
    ticks: Option<String>,
    #[expect(dead_code, reason = "only its type is checked")]
    #[serde(default)]
    queue_name: Option<String>,
    #[expect(dead_code, reason = "only its type is checked")]
    #[serde(default)]
    messages_per_task: Option<u32>,
}

/// Installed as `gauge`, and as the `sqs` of stored fixtures.
struct GaugeType<const SQS: bool>;

impl<const SQS: bool> TriggerType for GaugeType<SQS> {
    const KIND: &'static str = if SQS { "sqs" } else { "gauge" };
    const SUMMARY: &'static str = "measures nothing";
    type Config = GaugeConfig;

    fn build(&self, config: GaugeConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        use crate::schedule::ScheduleSpec;
        let ticks = config.ticks.map(|ticks| Schedule::parse(&ScheduleSpec::written(&[ticks]))).transpose();
        let ticks = ticks.map_err(|error| ConfigError::at("/ticks", error.to_string()))?;
        Ok(Arc::new(Gauge { ticks, counts: SQS }))
    }
}

fn registry() -> TriggerRegistry {
    let mut registry = TriggerRegistry::new();
    registry.add(GaugeType::<false>).unwrap();
    registry.add(GaugeType::<true>).unwrap();
    registry
}

fn context(registry: &TriggerRegistry, strictness: Strictness) -> JobContext<'_> {
    JobContext {
        registry,
        max_tasks: NonZeroU32::new(50).unwrap(),
        strictness,
        launcher: Some(&DenyingLauncher),
        channels: None,
    }
}

/// A launcher that takes the option `cluster` and bounds nothing else.
#[derive(Debug)]
struct Picky;

#[async_trait]
impl Launcher for Picky {
    fn limits(&self) -> LaunchLimits {
        unreachable!("reading a document launches nothing")
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        unreachable!("reading a document launches nothing")
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        unreachable!("reading a document launches nothing")
    }

    async fn observe(&self, _: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        unreachable!("reading a document launches nothing")
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        unreachable!("reading a document launches nothing")
    }
}

impl TaskValidation for Picky {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        match task.options.keys().find(|name| *name != "cluster") {
            Some(name) => Err(ConfigError::at(format!("/launch/{name}/0"), "Unknown option.")),
            None => Ok(()),
        }
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        let is_late = task.options.get("cluster").is_some_and(|cluster| cluster == "unreachable");
        let refusal = ConfigError::at("/launch/cluster", "It would be refused.");
        if is_late { Err(vec![refusal.clone(), refusal]) } else { Ok(Vec::new()) }
    }
}

impl LaunchDiagnosis for Picky {}

impl LaunchRecovery for Picky {}

impl TaskLogs for Picky {}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn id(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

fn create(body: Value) -> Result<Prepared, Vec<FieldError>> {
    let registry = registry();
    prepare_create(body, &context(&registry, Strictness::Strict), now())
}

fn update(existing: &Value, patch: Value) -> Result<Prepared, Vec<FieldError>> {
    let registry = registry();
    let cx = context(&registry, Strictness::Strict);
    prepare_update(&id("alpha"), &object(existing.clone()), patch, &cx, now())
}

fn patch(existing: &Value, patch: Value) -> Result<Prepared, Vec<FieldError>> {
    let registry = registry();
    let cx = context(&registry, Strictness::Strict);
    prepare_patch(&id("alpha"), &object(existing.clone()), patch, &cx, now())
}

fn load(document: Value) -> Result<Job, Vec<FieldError>> {
    let registry = registry();
    Job::parse(&id("alpha"), &object(document), &context(&registry, Strictness::Lenient))
}

/// An ordinary job with these fields besides.
fn plus(fields: Value) -> Value {
    let mut body = object(json!({"taskDefinition": "alpha", "schedule": "0 0 0 * * 1 1 2099"}));
    body.extend(object(fields));
    Value::Object(body)
}
