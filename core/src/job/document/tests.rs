use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::policy::{CatchUpPolicy, OnError, Overlap};
use crate::registry::TriggerType;
use crate::schedule::Schedule;
use crate::trigger::{EvalContext, Evaluation, TriggerError};

mod accepted;
mod agenda;
mod durations;
mod moments;
mod properties;
mod refused;
mod stored;
mod updates;

/// A trigger that measures nothing: `{"type": "gauge"}`; with `ticks` it brings those.
#[derive(Debug)]
struct Gauge(Option<Schedule>);

#[async_trait]
impl Trigger for Gauge {
    fn schedule(&self) -> Option<&Schedule> {
        self.0.as_ref()
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
        Ok(Arc::new(Gauge(ticks)))
    }
}

fn registry() -> TriggerRegistry {
    let mut registry = TriggerRegistry::new();
    registry.add(GaugeType::<false>).unwrap();
    registry.add(GaugeType::<true>).unwrap();
    registry
}

fn context(registry: &TriggerRegistry, dialect: Dialect) -> JobContext<'_> {
    JobContext { registry, max_tasks: NonZeroU32::new(50).unwrap(), dialect, launch_options: false }
}

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
    prepare_create(body, &context(&registry, Dialect::Written), now())
}

fn update(existing: &Value, patch: Value) -> Result<Prepared, Vec<FieldError>> {
    let registry = registry();
    let cx = context(&registry, Dialect::Written);
    prepare_update(&id("alpha"), &object(existing.clone()), patch, &cx, now())
}

fn patch(existing: &Value, patch: Value) -> Result<Prepared, Vec<FieldError>> {
    let registry = registry();
    let cx = context(&registry, Dialect::Written);
    prepare_patch(&id("alpha"), &object(existing.clone()), patch, &cx, now())
}

fn load(document: Value) -> Result<Job, Vec<FieldError>> {
    let registry = registry();
    Job::parse(&id("alpha"), &object(document), &context(&registry, Dialect::Stored))
}

/// An ordinary job with these fields besides.
fn plus(fields: Value) -> Value {
    let mut body = object(json!({"taskDefinition": "alpha", "schedule": "0 0 0 * * 1 1 2099"}));
    body.extend(object(fields));
    Value::Object(body)
}
