//! The part of an evaluation for jobs with a budget only: what is left for it.

use jiff::{SignedDuration, Timestamp};

use super::{EvalRequest, ReadFailure, TriggerSource};
use crate::decide::{BudgetRoom, Decision, Rule, Step};
use crate::engine::budgets::BudgetRequest;
use crate::engine::catch_up::Ticks;
use crate::engine::inner::EngineInner;
use crate::id::FiringId;

/// When a retry of failed tasks, or a backfill, that finds nothing left asks again, at the latest.
const RETRY_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

impl EvalRequest<'_> {
    /// Returns the id of the firing that it makes, if it launches something.
    pub(super) fn firing_id(&self) -> FiringId {
        match &self.source {
            TriggerSource::Tick | TriggerSource::DryRun => {
                FiringId::for_tick(&self.loaded.uid, self.tick.nominal)
            }
            TriggerSource::Manual { id, .. } => id.clone(),
            TriggerSource::Retry(order) => order.id(),
            TriggerSource::Backfill(order) => order.id.clone(),
        }
    }
}

impl EngineInner {
    /// Reserves the tasks of a decision; returns what the budgets of the job leave, if it has any. A dry run reserves nothing.
    pub(super) async fn reserve_budget(
        &self,
        request: &EvalRequest<'_>,
        decision: &Decision,
    ) -> Result<Option<BudgetRoom>, ReadFailure> {
        if decision.launch == 0 || request.source.is_preview() || self.process.budgets.is_empty() {
            return Ok(None);
        }
        let EvalRequest { job, loaded, tick, source, .. } = request;
        // A tick of a backfill whose tasks cannot all start waits anyway.
        let is_cut = |step: &Step| step.rule == Rule::Overlap && step.after < step.before;
        if matches!(source, TriggerSource::Backfill(_)) && decision.steps.iter().any(is_cut) {
            return Ok(None);
        }
        let budgets = self.process.budgets.matching(&job.labels);
        if budgets.is_empty() {
            return Ok(None);
        }
        let wanted = BudgetRequest {
            engine: self.number,
            job: job.id.clone(),
            uid: loaded.uid,
            firing: request.firing_id(),
            budgets,
            tasks: decision.launch,
            replaces: decision.replace,
            is_whole: source.is_of_the_past(),
            next: next_request(request),
            now: tick.observed,
        };
        let room = match source {
            TriggerSource::DryRun => self.store.preview_budget(&wanted).await,
            TriggerSource::Tick
            | TriggerSource::Manual { .. }
            | TriggerSource::Retry(_)
            | TriggerSource::Backfill(_) => self.store.reserve_budget(wanted).await,
        };
        Ok(Some(room?))
    }
}

/// Returns when the job asks again if it gets nothing. A person who fires by hand does not wait.
fn next_request(request: &EvalRequest<'_>) -> Option<Timestamp> {
    let EvalRequest { job, tick, source, .. } = request;
    match source {
        TriggerSource::Tick => Ticks::from_job(job, tick.nominal)?.next_due(),
        TriggerSource::Retry(_) | TriggerSource::Backfill(_) => {
            tick.observed.checked_add(RETRY_INTERVAL).ok()
        }
        TriggerSource::Manual { .. } | TriggerSource::DryRun => None,
    }
}
