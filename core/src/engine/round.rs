//! A round: evaluates a batch of jobs that are due at the same moment.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hashbrown::HashMap;
use jiff::Timestamp;
use tracing::Instrument as _;

use super::catch_up::{CatchUpPlan, Ticks};
use super::evaluate::{EvalOverrides, EvalRequest, TickEvaluation, TriggerSource, waits};
use super::inner::EngineInner;
use super::job_cache::CachedJob;
use super::message::{DueJob, EvaluatedJob, FireError, FireKind, FireOrder, JobProgress, ReportSender};
use super::spans::job_span;
use super::tick_retry::Retrying;
use crate::decide::{DecisionDraft, DecisionId, DecisionRecord, TickOutcome, TickSpan};
use crate::id::{JobId, JobUid};
use crate::job::Job;
use crate::store::Settlement;
use crate::trigger::Tick;

#[cfg(test)]
mod tests;

/// How long the jobs of a round wait for each other, to be settled in one batch.
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// Evaluates these jobs and reports each to the scheduler loop.
///
/// Jobs without a trigger are evaluated together and settled in one batch. A job with a trigger gets its own task, so that a
/// slow trigger delays no other job. So does a job whose running tasks take longer than [`BATCH_WAIT`] to count.
pub(super) async fn run(engine: Arc<EngineInner>, due: Vec<DueJob>, reports: ReportSender) {
    let ids: Vec<JobId> = due.iter().map(|due| due.id.clone()).collect();
    let mut loaded: HashMap<JobId, Arc<CachedJob>> = match engine.load_jobs(&ids).await {
        Ok(loaded) => loaded.into_iter().collect(),
        Err(_) => {
            return return_unprocessed(due, &JobProgress::Retry, FireError::Store, &reports).await;
        }
    };
    let (mut batch, mut outdated) = (Vec::new(), Vec::new());
    for due in due {
        let known =
            loaded.remove(&due.id).filter(|cached| cached.uid == due.uid && cached.revision == due.revision);
        let Some(cached) = known else {
            engine.job_cache.evict(&due.id);
            outdated.push(due);
            continue;
        };
        let has_trigger = due.order.is_none() && cached.job.as_ref().is_ok_and(|job| job.trigger.is_some());
        if !has_trigger {
            batch.push((due, cached));
            continue;
        }
        let permit = Arc::clone(&engine.process.limits.evaluations)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (task_engine, reports) = (Arc::clone(&engine), reports.clone());
        let span = job_span(&due.id, true);
        let work = async move {
            let evaluated = evaluate_job(&task_engine, due, &cached).await;
            drop(permit);
            task_engine.settle(vec![evaluated], &reports).await;
        };
        engine.spawn(work.instrument(span));
    }
    return_unprocessed(outdated, &JobProgress::Reload, FireError::Changed, &reports).await;
    evaluate_batch(&engine, batch, reports).await;
}

/// Evaluates jobs concurrently. Those that are decided in time are settled in one batch, the others one by one.
async fn evaluate_batch(
    engine: &Arc<EngineInner>,
    jobs: Vec<(DueJob, Arc<CachedJob>)>,
    reports: ReportSender,
) {
    let mut evaluated = Vec::with_capacity(jobs.len());
    let mut evaluating = FuturesUnordered::new();
    let mut permit =
        Some(engine.process.limits.deciding.acquire().await.expect("the semaphore is never closed"));
    for (due, cached) in jobs {
        let (task_engine, span) = (Arc::clone(engine), due.span());
        let evaluation = async move { evaluate_job(&task_engine, due, &cached).await };
        let mut evaluation = Box::pin(evaluation.instrument(span));
        // Most are decided at once and need no place in the set.
        match futures::future::poll_immediate(&mut evaluation).await {
            Some(one) => evaluated.push(one),
            None => evaluating.push(evaluation),
        }
    }
    if !evaluating.is_empty() {
        permit = None;
        let in_time = async {
            while let Some(one) = evaluating.next().await {
                evaluated.push(one);
            }
        };
        // Jobs that are late are settled below.
        let _ = tokio::time::timeout(BATCH_WAIT, in_time).await;
        for late in evaluating {
            let (task_engine, reports) = (Arc::clone(engine), reports.clone());
            engine.spawn(async move { task_engine.settle(vec![late.await], &reports).await });
        }
    }
    let mut settling = std::pin::pin!(engine.settle(evaluated, &reports));
    // The permit covers the work up to the call of the store: encoding a decision costs as much as making it.
    let settled = futures::future::poll_immediate(&mut settling).await;
    drop(permit);
    if settled.is_none() {
        settling.await;
    }
}

