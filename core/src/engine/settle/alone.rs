//! Settles jobs alone after the store refused their batch for good: one refused settlement must not stall the others.

use std::sync::Arc;

use futures::future::join_all;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::PendingCommit;
use crate::engine::inner::EngineInner;
use crate::engine::message::ReportSender;
use crate::engine::without_details;
use crate::fault;
use crate::id::JobUid;
use crate::store::{Settled, Settlement, StoreError};

/// How many jobs are settled alone at once.
const CONCURRENT_SETTLEMENTS: usize = 16;

/// The jobs whose last batch the store refused for good, and how often it refused each alone. A job stays among them until
/// its complete settlement is recorded, so that it spoils no further batch.
#[derive(Debug, Default)]
pub(in crate::engine) struct RefusedJobs(Mutex<HashMap<JobUid, u32>>);

impl RefusedJobs {
    /// Records the jobs of a failed batch, if the error is a lasting one.
    pub(super) fn record_batch(&self, batch: &[PendingCommit], error: &StoreError) {
        if error.is_lasting() {
            let mut known = self.0.lock();
            for one in batch {
                known.insert(one.due.uid, 0);
            }
        }
    }

    /// Takes the jobs that are settled alone out of a batch: those that were refused least often first, so that the others get
    /// their turn.
    pub(super) fn split_off(
        &self,
        pending: &mut Vec<PendingCommit>,
        batch: &mut Vec<Settlement>,
    ) -> Vec<(PendingCommit, Settlement)> {
        let known = self.0.lock();
        if known.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(pending).into_iter().zip(std::mem::take(batch));
        let (mut alone, others): (Vec<_>, Vec<_>) =
            all.partition(|(one, _)| known.contains_key(&one.due.uid));
        alone.sort_by_key(|(one, _)| known.get(&one.due.uid).copied());
        (*pending, *batch) = others.into_iter().unzip();
        alone
    }

    /// Counts a refusal; returns whether it is the first of the job.
    fn record_refusal(&self, uid: JobUid) -> bool {
        let mut known = self.0.lock();
        let refusals = known.entry(uid).or_insert(0);
        *refusals = refusals.saturating_add(1);
        *refusals == 1
    }

    fn forget(&self, uid: &JobUid) {
        self.0.lock().remove(uid);
    }
}

impl EngineInner {
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
                return (one, Ok(settled.pop().unwrap_or(Settled::Stale)));
            }
            Err(error) if error.is_lasting() => error,
            Err(error) => return (one, Err(error)),
        };
        let first = self.refused.record_refusal(uid);
        let plain = without_details::settlement(&settlement);
        let answer = self.store.try_settle(vec![plain.clone()]).await;
        match answer.map(|mut settled| settled.pop()) {
            Ok(Some(recorded @ Settled::Recorded(_))) => {
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
                let answer = Err(error);
                if first {
                    self.store.record_lasting_fault(&answer);
                }
                (one, answer)
            }
        }
    }
}
