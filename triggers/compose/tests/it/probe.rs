//! A trigger with a configured answer.

use std::num::NonZeroU32;
use std::sync::Arc;

use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
use ecs_scheduler_core::{
    BuildContext, ConfigError, Demand, EvalContext, Evaluation, FaultKind, JobId, Observation, Scaling, Tick,
    Timestamp, Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_trigger_compose::{All, Any, Sum, Window};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Requests this many tasks; fails or waits if configured.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Probe {
    /// Number of tasks; the floor if absent.
    tasks: Option<u32>,
    /// The reason.
    #[serde(default, rename = "because")]
    reason: String,
    /// The kind of failure.
    fails: Option<FaultKindName>,
    /// The schedule and its zone.
    ticks: Option<(String, String)>,
    /// Seconds to wait.
    #[serde(default)]
    waits: u64,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum FaultKindName {
    Denied,
    Throttled,
}

#[derive(Debug)]
struct ProbeTrigger(Probe, Option<Schedule>);

pub(crate) struct ProbeType;

impl TriggerType for ProbeType {
    const KIND: &'static str = "probe";
    const SUMMARY: &'static str = "returns the demand of its configuration";
    type Config = Probe;

    fn build(&self, config: Probe, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let ticks = config.ticks.as_ref().map(|(ticks, zone)| {
            let expressions = [ticks.clone()];
            let spec = ScheduleSpec { timezone: Some(zone), ..ScheduleSpec::written(&expressions) };
            Schedule::parse(&spec).unwrap()
        });
        Ok(Arc::new(ProbeTrigger(config, ticks)))
    }
}

#[async_trait]
impl Trigger for ProbeTrigger {
    fn schedule(&self) -> Option<&Schedule> {
        self.1.as_ref()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        tokio::time::sleep(std::time::Duration::from_secs(self.0.waits)).await;
        let kind = match self.0.fails {
            None => {
                let demand = self.0.tasks.map_or(Demand::Floor, Demand::from_count);
                let observation = Observation::new(
                    "tasks",
                    self.0.reason.clone(),
                    f64::from(self.0.tasks.unwrap_or_default()),
                    "tasks",
                    cx.tick.nominal,
                );
                let reason = self.0.reason.clone();
                return Ok(Evaluation::new(demand, reason).with_observation(observation));
            }
            Some(FaultKindName::Denied) => FaultKind::Denied,
            Some(FaultKindName::Throttled) => FaultKind::Throttled,
        };
        Err(TriggerError::new(kind, format!("could not read {}", self.0.reason)))
    }
}

pub(crate) fn registry() -> TriggerRegistry {
    let mut registry = TriggerRegistry::new();
    registry.add(All).unwrap();
    registry.add(Any).unwrap();
    registry.add(Sum).unwrap();
    registry.add(Window).unwrap();
    registry.add(ProbeType).unwrap();
    registry
}

pub(crate) fn build(spec: &Value) -> Result<Arc<dyn Trigger>, ConfigError> {
    let registry = registry();
    registry.build(spec, &BuildContext::new(&registry, "UTC", Scaling::default()))
}

/// Evaluates for a job with `taskCount` 3.
pub(crate) async fn evaluate(spec: &Value, at: &str) -> Result<Evaluation, TriggerError> {
    let nominal: Timestamp = at.parse().unwrap();
    let job = JobId::new("j").unwrap();
    let scaling = Scaling { floor: NonZeroU32::new(3).unwrap(), ..Scaling::default() };
    let cx = EvalContext::new(&job, Tick::at(nominal), scaling);
    build(spec).unwrap().evaluate(&cx).await
}
