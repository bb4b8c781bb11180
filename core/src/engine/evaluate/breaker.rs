//! The part of an evaluation for jobs with a breaker only: what an open one allows.

use super::{EvalRequest, ReadFailure, TriggerSource};
use crate::decide::OpenBreaker;
use crate::engine::breaker::{BreakerState, CANARY};
use crate::engine::inner::EngineInner;
use crate::policy::Breaker;
use crate::scaling::Demand;

impl EngineInner {
    /// Returns the bound of the job's breaker, if it is open. It does not bound firings by hand. A job whose last canary has failed is
    /// suspended, if it is not yet.
    pub(super) async fn open_breaker(
        &self,
        request: &EvalRequest<'_>,
        demand: Demand,
    ) -> Result<Option<OpenBreaker>, ReadFailure> {
        let EvalRequest { job, loaded, tick, source, .. } = request;
        let is_bounded = demand != Demand::Idle && source.is_bounded_by_breaker();
        let Some(breaker) = job.policy.breaker.filter(|_| is_bounded) else { return Ok(None) };
        let (version, is_dry) = ((loaded.uid, loaded.revision), matches!(source, TriggerSource::DryRun));
        let state = self.breaker_state(&job.id, version, breaker, !is_dry).await?;
        if !state.is_open() {
            return Ok(None);
        }
        if let Some(reason) = state.exhausted().filter(|_| !is_dry) {
            self.suspend_by_breaker(&job.id, version, reason).await;
        }
        let is_due = state.next_canary.is_some_and(|next| next <= tick.observed);
        let is_canary_due = is_due && !source.is_of_the_past();
        Ok(Some(OpenBreaker { is_canary_due, reason: reason(&state, is_canary_due) }))
    }
}

/// Returns the reason of the step. It stays the same until something happens, so that equal decisions share a row.
fn reason(state: &BreakerState, is_canary_due: bool) -> String {
    let (number, most) = (state.canaries + 1, Breaker::MAX_CANARIES);
    if is_canary_due {
        return format!("{CANARY}{number} of {most} while the breaker is open");
    }
    let next = match (&state.canary, state.next_canary) {
        (Some(firing), _) => format!("canary {number} of {most} is firing {firing}"),
        (None, Some(next)) => format!("canary {number} of {most} follows from {next:.0} on"),
        (None, None) => "the last canary failed".to_owned(),
    };
    let since = state.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
    format!("the breaker is open{since}, {} start failures in a row, {next}", state.failures)
}
