//! The conformance suite for triggers, which every implementation must pass.
//!
//! A crate with a trigger implements [`TriggerFixture`] and calls [`trigger_suite!`](macro@crate::trigger_suite). Each behaviour becomes a
//! separate test, named like its function in this module.
//!
//! ```
//! use std::sync::Arc;
//! use ecs_scheduler_testing::trigger_suite::{Example, InvalidConfig, TriggerFixture};
//! use ecs_scheduler_core::{
//!     BuildContext, ConfigError, Demand, EvalContext, Evaluation, Trigger, TriggerError, TriggerRegistry,
//!     TriggerType, async_trait,
//! };
//! use serde_json::json;
//!
//! /// No configuration.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Nothing {}
//!
//! #[derive(Debug)]
//! struct Never;
//!
//! struct NeverType;
//!
//! impl TriggerType for NeverType {
//!     const KIND: &'static str = "never";
//!     const SUMMARY: &'static str = "never fires";
//!     type Config = Nothing;
//!
//!     fn build(&self, _: Nothing, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
//!         Ok(Arc::new(Never))
//!     }
//! }
//!
//! #[async_trait]
//! impl Trigger for Never {
//!     async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
//!         Ok(Evaluation::idle("it never fires"))
//!     }
//! }
//!
//! struct NeverFixture;
//!
//! impl TriggerFixture for NeverFixture {
//!     fn kind(&self) -> &'static str {
//!         NeverType::KIND
//!     }
//!
//!     fn install(&self, registry: &mut TriggerRegistry) {
//!         registry.add(NeverType).expect("it is installed once");
//!     }
//!
//!     fn examples(&self) -> Vec<Example> {
//!         vec![Example::new(json!({}), "2026-01-01T00:00:00Z", Demand::Idle)]
//!     }
//!
//!     fn invalid_configs(&self) -> Vec<InvalidConfig> {
//!         Vec::new()
//!     }
//! }
//!
//! ecs_scheduler_testing::trigger_suite!(NeverFixture);
//! # fn main() {}
//! ```

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::registry::{BuildContext, ConfigError, TriggerFactory, TriggerRegistry};
use ecs_scheduler_core::scaling::{Demand, Scaling};
use ecs_scheduler_core::trigger::{EvalContext, Evaluation, Tick, Trigger, TriggerError};

/// The timeout of one evaluation, long enough for a busy machine.
const EVALUATION_TIMEOUT: Duration = Duration::from_secs(20);

/// A fixture for one type of trigger.
pub trait TriggerFixture {
    /// Returns the name of the type.
    fn kind(&self) -> &'static str;
    /// Installs the type, and the types that its examples use.
    fn install(&self, registry: &mut TriggerRegistry);
    /// Returns configurations with their demand; preferably at least one that is idle and one that fires.
    fn examples(&self) -> Vec<Example>;
    /// Returns configurations that must be rejected.
    fn invalid_configs(&self) -> Vec<InvalidConfig>;
}

/// A configuration and its expected demand at a tick.
#[derive(Debug, Clone)]
pub struct Example {
    /// The `trigger` object without its `type`.
    pub config: Value,
    /// The nominal tick.
    pub tick: Timestamp,
    /// The demand.
    pub demand: Demand,
}

impl Example {
    /// Makes an example.
    ///
    /// # Panics
    ///
    /// Panics when `tick` is not a moment such as `2026-01-01T00:00:00Z`.
    #[must_use]
    pub fn new(config: Value, tick: &str, demand: Demand) -> Self {
        Self { config, tick: tick.parse().expect("a moment"), demand }
    }
}

/// A configuration that must be rejected.
#[derive(Debug, Clone)]
pub struct InvalidConfig {
    /// The `trigger` object without its `type`.
    pub config: Value,
    /// The expected pointer of the error: `/of/0/queueName`.
    pub pointer: &'static str,
}

/// Makes a test of every behaviour that a trigger must show, each on a fresh `$subject`.
#[macro_export]
macro_rules! trigger_suite {
    ($subject:expr) => {
        $crate::trigger_behaviours!($subject;
            the_schema_describes_every_field
            an_unknown_field_is_rejected_by_name
            an_invalid_configuration_is_rejected_at_its_field
            every_example_makes_its_demand
            every_evaluation_gives_a_reason
            a_time_based_trigger_is_deterministic
            no_tick_panics_or_blocks
        );
    };
}

/// Makes a test of each named behaviour; the suite uses it.
#[doc(hidden)]
#[macro_export]
macro_rules! trigger_behaviours {
    ($subject:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::trigger_suite::$name(&$subject);
            }
        )*
    };
}

/// The type in a registry, with its configurations.
struct Fixture<'a> {
    subject: &'a dyn TriggerFixture,
    registry: TriggerRegistry,
}

impl<'a> Fixture<'a> {
    fn new(subject: &'a dyn TriggerFixture) -> Self {
        let mut registry = TriggerRegistry::new();
        subject.install(&mut registry);
        Self { subject, registry }
    }

    fn factory(&self) -> &dyn TriggerFactory {
        let kind = self.subject.kind();
        self.registry.kinds().find(|factory| factory.kind() == kind).expect("the subject installs its kind")
    }

