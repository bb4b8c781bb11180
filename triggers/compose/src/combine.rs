//! Triggers that combine other triggers.

use std::sync::Arc;

use ecs_scheduler_core::schedule::Schedule;
use ecs_scheduler_core::{
    BuildContext, ConfigError, Demand, EvalContext, Evaluation, Permission, Scaling, Trigger, TriggerError,
    TriggerType, async_trait,
};
use futures::future::join_all;

use crate::CombineConfig;

/// Maximum number of combined triggers.
const MAX_TRIGGERS: usize = 16;

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
        build(Combination::All, &config, cx)
    }
}

impl TriggerType for Any {
    const KIND: &'static str = "any";
    const SUMMARY: &'static str = "fires when one of several triggers fires, with the largest demand";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build(Combination::Any, &config, cx)
    }
}

impl TriggerType for Sum {
    const KIND: &'static str = "sum";
    const SUMMARY: &'static str = "adds up the demands of several triggers";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build(Combination::Sum, &config, cx)
    }
}

/// The rule by which demands are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combination {
    All,
    Any,
    Sum,
}

#[derive(Debug)]
struct CombinedTrigger {
    how: Combination,
    of: Vec<Arc<dyn Trigger>>,
    schedule: Option<Schedule>,
}

fn build(
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

/// Merges errors into one. It is transient only if all are: a person must fix the others anyway.
fn merge_errors(mut errors: Vec<(usize, TriggerError)>) -> TriggerError {
    let places: Vec<String> = errors.iter().map(|(index, _)| format!("/of/{index}")).collect();
    let worst = errors.iter().position(|(_, error)| !error.is_transient()).unwrap_or_default();
    let (_, error) = errors.swap_remove(worst);
    TriggerError::new(error.kind(), format!("could not evaluate {}", places.join(" and "))).with_source(error)
}

fn combine(how: Combination, evaluations: Vec<Evaluation>, scaling: Scaling) -> Evaluation {
    let is_idle = |evaluation: &&Evaluation| evaluation.demand == Demand::Idle;
    let fires = |evaluation: &&Evaluation| evaluation.demand != Demand::Idle;
    let tasks = |demand: &Demand| demand.tasks(scaling.floor);
    let largest = || evaluations.iter().map(|evaluation| evaluation.demand).max_by_key(tasks);
    let demand = match how {
        Combination::All if evaluations.iter().any(|evaluation| is_idle(&evaluation)) => Demand::Idle,
        Combination::All | Combination::Any => largest().unwrap_or(Demand::Idle),
        Combination::Sum => {
            let amounts = evaluations.iter().map(|evaluation| match evaluation.demand {
                Demand::Idle => 0,
                Demand::Floor => scaling.floor.get(),
                Demand::Tasks(n) => n.get(),
            });
            Demand::from_count(amounts.fold(0, u32::saturating_add))
        }
    };
    // The reasons that count are those of the firing triggers, or of the idle ones if the result is idle.
    let (word, deciding): (&str, Vec<&Evaluation>) = match (how, demand) {
        (_, Demand::Idle) => (" and ", evaluations.iter().filter(is_idle).collect()),
        (Combination::All, _) => (" and ", evaluations.iter().collect()),
        (Combination::Any, _) => (" or ", evaluations.iter().filter(fires).collect()),
        (Combination::Sum, _) => (" plus ", evaluations.iter().filter(fires).collect()),
    };
    let reasons: Vec<&str> = deciding.into_iter().map(|evaluation| evaluation.reason.as_str()).collect();
    let mut combined = Evaluation::new(demand, reasons.join(word));
    for evaluation in evaluations {
        combined.observations.extend(evaluation.observations);
        combined.queue = combined.queue.or(evaluation.queue);
    }
    combined
}
