//! The `cron` trigger, which provides the schedule of its expression.

use std::sync::Arc;

use ecs_scheduler_core::schedule::{Schedule, ScheduleErrorKind, ScheduleSpec, parse_cron_or};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Timestamp, Trigger, TriggerError, TriggerType,
    async_trait,
};

use crate::CronConfig;

/// The kind `cron`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cron;

impl TriggerType for Cron {
    const KIND: &'static str = "cron";
    const SUMMARY: &'static str = "provides ticks and fires at each of them";
    type Config = CronConfig;

    fn build(&self, config: CronConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let expressions = [parse_cron_or(&config.expression).into_owned()];
        let timezone = config.timezone.as_deref().unwrap_or(cx.timezone);
        let spec = ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) };
        let schedule = Schedule::parse(&spec).map_err(|error| {
            let field = if error.kind() == ScheduleErrorKind::TimeZone { "/timezone" } else { "/expression" };
            ConfigError::at(field, error.explained())
        })?;
        Ok(Arc::new(CronTrigger { schedule, expression: config.expression }))
    }
}

#[derive(Debug)]
struct CronTrigger {
    schedule: Schedule,
    expression: String,
}

#[async_trait]
impl Trigger for CronTrigger {
    fn schedule(&self) -> Option<&Schedule> {
        Some(&self.schedule)
    }

    fn is_time_based(&self) -> bool {
        true
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let at = cx.tick.nominal;
        // A tick is a whole second, so the second before it contains this tick or none.
        let before = Timestamp::from_second(at.as_second() - 1).unwrap_or(Timestamp::MIN);
        let expression = &self.expression;
        Ok(if self.schedule.last_in(before, at) == Some(at) {
            Evaluation::floor(format!("{expression} names this tick"))
        } else {
            Evaluation::idle(format!("{expression} does not name this tick"))
        })
    }
}
