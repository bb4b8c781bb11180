//! The rules by which demands and errors of several triggers become one.

use ecs_scheduler_core::{Demand, Evaluation, Scaling, TriggerError};

/// The rule by which demands are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Combination {
    All,
    Any,
    Sum,
}

/// Merges errors into one. It is transient only if all are: a person must fix the others anyway.
pub(crate) fn merge_errors(mut errors: Vec<(usize, TriggerError)>) -> TriggerError {
    let places: Vec<String> = errors.iter().map(|(index, _)| format!("/of/{index}")).collect();
    let worst = errors.iter().position(|(_, error)| !error.is_transient()).unwrap_or_default();
    let (_, error) = errors.swap_remove(worst);
    TriggerError::new(error.kind(), format!("could not evaluate {}", places.join(" and "))).with_source(error)
}

/// Combines evaluations: their demands by the rule, and the reasons and observations of those that decide.
pub(crate) fn combine(how: Combination, evaluations: Vec<Evaluation>, scaling: Scaling) -> Evaluation {
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
