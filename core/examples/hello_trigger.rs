//! The smallest trigger. `cargo run -p ecs-scheduler-core --example hello_trigger` prints its schema.
use ecs_scheduler_core::*;
use std::{num::NonZeroU8, sync::Arc};

/// Fires when the minute of the tick is a multiple of `every`.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hello {
    /// In minutes; 1 to 255, for example 5.
    every: NonZeroU8,
}

#[async_trait]
impl Trigger for Hello {
    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let minute = cx.tick.nominal.as_second().div_euclid(60);
        let reason = format!("minute {minute} divided by {}", self.every);
        let fires = minute % i64::from(self.every.get()) == 0;
        Ok(if fires { Evaluation::floor(reason) } else { Evaluation::idle(reason) })
    }
}

struct HelloType;
impl TriggerType for HelloType {
    const KIND: &'static str = "hello";
    const SUMMARY: &'static str = "fires when the minute is a multiple of a number";
    type Config = Hello;
    fn build(&self, config: Hello, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(config))
    }
}

fn main() -> Result<(), ConfigError> {
    let mut registry = TriggerRegistry::new();
    registry.add(HelloType)?;
    registry.kinds().for_each(|kind| println!("{}: {:#}", kind.kind(), kind.schema()));
    Ok(())
}
