//! The call of a trigger, with a deadline and a guard against panics.

use futures::FutureExt as _;

use super::{EvalRequest, ReadFailure};
use crate::engine::inner::EngineInner;
use crate::fault::FaultKind;
use crate::trigger::{EvalContext, Evaluation, Tick, Trigger, TriggerError};

impl EngineInner {
    /// Asks a trigger about a tick, within a deadline.
    pub(super) async fn ask_trigger(
        &self,
        request: &EvalRequest<'_>,
        trigger: &dyn Trigger,
        tick: Tick,
    ) -> Result<Evaluation, ReadFailure> {
        let cx = EvalContext::new(&request.job.id, tick, request.job.scaling);
        let deadline = self.options.evaluation_deadline;
        let guarded = std::panic::AssertUnwindSafe(trigger.evaluate(&cx)).catch_unwind();
        let answer = match tokio::time::timeout(deadline, guarded).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(TriggerError::new(
                FaultKind::Bug,
                format!("the trigger panicked: {}", panic_text(panic.as_ref())),
            )),
            Err(_) => {
                let message = format!("the trigger did not answer within {} s", deadline.as_secs());
                Err(TriggerError::new(FaultKind::Unavailable, message))
            }
        };
        self.apply_fallback(request, answer)
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