    fn build(&self, config: &Value) -> Result<Arc<dyn Trigger>, ConfigError> {
        let mut spec = config.clone();
        spec["type"] = self.subject.kind().into();
        self.registry.build(&spec, &BuildContext::new(&self.registry, "UTC", Scaling::default()))
    }

    fn built(&self, config: &Value) -> Arc<dyn Trigger> {
        self.build(config).unwrap_or_else(|error| panic!("{config} is refused: {error}"))
    }
}

/// Evaluates at one tick after the other, on a separate thread, so that a blocking trigger is detected.
fn evaluate_at(
    trigger: Arc<dyn Trigger>,
    ticks: impl Iterator<Item = Timestamp> + Send + 'static,
) -> Vec<Result<Evaluation, TriggerError>> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let job = JobId::new("suite").expect("a valid name");
        let answers = ticks.map(|nominal| {
            let tick = Tick::at(nominal);
            let cx = EvalContext::new(&job, tick, Scaling::default());
            runtime.block_on(trigger.evaluate(&cx))
        });
        let answers = answers.collect();
        // The receiver is gone when the evaluations took too long.
        let _ = sender.send(answers);
    });
    receiver.recv_timeout(EVALUATION_TIMEOUT).expect("an evaluation neither panics nor blocks")
}

fn evaluate(trigger: Arc<dyn Trigger>, tick: Timestamp) -> Result<Evaluation, TriggerError> {
    evaluate_at(trigger, std::iter::once(tick)).remove(0)
}

/// The schema is that of an object, and describes every field.
pub fn the_schema_describes_every_field(subject: &dyn TriggerFixture) {
    let schema = Fixture::new(subject).factory().schema();
    assert_eq!(schema["type"], "object", "{schema}");
    assert!(is_described(&schema), "the configuration itself is not described: {schema}");
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    for (_, object) in definitions.chain([(&String::new(), &schema)]) {
        for (name, field) in object["properties"].as_object().into_iter().flatten() {
            assert!(is_described(field), "field {name} is not described: {field}");
        }
    }
}

fn is_described(schema: &Value) -> bool {
    schema["description"].as_str().is_some_and(|text| text.len() > 3)
}

/// A misspelt field is rejected, with its name.
pub fn an_unknown_field_is_rejected_by_name(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    let mut config = subject.examples().first().map_or_else(|| json!({}), |example| example.config.clone());
    config["unheardOf"] = json!(1);
    let error = fixture.build(&config).expect_err("an unknown field is refused");
    assert!(error.to_string().contains("unheardOf"), "{error}");
}

/// Invalid configurations are rejected, with a pointer and a reason.
pub fn an_invalid_configuration_is_rejected_at_its_field(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    for InvalidConfig { config, pointer } in subject.invalid_configs() {
        let error = fixture.build(&config).expect_err(&format!("{config} is refused"));
        assert_eq!(error.pointer, pointer, "{config}: {error}");
        assert!(!error.message.is_empty(), "{config}");
    }
}

/// Every example makes its demand.
pub fn every_example_makes_its_demand(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    let examples = subject.examples();
    assert!(!examples.is_empty(), "there is no example");
    for Example { config, tick, demand } in examples {
        let evaluation =
            evaluate(fixture.built(&config), tick).unwrap_or_else(|error| panic!("{config}: {error}"));
        assert_eq!(evaluation.demand, demand, "{config} at {tick}: {}", evaluation.reason);
    }
}

/// Every evaluation has a reason, in words that fit into a sentence.
pub fn every_evaluation_gives_a_reason(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    for Example { config, tick, .. } in subject.examples() {
        let evaluation = evaluate(fixture.built(&config), tick).expect("the example can be evaluated");
        let reason = evaluation.reason;
        assert!(!reason.trim().is_empty(), "{config}: no reason");
        assert!(!reason.ends_with('.') && !reason.contains('\n'), "{config}: {reason:?}");
    }
}

/// A time-based trigger gives the same result for the same tick.
pub fn a_time_based_trigger_is_deterministic(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    for Example { config, tick, .. } in subject.examples() {
        let trigger = fixture.built(&config);
        if trigger.is_time_based() {
            let [first, second] =
                [(), ()].map(|()| evaluate(Arc::clone(&trigger), tick).expect("it is timeless"));
            assert_eq!(first, second, "{config}");
        }
    }
}

/// No tick makes a trigger panic or block, not even the first and last timestamp, nor a hundred ticks in a row.
pub fn no_tick_panics_or_blocks(subject: &dyn TriggerFixture) {
    let fixture = Fixture::new(subject);
    for Example { config, tick, .. } in subject.examples() {
        let trigger = fixture.built(&config);
        let ends = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX].into_iter();
        let around = (0..100).filter_map(move |n| tick.checked_add(SignedDuration::from_mins(n * 977)).ok());
        let ticks: Vec<Timestamp> = ends.chain(around).collect();
        if let Some(schedule) = trigger.schedule() {
            for nominal in &ticks {
                let next = schedule.next_after(*nominal);
                assert!(next.is_none_or(|next| next > *nominal), "{config}: {next:?} is not after {nominal}");
            }
        }
        // An error is a result, too.
        let count = ticks.len();
        assert_eq!(evaluate_at(trigger, ticks.into_iter()).len(), count);
    }
}