/// Reports jobs that were not evaluated.
async fn return_unprocessed(
    due: Vec<DueJob>,
    progress: &JobProgress,
    error: FireError,
    reports: &ReportSender,
) {
    let mut returned = Vec::with_capacity(due.len());
    for due in due {
        if let Some(order) = due.order {
            order.reply(Err(error));
        }
        returned.push((due.slot, progress.clone()));
    }
    reports.send(returned).await;
}

/// Plans a job's due ticks and evaluates the one that the plan selects.
async fn evaluate_job(engine: &EngineInner, mut due: DueJob, cached: &Arc<CachedJob>) -> EvaluatedJob {
    let now = engine.clock.now();
    let Ok(job) = &cached.job else {
        return EvaluatedJob::empty(due, cached);
    };
    if let Some(order) = due.order.take() {
        return evaluate_order(engine, due, order, job, cached, now).await;
    }
    let Some(ticks) = Ticks::from_job(job, due.after) else { return EvaluatedJob::empty(due, cached) };
    let tried = engine.retries.tried_after(&due.uid, due.settled);
    let catch_up = job.policy.catch_up;
    let Some(plan) = ticks.plan(now, catch_up, tried.as_ref().map(|tried| tried.tick)) else {
        return EvaluatedJob::empty(due, cached);
    };
    let mut records = skipped_records(&plan, tried.as_ref(), now);
    let mut evaluated = EvaluatedJob::empty(due, cached);
    let (mut settles, mut firing) = (plan.settles, None);
    if let Some(nominal) = plan.tick {
        let tries = tried.as_ref().filter(|tried| tried.tick == nominal).map_or(0, |tried| tried.tries);
        if tries == 0 {
            engine.process.counters.record_lateness(now.duration_since(ticks.due(nominal)));
        }
        let tick = Tick::new(nominal, now);
        let request = EvalRequest {
            job,
            loaded: cached,
            tick,
            source: TriggerSource::Tick,
            overrides: EvalOverrides::default(),
            tried: tries,
        };
        let TickEvaluation { draft, firing: planned, undecided } =
            engine.skip_if_launched(engine.evaluate(&request).await, &evaluated.due.uid);
        if undecided {
            let reason = (draft.outcome, draft.explanation);
            let retrying = Retrying::new(&job.id, nominal, reason, tried.as_ref(), engine.clock.now());
            evaluated.retry_at = Some(ticks.next_evaluation(nominal, now, catch_up, retrying.next_try));
            evaluated.retrying = Some(retrying);
            let Some(skipped) = plan.skipped.last() else { return evaluated };
            settles = skipped.1.last;
        } else {
            records.push(draft);
            firing = planned;
        }
    }
    evaluated.settlement = Some(Settlement {
        job: evaluated.due.id.clone(),
        uid: evaluated.due.uid,
        revision: evaluated.due.revision,
        expected_cursor: evaluated.due.settled,
        new_cursor: Some(settles),
        records,
        firing,
    });
    evaluated
}

/// Records the ticks that the plan skips; a tick that was tried before ends undecided.
fn skipped_records(plan: &CatchUpPlan, tried: Option<&Retrying>, now: Timestamp) -> Vec<DecisionDraft> {
    let reason =
        if plan.tick.is_some() { "a later tick replaced it" } else { "its catch-up window had passed" };
    let skipped = plan.skipped.iter().map(|(outcome, span)| {
        match tried.filter(|tried| span.first == tried.tick && span.count == 1) {
            Some(tried) => undecided_tick(tried, *span, now, reason),
            None => skipped_ticks(*outcome, *span, now),
        }
    });
    skipped.collect()
}

