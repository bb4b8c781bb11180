//! The `window` trigger, a guard that is open at certain times.

use std::sync::Arc;

use ecs_scheduler_core::job::parse_duration;
use ecs_scheduler_core::schedule::{Schedule, ScheduleErrorKind, ScheduleSpec, parse_cron_or};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Trigger, TriggerError, TriggerType, async_trait,
};
use jiff::SignedDuration;

use crate::WindowConfig;

/// Maximum time that a window may stay open.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The kind `window`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window;

impl TriggerType for Window {
    const KIND: &'static str = "window";
    const SUMMARY: &'static str = "fires while a window of time is open: a guard for use in `all`";
    type Config = WindowConfig;

    fn build(&self, config: WindowConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let duration = parse_duration(&config.duration)
            .and_then(|duration| SignedDuration::try_from(duration).ok())
            .filter(|duration| (SignedDuration::from_secs(1)..=MAX_DURATION).contains(duration))
            .ok_or_else(|| {
                ConfigError::at("/duration", "must be a duration such as \"8h\", between 1s and 366d")
            })?;
        let expressions = [parse_cron_or(&config.start).into_owned()];
        let timezone = config.timezone.as_deref().unwrap_or(cx.timezone);
        let spec = ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) };
        let opens = Schedule::parse(&spec).map_err(|error| {
            let field = if error.kind() == ScheduleErrorKind::TimeZone { "/timezone" } else { "/start" };
            ConfigError::at(field, error.explained())
        })?;
        cx.add_consulted_schedule(&opens);
        Ok(Arc::new(WindowTrigger { opens, duration, length: config.duration }))
    }
}

#[derive(Debug)]
struct WindowTrigger {
    opens: Schedule,
    duration: SignedDuration,
    /// The duration as it was written.
    length: String,
}

#[async_trait]
impl Trigger for WindowTrigger {
    fn is_time_based(&self) -> bool {
        true
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let zone = self.opens.time_zone();
        Ok(match self.opens.open_at(cx.tick.nominal, self.duration) {
            Some(opened) => Evaluation::floor(format!(
                "the window of {} is open since {}",
                self.length,
                opened.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Q")
            )),
            None => Evaluation::idle("the window is closed"),
        })
    }
}
