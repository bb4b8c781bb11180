//! What stands between one process and the rest of the world: it can be frozen, cut off and slowed down.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::decide::DecisionRecord;
use crate::fault::FaultKind;
use crate::firing::Firing;
use crate::job::{JobId, Revision, StoredJob};
use crate::launcher::{LaunchError, LaunchLimits, LaunchReport, LaunchRequest, Launcher, Search};
use crate::registry::ConfigError;
use crate::store::{
    Advance, DecisionQuery, EditMark, Fence, FiringQuery, JobList, JobStore, Journal, ListFrom, NewJob,
    Register, Registers, Retention, Settled, Settlement, Shard, ShardEdits, Shards, SharedStore, Store,
    StoreError,
};
use crate::task::{Population, TaskId, TaskSpec, TaskState};

/// How a gate lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// At once.
    Open,
    /// After so long, half of it on the way there and half on the way back.
    Slow(Duration),
    /// Not at all: a call fails after so long. One that was on its way has its effect, and its answer is lost.
    Cut(Duration),
    /// Calls wait until this changes, as those of a process that is stopped. What was on its way arrives then.
    Frozen,
}

/// Lets calls through, or not. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<Passage>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(Passage::Open))
    }
}

impl Gate {
    /// Changes how calls are let through, those that wait included.
    pub fn set(&self, passage: Passage) {
        self.0.send_replace(passage);
    }

    async fn half_way(&self) -> Option<()> {
        let mut passage = self.0.subscribe();
        loop {
            let now = *passage.borrow_and_update();
            let wait = match now {
                Passage::Open => return Some(()),
                Passage::Slow(time) => Some((time / 2, Some(()))),
                Passage::Cut(time) => Some((time, None)),
                Passage::Frozen => None,
            };
            let Some((time, then)) = wait else {
                // The gate lives as long as this borrow of it.
                let _ = passage.changed().await;
                continue;
            };
            tokio::time::sleep(time).await;
            if *passage.borrow() != Passage::Frozen {
                return then;
            }
        }
    }

    async fn through<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        cut: fn() -> E,
    ) -> Result<T, E> {
        self.half_way().await.ok_or_else(cut)?;
        let answer = call.await;
        self.half_way().await.ok_or_else(cut)?;
        answer
    }
}

fn cut_from_store() -> StoreError {
    StoreError::fault(FaultKind::Unavailable, "could not reach the store")
}

fn cut_from_launcher() -> LaunchError {
    LaunchError::unanswered("could not reach the launcher")
}

/// A shared store behind a gate.
#[derive(Debug)]
pub struct GatedStore {
    inner: Arc<dyn SharedStore>,
    gate: Gate,
}

impl GatedStore {
    /// Puts a gate in front of a store.
    #[must_use]
    pub fn new(inner: Arc<dyn SharedStore>, gate: Gate) -> Self {
        Self { inner, gate }
    }

    async fn through<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.gate.through(call, cut_from_store).await
    }
}

#[async_trait]
impl JobStore for GatedStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.through(self.inner.create(job)).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.through(self.inner.replace(id, expected, document, at)).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.through(self.inner.remove(id, expected)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.through(self.inner.get(ids)).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.through(self.inner.list(from, limit)).await
    }
}

#[async_trait]
impl Journal for GatedStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.through(self.inner.settle(batch)).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.through(self.inner.advance(advance)).await
    }

    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        self.through(self.inner.unfinished()).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.through(self.inner.decisions(query)).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.through(self.inner.firings(query)).await
    }
}

#[async_trait]
impl Registers for GatedStore {
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.through(self.inner.read(name)).await
    }

    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.through(self.inner.write(name, value, expected, expires)).await
    }
}

#[async_trait]
impl Shards for GatedStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        self.through(self.inner.list_shard(shard, from, limit)).await
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        self.through(self.inner.open_firings_in_shard(shard)).await
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.through(self.inner.settle_fenced(fence, batch)).await
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        self.through(self.inner.advance_fenced(fence, advance)).await
    }
}

#[async_trait]
impl SharedStore for GatedStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        self.through(self.inner.registers(prefix)).await
    }

    async fn edits(&self, since: &[(Shard, EditMark)]) -> Result<Vec<ShardEdits>, StoreError> {
        self.through(self.inner.edits(since)).await
    }
}

#[async_trait]
impl Store for GatedStore {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.through(self.inner.check()).await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        self.through(self.inner.prune(retention)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}

/// A launcher behind a gate.
#[derive(Debug)]
pub struct GatedLauncher {
    inner: Arc<dyn Launcher>,
    gate: Gate,
}

impl GatedLauncher {
    /// Puts a gate in front of a launcher.
    #[must_use]
    pub fn new(inner: Arc<dyn Launcher>, gate: Gate) -> Self {
        Self { inner, gate }
    }

    async fn through<T>(
        &self,
        call: impl Future<Output = Result<T, LaunchError>> + Send,
    ) -> Result<T, LaunchError> {
        self.gate.through(call, cut_from_launcher).await
    }
}

#[async_trait]
impl Launcher for GatedLauncher {
    fn limits(&self) -> LaunchLimits {
        self.inner.limits()
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.through(self.inner.population(job, task)).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.through(self.inner.launch(request)).await
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<Vec<TaskState>, LaunchError> {
        self.through(self.inner.observe(tasks)).await
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.through(self.inner.stop(task, reason)).await
    }

    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        self.inner.check(task)
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        self.inner.review(task)
    }

    async fn admit(&self, request: &LaunchRequest, deadline: Timestamp) {
        self.inner.admit(request, deadline).await;
    }

    async fn search(&self, request: &LaunchRequest, sent_at: Timestamp) -> Result<Search, LaunchError> {
        self.through(self.inner.search(request, sent_at)).await
    }
}