impl EngineInner {
    /// Drops the firing of a tick that was launched while the clock was ahead.
    fn skip_if_launched(&self, evaluation: TickEvaluation, uid: &JobUid) -> TickEvaluation {
        let Some(firing) = &evaluation.firing else { return evaluation };
        if self.already_launched.lock().remove(uid).is_none_or(|known| known != firing.id) {
            return evaluation;
        }
        self.process.budgets.release(self.number, firing);
        let reason = format!(
            "the tick was launched as firing {} when the clock was ahead, and is not launched again",
            firing.id
        );
        let draft = DecisionDraft { launch: 0, steps: Vec::new(), ..evaluation.draft };
        (draft.finish(TickOutcome::Coalesced, reason), None).into()
    }
}

/// Evaluates an order to fire a job now.
async fn evaluate_order(
    engine: &EngineInner,
    due: DueJob,
    order: FireOrder,
    job: &Job,
    cached: &Arc<CachedJob>,
    now: Timestamp,
) -> EvaluatedJob {
    let tick = Tick::at(now);
    let source = match &order.kind {
        FireKind::Manual { key, at, options } => {
            let id = crate::FiringId::for_manual(&due.uid, *at, key);
            TriggerSource::Manual { id, options: options.clone() }
        }
        FireKind::Retry(retry) => TriggerSource::Retry(retry.clone()),
        FireKind::Backfill(past) if past.uid == due.uid => TriggerSource::Backfill(past.clone()),
        FireKind::Backfill(_) => {
            return EvaluatedJob::answered(due, cached, order, Err(FireError::NotFound));
        }
    };
    let is_retry = matches!(source, TriggerSource::Retry(_));
    let is_backfill = matches!(source, TriggerSource::Backfill(_));
    let request =
        EvalRequest { job, loaded: cached, tick, source, overrides: EvalOverrides::default(), tried: 0 };
    let TickEvaluation { draft, firing, undecided } = engine.evaluate(&request).await;
    let has_room = draft.outcome != TickOutcome::Budget;
    if is_retry && (undecided || !has_room) {
        if let TriggerSource::Retry(order) = &request.source
            && !has_room
        {
            engine.process.budgets.record_miss(&order.of.id);
        }
        // It is ordered again until it can be decided, and until its budgets leave something for it.
        return EvaluatedJob { order: Some(order), ..EvaluatedJob::empty(due, cached) };
    }
    if let Some(outcome) = waits(&draft).filter(|_| is_backfill) {
        if let Some(firing) = &firing {
            engine.process.budgets.release(engine.number, firing);
        }
        let (id, job, uid) = (DecisionId::default(), due.id.clone(), due.uid);
        let draft = DecisionDraft { outcome, ..draft };
        let record = DecisionRecord { id, job, uid, draft, firing: None };
        return EvaluatedJob::answered(due, cached, order, Ok(record));
    }
    let settlement = Settlement {
        job: due.id.clone(),
        uid: due.uid,
        revision: due.revision,
        expected_cursor: due.settled,
        new_cursor: due.settled,
        records: vec![draft],
        firing,
    };
    EvaluatedJob { settlement: Some(settlement), order: Some(order), ..EvaluatedJob::empty(due, cached) }
}

/// Makes the record of ticks that are not evaluated.
fn skipped_ticks(outcome: TickOutcome, span: TickSpan, now: Timestamp) -> DecisionDraft {
    let reason = if outcome == TickOutcome::Missed {
        "too late when the scheduler got to it"
    } else {
        "folded into a later tick"
    };
    DecisionDraft { tries: 0, ..DecisionDraft::new(span, now) }.finish(outcome, reason.to_owned())
}

/// Makes the record of a tick that was tried and could not be decided.
fn undecided_tick(tried: &Retrying, span: TickSpan, now: Timestamp, reason: &str) -> DecisionDraft {
    let draft = DecisionDraft { tries: tried.tries, ..DecisionDraft::new(span, now) };
    draft.finish(tried.outcome, tried.final_reason(reason))
}
