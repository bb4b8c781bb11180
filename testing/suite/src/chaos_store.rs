use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::rng::SimRng;
use ecs_scheduler_core::decide::DecisionRecord;
use ecs_scheduler_core::fault::FaultKind;
use ecs_scheduler_core::firing::{Firing, Origin};
use ecs_scheduler_core::job::{JobId, Revision, StoredJob};
use ecs_scheduler_core::store::{
    Advance, DecisionQuery, FiringQuery, ImportBatch, JobList, JobStore, Journal, ListFrom, NewJob, Register,
    Registers, Retention, Settled, Settlement, Store, StoreError, StoreMaintenance,
};

/// The fault probabilities of a store, each between 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StoreFaults {
    /// A write fails and has no effect.
    pub before: f64,
    /// A write has its effect and its answer is lost.
    pub after: f64,
}

/// A kind of writes, of which a [`ChaosStore`] can die at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChaosWrite {
    /// Any write.
    Any,
    /// The outcome of tasks that failed and are to start again.
    Outcome,
    /// The firing that starts failed tasks again, with its decision.
    Retry,
    /// The end of a firing whose retry is recorded.
    Repeated,
    /// An outbox of notifications.
    Outbox,
}

impl ChaosWrite {
    fn of_settlements(batch: &[Settlement]) -> Self {
        let mut firings = batch.iter().filter_map(|settlement| settlement.firing.as_ref());
        if firings.any(|firing| firing.origin == Origin::Retry) { Self::Retry } else { Self::Any }
    }

    fn of_move(to: &Firing) -> Self {
        match (to.retry.at, &to.retry.by) {
            (Some(_), _) => Self::Outcome,
            (None, Some(_)) => Self::Repeated,
            (None, None) => Self::Any,
        }
    }

    fn of_register(name: &str) -> Self {
        if name.starts_with("notifications/") { Self::Outbox } else { Self::Any }
    }
}

/// The delay after which a late settlement has its effect.
const LATE_BY: Duration = Duration::from_millis(500);

/// A wrapper of a store that injects faults by a seed, and that can die at any write.
///
/// A dead store never answers again, like a killed process: its callers wait for ever.
#[derive(Debug)]
pub struct ChaosStore {
    inner: Arc<dyn Store>,
    faults: StoreFaults,
    rng: Mutex<SimRng>,
    dead: AtomicBool,
    writes: AtomicU64,
    /// The write at which it dies, and whether the write still has its effect.
    dies_at: Option<(ChaosWrite, u64, bool)>,
    /// How many writes of that kind were tried.
    of_kind: AtomicU64,
    /// How many settlements still fail and have their effect half a second later.
    late: AtomicU64,
    /// A text with which it refuses every settlement and firing for good.
    refused_text: Option<&'static str>,
    /// How many settlements still have their effect and are answered without their last result.
    short: AtomicU64,
    /// Called at its death; may kill the process.
    on_death: Option<fn()>,
}

