//! Several triggers as one.

use std::sync::Arc;

use ecs_scheduler_core::schedule::Schedule;
use ecs_scheduler_core::{
    BuildContext, ConfigError, Demand, EvalContext, Evaluation, Permission, Scaling, Trigger, TriggerError,
    TriggerType, async_trait,
};
use futures::future::join_all;

use crate::CombineConfig;

/// The most triggers that one may combine.
const MOST: usize = 16;

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
        build(How::All, &config, cx)
    }
}

impl TriggerType for Any {
    const KIND: &'static str = "any";
    const SUMMARY: &'static str = "fires when one of several triggers fires, with the largest demand";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build(How::Any, &config, cx)
    }
}

impl TriggerType for Sum {
    const KIND: &'static str = "sum";
    const SUMMARY: &'static str = "adds up the demands of several triggers";
    type Config = CombineConfig;

    fn build(&self, config: CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        build(How::Sum, &config, cx)
    }
}

/// How demands become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    All,
    Any,
    Sum,
}

#[derive(Debug)]
struct Combined {
    how: How,
    of: Vec<Arc<dyn Trigger>>,
    schedule: Option<Schedule>,
}

fn build(how: How, config: &CombineConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
    if config.of.is_empty() || config.of.len() > MOST {
        return Err(ConfigError::at("/of", format!("must hold 1 to {MOST} triggers")));
    }
    let of = config.of.iter().enumerate();
    let of = of.map(|(index, spec)| cx.nested(spec).map_err(|error| error.under(&format!("/of/{index}"))));
    let of = of.collect::<Result<Vec<_>, _>>()?;
    let schedules: Vec<Schedule> = of.iter().filter_map(|trigger| trigger.schedule().cloned()).collect();
    Ok(Arc::new(Combined { how, of, schedule: Schedule::union(&schedules) }))
}

#[async_trait]
impl Trigger for Combined {
    fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    fn is_timeless(&self) -> bool {
        self.of.iter().all(|trigger| trigger.is_timeless())
    }

    fn permissions(&self) -> Vec<Permission> {
        self.of.iter().flat_map(|trigger| trigger.permissions()).collect()
    }

    /// Guards around one queue leave its counts what they are; several queues, or a choice, have none of their own.
    fn counts_queue(&self) -> bool {
        self.how == How::All && self.of.iter().filter(|trigger| trigger.counts_queue()).count() == 1
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
        if errors.is_empty() { Ok(combine(self.how, evaluations, cx.scaling)) } else { Err(name(errors)) }
    }
}

/// Makes one error of at least one. It is transient only if all are: the others must be put right by a person anyway.
fn name(mut errors: Vec<(usize, TriggerError)>) -> TriggerError {
    let places: Vec<String> = errors.iter().map(|(index, _)| format!("/of/{index}")).collect();
    let worst = errors.iter().position(|(_, error)| !error.is_transient()).unwrap_or_default();
    let (_, error) = errors.swap_remove(worst);
    TriggerError::new(error.kind(), format!("could not evaluate {}", places.join(" and "))).because(error)
}

fn combine(how: How, evaluations: Vec<Evaluation>, scaling: Scaling) -> Evaluation {
    let is_idle = |evaluation: &&Evaluation| evaluation.demand == Demand::Idle;
    let fires = |evaluation: &&Evaluation| evaluation.demand != Demand::Idle;
    let tasks = |demand: &Demand| demand.tasks(scaling.floor);
    let largest = || evaluations.iter().map(|evaluation| evaluation.demand).max_by_key(tasks);
    let demand = match how {
        How::All if evaluations.iter().any(|evaluation| is_idle(&evaluation)) => Demand::Idle,
        How::All | How::Any => largest().unwrap_or(Demand::Idle),
        How::Sum => {
            let amounts = evaluations.iter().map(|evaluation| match evaluation.demand {
                Demand::Idle => 0,
                Demand::Floor => scaling.floor.get(),
                Demand::Tasks(n) => n.get(),
            });
            Demand::of(amounts.fold(0, u32::saturating_add))
        }
    };
    // What tells is who fires, or, when nothing comes of it, who does not.
    let (word, telling): (&str, Vec<&Evaluation>) = match (how, demand) {
        (_, Demand::Idle) => (" and ", evaluations.iter().filter(is_idle).collect()),
        (How::All, _) => (" and ", evaluations.iter().collect()),
        (How::Any, _) => (" or ", evaluations.iter().filter(fires).collect()),
        (How::Sum, _) => (" plus ", evaluations.iter().filter(fires).collect()),
    };
    let reasons: Vec<&str> = telling.into_iter().map(|evaluation| evaluation.because.as_str()).collect();
    let because = reasons.join(word);
    let (mut observations, mut queue) = (Vec::new(), None);
    for evaluation in evaluations {
        observations.extend(evaluation.observations);
        queue = queue.or(evaluation.queue);
    }
    Evaluation { demand, because, observations, queue }
}
