//! The part of an evaluation for jobs with a budget: what is left for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{EvalRequest, ReadFailure, TriggerSource};
use crate::decide::{BudgetRoom, Decision, Rule, Step};
use crate::engine::budgets::{BudgetRequest, longest_time};
use crate::engine::catch_up::Ticks;
use crate::engine::inner::EngineInner;
use crate::id::FiringId;
use crate::task::{TaskSize, TaskSpec};

/// When a retry of failed tasks, or a backfill, that finds nothing left asks again, at the latest.
const RETRY_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// The tasks that a firing starts.
#[derive(Debug)]
pub(super) struct TasksToStart {
    /// The exact task definition.
    pub(super) definition: String,
    pub(super) task: Arc<TaskSpec>,
    /// The size of each task; not known before the budgets were asked.
    pub(super) size: TaskSize,
}

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
    /// Returns the tasks that an evaluation starts, if it starts any.
    pub(super) fn tasks_to_start(&self, request: &EvalRequest<'_>, resolved: Option<String>) -> TasksToStart {
        let mut task = Arc::clone(&request.job.task);
        let mut definition = resolved.unwrap_or_else(|| task.definition.clone());
        match &request.source {
            TriggerSource::Manual { options, .. } => {
                if let Some(overrides) = &options.overrides {
                    Arc::make_mut(&mut task).overrides.clone_from(overrides);
                }
            }
            TriggerSource::Retry(order) => {
                (task, definition) = (Arc::clone(&order.of.task), order.of.definition.clone());
            }
            TriggerSource::Tick | TriggerSource::Backfill(_) | TriggerSource::DryRun => {}
        }
        TasksToStart { definition, task, size: TaskSize::default() }
    }

    /// Reserves the tasks of a decision; returns what the budgets of the job leave, if it has any, and the size of a task if they count
    /// with it. A dry run reserves nothing.
    pub(super) async fn reserve_budget(
        &self,
        request: &EvalRequest<'_>,
        decision: &Decision,
        start: &TasksToStart,
    ) -> Result<(Option<BudgetRoom>, TaskSize), ReadFailure> {
        let (none, budgets) = ((None, TaskSize::default()), &self.process.budgets);
        if decision.launch == 0 || request.source.is_preview() || budgets.is_empty() {
            return Ok(none);
        }
        let EvalRequest { job, loaded, tick, source, .. } = request;
        // A tick of a backfill whose tasks cannot all start waits anyway.
        let is_cut = |step: &Step| step.rule == Rule::Overlap && step.after < step.before;
        if matches!(source, TriggerSource::Backfill(_)) && decision.steps.iter().any(is_cut) {
            return Ok(none);
        }
        let numbers = budgets.matching(&job.labels);
        if numbers.is_empty() {
            return Ok(none);
        }
        let mut size = TaskSize::default();
        if budgets.need_size(&numbers) {
            size = self.measure_task(&start.definition, &start.task).await?;
            if let Some(reason) = budgets.unknown_size(&numbers, &size) {
                budgets.end_wait(self.number, &job.id, &loaded.uid);
                return Ok((Some(BudgetRoom { left: 0, reason }), size));
            }
        }
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs());
        let wanted = BudgetRequest {
            engine: self.number,
            job: job.id.clone(),
            uid: loaded.uid,
            firing: request.firing_id(),
            budgets: budgets.shares(&numbers, &size),
            longest: longest_time(seconds(job.policy.timeout), seconds(job.policy.start_timeout)),
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
        Ok((Some(room?), size))
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
