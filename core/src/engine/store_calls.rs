//! The engine's calls to the store. Each has a deadline, and its result shows whether the store works.
//!
//! A store bounds its own calls, and its errors say more than a deadline that has passed. The deadline is for a call that
//! never ends: without it, whatever waits for the store would wait for ever.
//!
//! A write without an answer may still have its effect, also after the deadline. Nothing is concluded from it: a settlement
//! is made again and one of the two is stale, a firing that became durable is found in the journal, and a move that was made
//! is recognised by its result.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::budgets::BudgetRequest;
use super::process::ProcessState;
use super::status::Brake;
use crate::budget::BudgetUse;
use crate::decide::{BudgetRoom, DecisionRecord, TickOutcome};
use crate::fault::FaultKind;
use crate::firing::{Firing, FiringState};
use crate::job::{JobId, StoredJob};
use crate::store::{
    Advance, DecisionQuery, FiringQuery, JobList, ListFrom, Register, Settled, Settlement, Store, StoreError,
    answer_within,
};

/// How many deadlines the read of all open firings may take, which has no pages.
const OPEN_FIRINGS_FACTOR: u32 = 4;

/// The store, as one engine calls it.
#[derive(Debug, Clone)]
pub(super) struct StoreCalls {
    store: Arc<dyn Store>,
    deadline: Duration,
    process: Arc<ProcessState>,
    /// Stops the engine when its jobs have another owner.
    stop: CancellationToken,
}

impl StoreCalls {
    pub(super) fn new(
        store: Arc<dyn Store>,
        deadline: Duration,
        process: Arc<ProcessState>,
        stop: CancellationToken,
    ) -> Self {
        Self { store, deadline, process, stop }
    }

