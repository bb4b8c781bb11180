//! Makes a round durable: outcomes and intents first, launches after.

mod single;

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::catch_up::Ticks;
use super::dispatch;
use super::faults::{FailedTicks, Failing};
use super::inner::EngineInner;
use super::job_cache::CachedJob;
use super::message::{DueJob, EvaluatedJob, FireError, FireOrder, JobProgress, ReportSender};
use super::notices::Notice;
use super::status::Counters;
use super::tick_retry::Retrying;
use crate::decide::{DecisionDraft, DecisionRecord, TickOutcome, TickSpan};
use crate::event::Event;
use crate::firing::Firing;
use crate::store::{FiringQuery, Settled, Settlement, StoreError};

/// How many firings of settlements that came too late are looked up at once.
const STALE_READS: usize = 16;

/// A job whose settlement the store is writing, with the data that is needed once it is durable.
struct PendingCommit {
    due: DueJob,
    cached: Arc<CachedJob>,
    order: Option<FireOrder>,
    /// The answer to an order that leaves no record.
    answer: Option<Result<DecisionRecord, FireError>>,
    settled: Option<Timestamp>,
    /// The outcome and the ticks of each record.
    outcomes: Vec<(TickOutcome, TickSpan)>,
    /// The reason why the newest tick failed, if it did.
    failure: Option<String>,
    /// The records, when they have a subscriber or a caller.
    records: Vec<DecisionDraft>,
    firing: Option<Firing>,
    retrying: Option<Retrying>,
    retry_at: Option<Timestamp>,
}

impl PendingCommit {
    /// Splits an evaluated job into its settlement and the data that is needed afterwards.
    fn new(evaluated: EvaluatedJob, keep_records: bool) -> (Self, Option<Settlement>) {
        let EvaluatedJob { due, cached, settlement, order, answer, retrying, retry_at } = evaluated;
        let mut pending = Self {
            settled: due.settled,
            due,
            cached,
            order,
            answer,
            outcomes: Vec::new(),
            failure: None,
            records: Vec::new(),
            firing: None,
            retrying,
            retry_at,
        };
        if let Some(Settlement { records, firing, new_cursor, .. }) = &settlement {
            pending.settled = *new_cursor;
            pending.outcomes = records.iter().map(|draft| (draft.outcome, draft.span)).collect();
            pending.failure =
                records.last().filter(|draft| is_unreadable(draft)).map(|draft| draft.explanation.clone());
            pending.records =
                if keep_records || pending.order.is_some() { records.clone() } else { Vec::new() };
            pending.firing.clone_from(firing);
        }
        (pending, settlement)
    }

    /// Returns the report about the job once its ticks are settled. The next tick is computed here, so that the scheduler
    /// loop need not.
    fn progress(&self) -> JobProgress {
        let Ok(job) = &self.cached.job else { return JobProgress::Invalid };
        let after = self.settled.map_or(self.due.after, |settled| settled.max(self.due.after));
        let due = Ticks::from_job(job, after).and_then(|ticks| ticks.next_due());
        JobProgress::Settled { settled: self.settled, due, retry_at: self.retry_at }
    }
}

