//! Settles jobs alone after the store refused their batch for good: one refused settlement must not stall the others.

use std::sync::Arc;

use futures::future::join_all;

use super::PendingCommit;
use crate::engine::faults::FaultyAction;
use crate::engine::inner::EngineInner;
use crate::engine::message::ReportSender;
use crate::engine::strip_details;
use crate::fault;
use crate::store::{Settled, Settlement, StoreError};

/// How many jobs are settled alone at once.
const CONCURRENT_SETTLEMENTS: usize = 16;

impl EngineInner {
    /// Records the jobs of a failed batch, if the error is a lasting one.
    pub(super) fn record_refused_batch(&self, batch: &[PendingCommit], error: &StoreError) {
        if error.is_lasting() {
            self.refused.record_batch(batch.iter().map(|one| one.due.uid));
        }
    }

    /// Takes the jobs that are settled alone out of a batch: those that were refused least often first, so that the others get
    /// their turn.
    pub(super) fn split_refused(
        &self,
        pending: &mut Vec<PendingCommit>,
        batch: &mut Vec<Settlement>,
    ) -> Vec<(PendingCommit, Settlement)> {
        if self.refused.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(pending).into_iter().zip(std::mem::take(batch));
        let refusals = |one: &PendingCommit| self.refused.refusals(&one.due.uid);
        let (mut alone, others): (Vec<_>, Vec<_>) = all.partition(|(one, _)| refusals(one).is_some());
        alone.sort_by_key(|(one, _)| refusals(one));
        (*pending, *batch) = others.into_iter().unzip();
        alone
    }

    /// Settles each of these jobs alone. When the store refuses several in a row, it seems to refuse all, and the others wait.
    pub(super) async fn settle_alone(
        self: &Arc<Self>,
        jobs: Vec<(PendingCommit, Settlement)>,
        reports: &ReportSender,
    ) {
        let mut jobs = jobs.into_iter();
        let mut refused = None;
        while jobs.len() > 0 {
            if let Some(error) = refused.take() {
                let waiting = jobs.map(|(one, _)| one).collect();
                return self.on_batch_failed(waiting, &error, reports).await;
            }
            let part = jobs.by_ref().take(CONCURRENT_SETTLEMENTS);
            let answers = join_all(part.map(|(one, settlement)| self.settle_one(one, settlement))).await;
            let (mut committed, mut results) = (Vec::new(), Vec::new());
            for (one, answer) in answers {
                match answer {
                    Ok(settled) => {
                        committed.push(one);
                        results.push(settled);
                    }
                    Err(error) => {
                        self.on_batch_failed(vec![one], &error, reports).await;
                        refused = Some(error);
                    }
                }
            }
            if !committed.is_empty() {
                refused = None;
                self.on_batch_committed(committed, results, reports).await;
            }
        }
    }

    /// Settles a job; if the store refuses that for good, without the details of its ticks.
    async fn settle_one(
        &self,
        mut one: PendingCommit,
        settlement: Settlement,
    ) -> (PendingCommit, Result<Settled, StoreError>) {
        let uid = one.due.uid;
        let error = match self.store.try_settle(vec![settlement.clone()]).await {
            Ok(mut settled) => {
                self.refused.forget(&uid);
                self.process.faults.end_lasting(&one.due.id, uid, FaultyAction::RecordTicks);
                return (one, Ok(settled.pop().unwrap_or(Settled::Stale)));
            }
            Err(error) if error.is_lasting() => error,
            Err(error) => return (one, Err(error)),
        };
        let first = self.refused.record_refusal(uid);
        let plain = strip_details::settlement(&settlement);
        let answer = self.store.try_settle(vec![plain.clone()]).await;
        match answer.map(|mut settled| settled.pop()) {
            Ok(Some(recorded @ Settled::Recorded(_))) => {
                self.process.faults.end_lasting(&one.due.id, uid, FaultyAction::RecordTicks);
                if first {
                    let (job, error) = (&one.due.id, fault::chain(&error));
                    tracing::error!(%job, error, "the store refuses the details of a tick; it is recorded without them");
                }
                one.firing = plain.firing;
                if !one.records.is_empty() {
                    one.records = plain.records;
                }
                (one, Ok(recorded))
            }
            // If it is stale, the refused write may have had its effect: the journal is searched for its firing.
            Ok(_) => (one, Err(error)),
            Err(error) => {
                if error.is_lasting() {
                    let ticks = one.outcomes.iter().map(|(_, span)| span.count).sum();
                    self.record_refused((&one.due.id, uid), FaultyAction::RecordTicks, &error, ticks);
                }
                let answer = Err(error);
                if first {
                    self.store.record_lasting_fault(&answer);
                }
                (one, answer)
            }
        }
    }
}