impl ChaosStore {
    /// Wraps a store with faults.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, faults: StoreFaults, seed: u64) -> Self {
        Self {
            inner,
            faults,
            rng: Mutex::new(SimRng::new(seed)),
            dead: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            dies_at: None,
            of_kind: AtomicU64::new(0),
            late: AtomicU64::new(0),
            refused_text: None,
            short: AtomicU64::new(0),
            on_death: None,
        }
    }

    /// Makes the store die at its n-th write (from 1), before or after the write has its effect.
    #[must_use]
    pub fn die_at_write(self, write: u64, after_effect: bool) -> Self {
        self.die_at_write_of(ChaosWrite::Any, write, after_effect)
    }

    /// Does the same at its n-th write of a kind.
    #[must_use]
    pub fn die_at_write_of(mut self, kind: ChaosWrite, write: u64, after_effect: bool) -> Self {
        self.dies_at = Some((kind, write, after_effect));
        self
    }

    /// Makes the first settlements fail and have their effect half a second later, like a commit whose caller timed out.
    #[must_use]
    pub fn with_late_settlements(self, settlements: u64) -> Self {
        self.late.store(settlements, Ordering::SeqCst);
        self
    }

    /// Makes the answers to the first settlements lack their last result.
    #[must_use]
    pub fn with_short_answers(self, settlements: u64) -> Self {
        self.short.store(settlements, Ordering::SeqCst);
        self
    }

    /// Makes the store refuse, with a lasting error, every batch of settlements and every firing that contains this text.
    #[must_use]
    pub fn refusing(self, text: &'static str) -> Self {
        Self { refused_text: Some(text), ..self }
    }

    /// Sets a function to call at the store's death: a test of a real process aborts it there.
    #[must_use]
    pub fn on_death(mut self, act: fn()) -> Self {
        self.on_death = Some(act);
        self
    }

    /// Kills the store.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        if let Some(act) = self.on_death {
            act();
        }
    }

    /// Tells whether the store is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Returns how many writes were tried.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Fails when a record contains the refused text.
    fn check_text(&self, record: &impl std::fmt::Debug) -> Result<(), StoreError> {
        if self.refused_text.is_none_or(|text| !format!("{record:?}").contains(text)) {
            return Ok(());
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::fault(FaultKind::Config, "could not write: a record has a refused text"))
    }

    async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn write<T>(
        &self,
        kind: ChaosWrite,
        what: &str,
        effect: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.alive().await;
        self.writes.fetch_add(1, Ordering::SeqCst);
        let counts = |of: ChaosWrite| of == ChaosWrite::Any || of == kind;
        let dies = self.dies_at.filter(|(of, number, _)| {
            counts(*of) && self.of_kind.fetch_add(1, Ordering::SeqCst) + 1 == *number
        });
        let dies_after = dies.map(|(_, _, after_effect)| after_effect);
        if dies_after == Some(false) {
            self.kill();
            self.alive().await;
        }
        let (before, after) = {
            let mut rng = self.rng.lock();
            (rng.chance(self.faults.before), rng.chance(self.faults.after))
        };
        if before {
            return Err(StoreError::fault(
                FaultKind::Unavailable,
                format!("could not {what}: chaos before it"),
            ));
        }
        let answer = effect.await;
        if dies_after == Some(true) {
            self.kill();
        }
        self.alive().await;
        if after && answer.is_ok() {
            return Err(StoreError::fault(
                FaultKind::Unavailable,
                format!("could not {what}: chaos after it"),
            ));
        }
        answer
    }
}

#[async_trait]
impl JobStore for ChaosStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.write(ChaosWrite::Any, "create a job", self.inner.create(job)).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.write(ChaosWrite::Any, "replace a job", self.inner.replace(id, expected, document, at)).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.write(ChaosWrite::Any, "remove a job", self.inner.remove(id, expected)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.alive().await;
        self.inner.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.alive().await;
        self.inner.list(from, limit).await
    }
}

#[async_trait]
impl Journal for ChaosStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.check_text(&batch)?;
        let one_less = |left: u64| left.checked_sub(1);
        if self.late.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                tokio::time::sleep(LATE_BY).await;
                // Its caller has timed out.
                let _ = inner.settle(batch).await;
            });
            return Err(StoreError::fault(FaultKind::Unavailable, "could not settle in time"));
        }
        let kind = ChaosWrite::of_settlements(&batch);
        let mut settled = self.write(kind, "settle", self.inner.settle(batch)).await?;
        if self.short.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            settled.pop();
        }
        Ok(settled)
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.check_text(&advance.to)?;
        let kind = ChaosWrite::of_move(&advance.to);
        self.write(kind, "advance a firing", self.inner.advance(advance)).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.alive().await;
        self.inner.open_firings().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.alive().await;
        self.inner.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.alive().await;
        self.inner.firings(query).await
    }
}

#[async_trait]
impl Registers for ChaosStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.alive().await;
        self.inner.get_register(name).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let kind = ChaosWrite::of_register(name);
        let write = self.inner.put_register(name, value, expected, expires);
        Self::write(self, kind, "write a register", write).await
    }
}

#[async_trait]
impl StoreMaintenance for ChaosStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.alive().await;
        self.inner.health_check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        Self::write(self, ChaosWrite::Any, "prune", self.inner.prune(retention)).await
    }
}

#[async_trait]
impl Store for ChaosStore {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        Self::write(self, ChaosWrite::Any, "adopt", self.inner.import(batch)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