impl EngineInner {
    /// Makes the results of a round durable, then hands its firings to dispatch and reports each job to the scheduler loop.
    pub(super) async fn settle(self: &Arc<Self>, evaluated: Vec<EvaluatedJob>, reports: &ReportSender) {
        let mut batch = Vec::with_capacity(evaluated.len());
        let mut pending = Vec::with_capacity(evaluated.len());
        let mut progress = Vec::new();
        let keep_records = self.process.has_subscribers();
        for evaluated in evaluated {
            let (mut one, settlement) = PendingCommit::new(evaluated, keep_records);
            let Some(settlement) = settlement else {
                self.record_retry(&mut one);
                progress.push((one.due.slot, one.progress()));
                if let Some(order) = one.order {
                    let is_valid = one.cached.job.is_ok();
                    let refusal = if is_valid { FireError::Store } else { FireError::Invalid };
                    order.reply(one.answer.unwrap_or(Err(refusal)));
                }
                continue;
            };
            if let Some(firing) = &settlement.firing {
                if !self.in_flight.insert(&firing.id) {
                    // Either an earlier settlement of the tick is durable although its answer was lost, and recovery has
                    // resumed the firing; or the tick was launched while the clock was ahead.
                    self.already_launched.lock().insert(firing.uid, firing.id.clone());
                    self.process.budgets.release(self.number, firing);
                    progress.push((one.due.slot, self.reject_outdated(&one.due, one.order)));
                    continue;
                }
                self.record_tasks(firing, firing.observed);
            }
            pending.push(one);
            batch.push(settlement);
        }
        reports.send(progress).await;
        let alone = self.split_refused(&mut pending, &mut batch);
        if !batch.is_empty() {
            match self.store.settle(batch).await {
                Ok(settled) => self.on_batch_committed(pending, settled, reports).await,
                Err(error) => {
                    self.record_refused_batch(&pending, &error);
                    self.on_batch_failed(pending, &error, reports).await;
                }
            }
        }
        self.settle_alone(alone, reports).await;
    }

    /// Reports jobs whose settlement failed, to be evaluated again.
    async fn on_batch_failed(&self, pending: Vec<PendingCommit>, error: &StoreError, reports: &ReportSender) {
        let is_fenced = matches!(error, StoreError::Fenced(_));
        let refusal = if is_fenced { FireError::Elsewhere } else { FireError::Unconfirmed };
        let mut progress = Vec::with_capacity(pending.len());
        for one in pending {
            self.rollback_reservation(one.firing.as_ref());
            if let Some(firing) = &one.firing {
                self.process.budgets.keep_uncertain(self.number, firing);
            }
            if let Some(order) = one.order {
                order.reply(Err(refusal));
            }
            progress.push((one.due.slot, JobProgress::Retry));
        }
        reports.send(progress).await;
    }

    /// Jobs that fire are reported after dispatch has accepted their firings: until then, their rounds are not over.
    async fn on_batch_committed(
        self: &Arc<Self>,
        pending: Vec<PendingCommit>,
        settled: Vec<Settled>,
        reports: &ReportSender,
    ) {
        let (mut idle, mut firing) = (Vec::new(), Vec::with_capacity(pending.len()));
        let mut firings = Vec::with_capacity(pending.len());
        let is_stale = |settled: &Settled| matches!(settled, Settled::Stale);
        let stale = pending.iter().zip(&settled).filter(|(_, settled)| is_stale(settled));
        let stale = stream::iter(stale.filter_map(|(one, _)| one.firing.as_ref()));
        stale.for_each_concurrent(STALE_READS, |firing| self.check_already_launched(firing)).await;
        for (one, settled) in pending.into_iter().zip(settled) {
            let slot = one.due.slot;
            match self.on_committed(one, settled) {
                (progress, None) => idle.push((slot, progress)),
                (progress, Some(fires)) => {
                    firing.push((slot, progress));
                    firings.push(fires);
                }
            }
        }
        reports.send(idle).await;
        // They count from now on, however long dispatch has no room for them.
        let now = self.clock.now();
        firings.iter().for_each(|fires| self.process.budgets.record(self.number, fires, now));
        for fires in firings {
            dispatch::enqueue(self, fires).await;
        }
        reports.send(firing).await;
    }

    /// Records whether the tick of a rejected firing was launched before, while the clock was ahead.
    async fn check_already_launched(&self, firing: &Firing) {
        let query = FiringQuery { id: Some(firing.id.clone()), ..FiringQuery::default() };
        let known = self.store.firings(&query).await;
        self.store.record_read(&known);
        if known.is_ok_and(|known| !known.is_empty()) {
            self.already_launched.lock().insert(firing.uid, firing.id.clone());
        }
    }

    /// Releases the tasks of an intent that is not known to be durable. If it is durable, recovery finds it in the journal.
    fn rollback_reservation(&self, firing: Option<&Firing>) {
        if let Some(firing) = firing {
            self.task_tracker.release(firing);
            self.in_flight.remove(&firing.id);
        }
    }

