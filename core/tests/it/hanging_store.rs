//! A store of which some calls never answer, answer late, or panic.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{
    Advance, ChangeCursor, Clock, DecisionQuery, DecisionRecord, Fence, Firing, FiringQuery, JobId, JobList,
    JobStore, Journal, ListFrom, MemoryStore, NewJob, Register, Registers, Retention, Revision, Settled,
    Settlement, Shard, ShardChanges, Shards, SharedStore, Store, StoreError, StoreMaintenance, StoredJob,
    Timestamp, async_trait,
};
use ecs_scheduler_testing::SimClock;
use parking_lot::Mutex;
use serde_json::value::RawValue;

/// A kind of call to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    List,
    Settle,
    Advance,
    OpenFirings,
    Firings,
    PutBudgets,
}

/// The effect of a call that never answers, or another fault of the call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    Never,
    AtOnce,
    After(Duration),
    /// It has its effect after the first time, and answers after the second: the answer is old.
    Slow(Duration, Duration),
    /// It panics.
    Panic,
    /// It answers, and the next reading of the store's [`PanickingClock`] panics.
    ClockPanic,
}

/// Which calls have a fault.
#[derive(Debug)]
struct Hang {
    call: Call,
    /// Only calls about this job, alone or among others.
    job: Option<JobId>,
    effect: Effect,
    /// How many calls.
    left: usize,
}

/// A memory store of which some calls never answer, answer late, or panic.
#[derive(Debug, Default)]
pub(crate) struct HangingStore {
    inner: Arc<MemoryStore>,
    hangs: Mutex<Vec<Hang>>,
    /// The shard of which every call hangs.
    shard: Mutex<Option<Shard>>,
    /// Every call that had a fault.
    pub(crate) hung: Mutex<Vec<Call>>,
    /// Whether the next reading of its clock panics.
    clock_panics: Arc<AtomicBool>,
}

/// A clock that panics once when its store says so.
#[derive(Debug)]
pub(crate) struct PanickingClock {
    inner: Arc<SimClock>,
    panics: Arc<AtomicBool>,
}

impl Clock for PanickingClock {
    fn now(&self) -> Timestamp {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a fault of the clock");
        self.inner.now()
    }
}

impl HangingStore {
    /// Makes the next `calls` calls of this kind hang: those about the job, or all.
    pub(crate) fn hang(&self, call: Call, job: Option<&str>, calls: usize, effect: Effect) {
        let job = job.map(|job| JobId::new(job).unwrap());
        self.hangs.lock().push(Hang { call, job, effect, left: calls });
    }

    /// Returns a clock for [`Effect::ClockPanic`].
    pub(crate) fn clock(&self, inner: &Arc<SimClock>) -> Arc<PanickingClock> {
        Arc::new(PanickingClock { inner: Arc::clone(inner), panics: Arc::clone(&self.clock_panics) })
    }

    /// Makes every call about a shard's jobs hang, or none.
    pub(crate) fn hang_shard(&self, shard: Option<Shard>) {
        *self.shard.lock() = shard;
    }

    /// Answers all calls from now on. Calls that hang do not answer.
    pub(crate) fn recover(&self) {
        self.hangs.lock().clear();
        self.hang_shard(None);
    }

    fn effect_of(&self, call: Call, jobs: &[&JobId]) -> Option<Effect> {
        let in_shard =
            self.shard.lock().is_some_and(|shard| jobs.iter().any(|job| Shard::from_job(job) == shard));
        let effect = self.hangs.lock().iter_mut().find_map(|hang| {
            let about = hang.job.as_ref().is_none_or(|job| jobs.contains(&job));
            (hang.call == call && about && hang.left > 0).then(|| {
                hang.left -= 1;
                hang.effect
            })
        });
        effect.or_else(|| in_shard.then_some(Effect::Never))
    }

    /// Makes a call that answers, or that has a fault before or after its effect.
    async fn pass<T: Send + 'static>(
        &self,
        call: Call,
        jobs: &[&JobId],
        effect: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(when) = self.effect_of(call, jobs) else { return effect.await };
        self.hung.lock().push(call);
        match when {
            Effect::Never => {}
            Effect::AtOnce => drop(effect.await),
            Effect::After(wait) => drop(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                effect.await
            })),
            Effect::Slow(before, after) => {
                tokio::time::sleep(before).await;
                let answer = effect.await;
                tokio::time::sleep(after).await;
                return answer;
            }
            Effect::Panic => panic!("a fault of the store"),
            Effect::ClockPanic => {
                self.clock_panics.store(true, Ordering::Relaxed);
                return effect.await;
            }
        }
        std::future::pending().await
    }
}

#[async_trait]
impl JobStore for HangingStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.inner.create(job).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.inner.replace(id, expected, document, at).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        let (inner, named) = (Arc::clone(&self.inner), ids.to_vec());
        self.pass(Call::Get, &ids.iter().collect::<Vec<_>>(), async move { inner.get(&named).await }).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        let inner = Arc::clone(&self.inner);
        self.pass(Call::List, &[], async move { inner.list(from, limit).await }).await
    }
}

#[async_trait]
impl Journal for HangingStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let (inner, settlements) = (Arc::clone(&self.inner), batch.clone());
        let jobs: Vec<&JobId> = batch.iter().map(|settlement| &settlement.job).collect();
        self.pass(Call::Settle, &jobs, async move { inner.settle(settlements).await }).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        let (inner, job) = (Arc::clone(&self.inner), advance.to.job.clone());
        self.pass(Call::Advance, &[&job], async move { inner.advance(advance).await }).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        let inner = Arc::clone(&self.inner);
        self.pass(Call::OpenFirings, &[], async move { inner.open_firings().await }).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.inner.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        let (inner, query) = (Arc::clone(&self.inner), query.clone());
        let jobs: Vec<JobId> = query.job.iter().cloned().collect();
        self.pass(Call::Firings, &jobs.iter().collect::<Vec<_>>(), async move { inner.firings(&query).await })
            .await
    }
}

#[async_trait]
impl Registers for HangingStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.inner.get_register(name).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let inner = Arc::clone(&self.inner);
        let (owned, value) = (name.to_owned(), value.to_owned());
        let put = async move { inner.put_register(&owned, &value, expected, expires).await };
        if name == "budgets" { self.pass(Call::PutBudgets, &[], put).await } else { put.await }
    }
}

#[async_trait]
impl StoreMaintenance for HangingStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.inner.health_check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        self.inner.prune(retention).await
    }
}

#[async_trait]
impl Store for HangingStore {
    fn kind(&self) -> &'static str {
        "hanging"
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

#[async_trait]
impl Shards for HangingStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        self.inner.list_shard(shard, from, limit).await
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        self.inner.open_firings_in_shard(shard).await
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let (inner, fence, settlements) = (Arc::clone(&self.inner), fence.clone(), batch.clone());
        let jobs: Vec<&JobId> = batch.iter().map(|settlement| &settlement.job).collect();
        self.pass(Call::Settle, &jobs, async move { inner.settle_fenced(&fence, settlements).await }).await
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        let (inner, fence, job) = (Arc::clone(&self.inner), fence.clone(), advance.to.job.clone());
        self.pass(Call::Advance, &[&job], async move { inner.advance_fenced(&fence, advance).await }).await
    }
}

#[async_trait]
impl SharedStore for HangingStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        self.inner.registers(prefix).await
    }

    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError> {
        self.inner.changes(since).await
    }
}
