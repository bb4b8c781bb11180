//! A store that tells when intents are durable, and how long that took it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::{
    Advance, Clock, DecisionQuery, DecisionRecord, Firing, FiringQuery, ImportBatch, JobId, JobList,
    JobStore, Journal, ListFrom, NewJob, Register, Registers, Retention, Revision, Settled, Settlement,
    Store, StoreError, StoreMaintenance, StoredJob, SystemClock, Timestamp, async_trait,
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::watch;

/// A store with a stopwatch in front of it.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    inner: Arc<dyn Store>,
    intents: watch::Sender<usize>,
    /// How long after its tick each intent was asked to be made durable, and was, in milliseconds.
    late: Mutex<Vec<(f64, f64)>>,
}

impl Stopwatch {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, intents: watch::Sender::new(0), late: Mutex::default() }
    }

    /// Takes how long after their ticks intents were asked to be made durable, and were, since the last time.
    pub(crate) fn take_late(&self) -> (Vec<f64>, Vec<f64>) {
        std::mem::take(&mut *self.late.lock()).into_iter().unzip()
    }

    /// Waits until so many intents are durable.
    pub(crate) async fn wait_for(&self, intents: usize) {
        let mut durable = self.intents.subscribe();
        durable.wait_for(|durable| *durable >= intents).await.expect("the sender is borrowed");
    }
}

#[async_trait]
impl JobStore for Stopwatch {
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
        self.inner.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.inner.list(from, limit).await
    }
}

#[async_trait]
impl Journal for Stopwatch {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let intents = batch.iter().filter(|settlement| settlement.firing.is_some()).count();
        let ticks: Vec<Timestamp> =
            batch.iter().filter_map(|settlement| Some(settlement.firing.as_ref()?.nominal)).collect();
        let late = |tick: &Timestamp| SystemClock.now().duration_since(*tick).as_secs_f64() * 1_000.0;
        let asked: Vec<f64> = ticks.iter().map(late).collect();
        let settled = self.inner.settle(batch).await?;
        self.late.lock().extend(asked.into_iter().zip(ticks.iter().map(late)));
        self.intents.send_modify(|durable| *durable += intents);
        Ok(settled)
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.inner.advance(advance).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.inner.open_firings().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.inner.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.inner.firings(query).await
    }
}

#[async_trait]
impl Registers for Stopwatch {
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
        self.inner.put_register(name, value, expected, expires).await
    }
}

#[async_trait]
impl StoreMaintenance for Stopwatch {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.inner.health_check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        self.inner.prune(retention).await
    }
}

#[async_trait]
impl Store for Stopwatch {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        self.inner.import(batch).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
