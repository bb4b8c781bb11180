//! The kinds `all`, `any` and `sum`, which combine other triggers, and `window`, a guard that is open at certain times.

use std::sync::Arc;

use ecs_scheduler_core::job::parse_duration;
use ecs_scheduler_core::schedule::{Schedule, ScheduleErrorKind, ScheduleSpec, parse_cron_or};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Permission, Trigger, TriggerError, TriggerType,
    async_trait,
};
use futures::future::join_all;
use jiff::SignedDuration;

use crate::combine::{Combination, combine, merge_errors};
use crate::{CombineConfig, WindowConfig};

/// Maximum number of combined triggers.
const MAX_TRIGGERS: usize = 16;
/// Maximum time that a window may stay open.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The kind `all`: idle if one is idle, else the largest demand.
#[derive(Debug, Clone, Copy, Default)]
pub struct All;

/// The kind `any`: the largest demand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Any;

/// The kind `sum`: the sum of all demands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum;

impl TriggerType for All {
    const KIND: &'static str = "all";
    const SUMMARY: &'static str = "fires when all of several triggers fire, with the largest demand";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build_combination(Combination::All, &config, cx)
    }
}

impl TriggerType for Any {
    const KIND: &'static str = "any";
    const SUMMARY: &'static str = "fires when one of several triggers fires, with the largest demand";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build_combination(Combination::Any, &config, cx)
    }
}

impl TriggerType for Sum {
    const KIND: &'static str = "sum";
    const SUMMARY: &'static str = "adds up the demands of several triggers";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build_combination(Combination::Sum, &config, cx)
    }
}

#[derive(Debug)]
struct CombinedTrigger {
    how: Combination,
    of: Vec<Arc<dyn Trigger>>,
    schedule: Option<Schedule>,
}

fn build_combination(
    how: Combination,
    config: &CombineConfig,
    cx: &BuildContext<'_>,
) -> Result<Arc<dyn Trigger>, ConfigError> {
    if config.of.is_empty() || config.of.len() > MAX_TRIGGERS {
        return Err(ConfigError::at("/of", format!("must hold 1 to {MAX_TRIGGERS} triggers")));
    }
    let of = config.of.iter().enumerate();
    let of = of.map(|(index, spec)| cx.nested(spec).map_err(|error| error.under(&format!("/of/{index}"))));
    let of = of.collect::<Result<Vec<_>, _>>()?;
    let schedules: Vec<Schedule> = of.iter().filter_map(|trigger| trigger.schedule().cloned()).collect();
    Ok(Arc::new(CombinedTrigger { how, of, schedule: Schedule::union(&schedules) }))
}

#[async_trait]
impl Trigger for CombinedTrigger {
    fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    fn is_time_based(&self) -> bool {
        self.of.iter().all(|trigger| trigger.is_time_based())
    }

    fn permissions(&self) -> Vec<Permission> {
        self.of.iter().flat_map(|trigger| trigger.permissions()).collect()
    }

    /// Guards around one queue do not change its counts. A combination of several queues, or a choice, has no counts
    /// of its own.
    fn reports_queue_depth(&self) -> bool {
        self.how == Combination::All
            && self.of.iter().filter(|trigger| trigger.reports_queue_depth()).count() == 1
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let answers = join_all(self.of.iter().map(|trigger| trigger.evaluate(cx))).await;
        let (mut evaluations, mut errors) = (Vec::new(), Vec::new());
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(evaluation) => evaluations.push(evaluation),
                Err(error) => errors.push((index, error)),
            }
        }
        if errors.is_empty() {
            Ok(combine(self.how, evaluations, cx.scaling))
        } else {
            Err(merge_errors(errors))
        }
    }
}

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