    /// Records the tick that is tried again, or that there is none. A firing by hand does not concern ticks.
    fn record_retry(&self, one: &mut PendingCommit) {
        match one.retrying.take() {
            Some(retrying) => self.retries.record(one.due.uid, &one.due.id, retrying),
            None if one.order.is_some() => {}
            None => self.retries.end(&one.due.uid, &one.due.id),
        }
    }

    /// Counts ticks whose outcome is final, and records whether the newest one failed.
    fn record_outcomes(&self, due: &DueJob, outcomes: &[(TickOutcome, TickSpan)], failure: Option<String>) {
        for (outcome, span) in outcomes.iter().filter(|(outcome, _)| *outcome != TickOutcome::Pending) {
            self.process.counters.count_ticks(*outcome, span.count);
            if *outcome == TickOutcome::Missed {
                self.notices.push(|| Notice::missed(&due.id, due.uid, *span));
            }
        }
        let faults = &self.process.faults;
        match (outcomes.last(), failure) {
            (Some((outcome, TickSpan { first, count: ticks @ 1.., .. })), Some(reason)) => {
                let failing = Failing { outcome: *outcome, reason, since: *first, ticks: *ticks };
                let failed = FailedTicks::new(due.id.clone(), failing, self.clock.now(), false);
                faults.record_failed_ticks(self.number, due.uid, failed);
            }
            (Some((outcome, TickSpan { count: 1.., .. })), None) if outcome.is_decided() => {
                faults.record_decided(&due.uid, false)
            }
            _ => {}
        }
    }

    /// Handles a settlement whose job or progress has changed meanwhile.
    fn reject_outdated(&self, due: &DueJob, order: Option<FireOrder>) -> JobProgress {
        self.job_cache.evict(&due.id);
        if let Some(order) = order {
            order.reply(Err(FireError::Changed));
        }
        JobProgress::Reload
    }

    fn on_committed(&self, mut one: PendingCommit, settled: Settled) -> (JobProgress, Option<Firing>) {
        let Settled::Recorded(ids) = settled else {
            self.rollback_reservation(one.firing.as_ref());
            if let Some(firing) = &one.firing {
                self.process.budgets.release(self.number, firing);
            }
            return (self.reject_outdated(&one.due, one.order), None);
        };
        self.record_retry(&mut one);
        let progress = one.progress();
        let PendingCommit { due, cached, order, outcomes, failure, records, firing, .. } = one;
        self.record_outcomes(&due, &outcomes, failure);
        Counters::add(&self.process.counters.rows_written, cached.count_new_rows(&ids));
        if let Some(Firing { job, id, requested, explanation, .. }) = &firing {
            let _request = order.as_ref().map(|order| order.span.enter());
            tracing::debug!(%job, firing = %id, requested, explanation, "a firing is recorded");
        }
        let newest = records.len().saturating_sub(1);
        let mut last = None;
        for (index, (draft, id)) in records.into_iter().zip(&ids).enumerate() {
            let firing = firing.as_ref().map(|firing| firing.id.clone()).filter(|_| index == newest);
            let record = DecisionRecord { id: *id, job: due.id.clone(), uid: due.uid, draft, firing };
            self.publish(|| Event::Decision(Box::new(record.clone())));
            last = Some(record);
        }
        if let (Some(order), Some(record)) = (order, last) {
            order.reply(Ok(record));
        }
        let Some(firing) = firing else { return (progress, None) };
        if !firing.is_of_backfill() {
            *cached.last_fired.lock() = Some(firing.observed);
        }
        Counters::add(&self.process.counters.firings, 1);
        let decision = ids.last().copied().unwrap_or_default();
        (progress, Some(Firing { decision, ..firing }))
    }
}

/// Returns whether a tick ended because something could not be read.
fn is_unreadable(draft: &DecisionDraft) -> bool {
    matches!(draft.outcome, TickOutcome::SourceError | TickOutcome::LiveUnknown)
}
