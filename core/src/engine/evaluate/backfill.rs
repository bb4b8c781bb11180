//! The evaluation of a past tick for a backfill.

use super::{EvalRequest, ReadFailure};
use crate::decide::{DecisionDraft, Rule, TickOutcome};
use crate::engine::inner::EngineInner;
use crate::engine::message::BackfillOrder;
use crate::trigger::{Evaluation, Tick};

impl EngineInner {
    /// Evaluates the trigger of the job's present version at the past tick. The reason names the tick, so that no two of them share a row.
    pub(super) async fn evaluate_past(
        &self,
        request: &EvalRequest<'_>,
        order: &BackfillOrder,
    ) -> Result<Evaluation, ReadFailure> {
        let tick = Tick::new(order.nominal, request.tick.observed);
        let mut evaluation = match &request.job.trigger {
            None => Evaluation::floor("due, taskCount"),
            Some(trigger) if trigger.is_time_based() => self.ask_trigger(request, &**trigger, tick).await?,
            Some(_) => {
                let reason = "the job has a trigger by now that measures the present, so that past ticks cannot be evaluated; \
                              stop the backfill, or change the trigger";
                return Err(ReadFailure { reason: reason.to_owned(), is_transient: false });
            }
        };
        evaluation.reason = format!("backfill of {:.0}: {}", order.nominal, evaluation.reason);
        Ok(evaluation)
    }
}

/// Returns the outcome with which a backfill waits with a tick, if something keeps its tasks, or some of them, from starting now.
pub(in crate::engine) fn waits(draft: &DecisionDraft) -> Option<TickOutcome> {
    let is_cut = |rule| draft.steps.iter().any(|step| step.rule == rule && step.after < step.before);
    if draft.outcome == TickOutcome::Pending {
        let cuts = [(Rule::Overlap, TickOutcome::Capped), (Rule::Budget, TickOutcome::Budget)];
        return cuts.into_iter().find(|(rule, _)| is_cut(*rule)).map(|(_, outcome)| outcome);
    }
    (draft.outcome != TickOutcome::Idle).then_some(draft.outcome)
}