    /// Returns the same store with another deadline.
    pub(super) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    pub(super) async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.read(self.store.get(ids)).await
    }

    pub(super) async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.read(self.store.list(from, limit)).await
    }

    pub(super) async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.with_deadline(self.deadline * OPEN_FIRINGS_FACTOR).read(self.store.open_firings()).await
    }

    /// Reads decisions. A failure is not recorded: only the caller's display depends on it.
    pub(super) async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.in_time(self.store.decisions(query)).await
    }

    /// Reads firings. A failure is not recorded; [`Self::record_read`] does that.
    pub(super) async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.in_time(self.store.firings(query)).await
    }

    pub(super) async fn replace(
        &self,
        job: &StoredJob,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.write(self.store.replace(&job.id, job.revision, document, at)).await
    }

    /// Settles a batch; returns the result of each settlement. After a [`StoreError::Fault`], also that of a store which did
    /// not answer every settlement, it is unknown what is durable.
    pub(super) async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let answer = self.try_settle(batch).await;
        self.record_lasting_fault(&answer);
        answer
    }

    /// Settles as [`Self::settle`] does. A lasting fault is not recorded: the caller writes less, or records it.
    pub(super) async fn try_settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let count = batch.len();
        self.try_write(async {
            let settled = self.store.settle(batch).await?;
            let answered = settled.len();
            if answered == count {
                return Ok(settled);
            }
            let message =
                format!("the {} store answered {answered} of {count} settlements", self.store.kind());
            Err(StoreError::fault(FaultKind::Bug, message))
        })
        .await
    }

    /// Makes a firing's next state durable once: a retry after a lost answer finds it done.
    pub(super) async fn advance(
        &self,
        from: FiringState,
        to: &Firing,
        outcome: Option<TickOutcome>,
    ) -> Result<(), StoreError> {
        let answer = self.try_advance(from, to, outcome).await;
        self.record_lasting_fault(&answer);
        answer
    }

    /// Advances as [`Self::advance`] does. A lasting fault is not recorded: the caller writes less, or records it.
    pub(super) async fn try_advance(
        &self,
        from: FiringState,
        to: &Firing,
        outcome: Option<TickOutcome>,
    ) -> Result<(), StoreError> {
        let answer = self.try_write(self.store.advance(Advance { from, to: to.clone(), outcome })).await;
        let Err(StoreError::Conflict(_)) = &answer else { return answer };
        let query = FiringQuery { id: Some(to.id.clone()), ..FiringQuery::default() };
        let stored = self.firings(&query).await?.pop();
        let done = stored.is_some_and(|stored| {
            stored.state == to.state && stored.attempts == to.attempts && stored.tasks == to.tasks
        });
        if done { Ok(()) } else { answer }
    }

    pub(super) async fn set_brake(&self, brake: Option<Brake>) -> Result<(), StoreError> {
        self.in_time(self.process.set_brake(&*self.store, brake)).await
    }

    /// Reads a register. A failure is not recorded: nothing but what is shown depends on it.
    pub(super) async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.in_time(self.store.get_register(name)).await
    }

    /// Writes a register that does not expire. A failure is not recorded.
    pub(super) async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
    ) -> Result<u64, StoreError> {
        self.put_expiring_register(name, value, expected, None).await
    }

    /// Writes a register that may be forgotten after a moment, if one is given. A failure is not recorded.
    pub(super) async fn put_expiring_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.in_time(self.store.put_register(name, value, expected, expires)).await
    }

    /// Reserves tasks of budgets. A failure is not recorded: the tick is tried again.
    pub(super) async fn reserve_budget(&self, request: BudgetRequest) -> Result<BudgetRoom, StoreError> {
        self.in_time(self.process.budgets.reserve(&*self.store, request)).await
    }

    /// Reads what budgets would leave.
    pub(super) async fn preview_budget(&self, request: &BudgetRequest) -> Result<BudgetRoom, StoreError> {
        self.in_time(self.process.budgets.preview(&*self.store, request)).await
    }

    /// Writes what the jobs of this process use of budgets.
    pub(super) async fn sync_budgets(&self, now: Timestamp) -> Result<(), StoreError> {
        self.in_time(self.process.budgets.sync(&*self.store, now)).await
    }

    /// Reads the use of budgets.
    pub(super) async fn budget_uses(&self, now: Timestamp) -> Result<Vec<BudgetUse>, StoreError> {
        self.in_time(self.process.budgets.uses(&*self.store, now)).await
    }

    /// Records a failed read of the store. A successful read does not show that the store can be written.
    pub(super) fn record_read<T>(&self, result: &Result<T, StoreError>) {
        if let Err(error @ StoreError::Fault { .. }) = result {
            self.process.record_store_fault(error);
        }
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.in_time(call).await;
        self.record_read(&answer);
        answer
    }

    /// Writes, and records whether the store took the write, for the status and `readyz`. The engine stops when its jobs have
    /// another owner.
    async fn write<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.try_write(call).await;
        self.record_lasting_fault(&answer);
        answer
    }

    /// Records a lasting fault of a write.
    pub(super) fn record_lasting_fault<T>(&self, answer: &Result<T, StoreError>) {
        if let Err(error) = answer
            && error.is_lasting()
        {
            self.process.record_store_fault(error);
        }
    }

    /// Writes as [`Self::write`] does, without a record of a lasting fault.
    async fn try_write<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.in_time(call).await;
        match &answer {
            Err(error) if error.is_lasting() => {}
            Err(error @ StoreError::Fault { .. }) => self.process.record_store_fault(error),
            Err(error @ StoreError::Fenced(_)) => {
                if !self.stop.is_cancelled() {
                    tracing::warn!(%error, "stopping the engine: its jobs have another owner");
                }
                self.stop.cancel();
            }
            Ok(_) | Err(StoreError::Exists(_) | StoreError::NotFound(_) | StoreError::Conflict(_)) => {
                self.process.record_store_recovered();
            }
        }
        answer
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        answer_within(self.deadline, call).await
    }
}
