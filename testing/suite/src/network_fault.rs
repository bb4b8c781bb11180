//! Network fault injection: a link between a process and its store or launcher can be slow, cut or frozen.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::watch;

use ecs_scheduler_core::decide::DecisionRecord;
use ecs_scheduler_core::fault::FaultKind;
use ecs_scheduler_core::firing::Firing;
use ecs_scheduler_core::job::{JobId, Revision, StoredJob};
use ecs_scheduler_core::launcher::{
    LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, Launcher,
    LostCall, ObservedTasks, TaskLogs, TaskValidation,
};
use ecs_scheduler_core::registry::ConfigError;
use ecs_scheduler_core::store::{
    Advance, ChangeCursor, DecisionQuery, Fence, FiringQuery, JobList, JobStore, Journal, ListFrom, NewJob,
    Register, Registers, Retention, Settled, Settlement, Shard, ShardChanges, Shards, SharedStore, Store,
    StoreError, StoreMaintenance,
};
use ecs_scheduler_core::task::{Population, TaskId, TaskSize, TaskSpec};

/// The fault of a network link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkFault {
    /// No fault: calls pass at once.
    None,
    /// Calls take this much longer, half before and half after their effect.
    Slow(Duration),
    /// Calls time out after this time. A call in progress has its effect, and its answer is lost.
    Cut(Duration),
    /// Calls wait until the fault changes, like those of a stopped process; then calls in progress continue.
    Frozen,
}

/// A network link that can be faulty. Clones are the same link.
#[derive(Debug, Clone)]
pub struct NetworkLink {
    fault: watch::Sender<NetworkFault>,
    holds_time: bool,
}

impl Default for NetworkLink {
    fn default() -> Self {
        Self { fault: watch::Sender::new(NetworkFault::None), holds_time: false }
    }
}

impl NetworkLink {
    /// Makes a link to something that works in real time, such as a thread or another process: virtual time stands still during a call.
    #[must_use]
    pub fn holding_time() -> Self {
        Self { holds_time: true, ..Self::default() }
    }

    /// Sets the fault, also for waiting calls.
    pub fn set(&self, fault: NetworkFault) {
        self.fault.send_replace(fault);
    }

    async fn traverse(&self) -> Option<()> {
        let mut fault = self.fault.subscribe();
        loop {
            let now = *fault.borrow_and_update();
            let wait = match now {
                NetworkFault::None => return Some(()),
                NetworkFault::Slow(time) => Some((time / 2, Some(()))),
                NetworkFault::Cut(time) => Some((time, None)),
                NetworkFault::Frozen => None,
            };
            let Some((time, then)) = wait else {
                // The sender lives as long as this borrow of it.
                let _ = fault.changed().await;
                continue;
            };
            tokio::time::sleep(time).await;
            if *fault.borrow() != NetworkFault::Frozen {
                return then;
            }
        }
    }

    async fn call<T, E>(
        &self,
        operation: impl Future<Output = Result<T, E>> + Send,
        timed_out: fn() -> E,
    ) -> Result<T, E> {
        self.traverse().await.ok_or_else(timed_out)?;
        let answer = if self.holds_time { hold_time(operation).await } else { operation.await };
        self.traverse().await.ok_or_else(timed_out)?;
        answer
    }
}

/// Stops virtual time until an operation has ended, which may work in real time: time does not pass while a blocking task runs.
pub async fn hold_time<T>(operation: impl Future<Output = T> + Send) -> T {
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let holding = tokio::task::spawn_blocking(move || held.recv());
    let answer = operation.await;
    drop(release);
    // It ends with an error when it is released.
    let _ = holding.await;
    answer
}

fn store_unreachable() -> StoreError {
    StoreError::fault(FaultKind::Unavailable, "could not reach the store")
}

fn launcher_unreachable() -> LaunchError {
    LaunchError::unanswered("could not reach the launcher")
}

/// A store behind a network link.
#[derive(Debug)]
pub struct RemoteStore {
    inner: Arc<dyn Store>,
    shared: Option<Arc<dyn SharedStore>>,
    link: NetworkLink,
}

impl RemoteStore {
    /// Puts a link in front of a store that can be shared.
    #[must_use]
    pub fn new(shared: Arc<dyn SharedStore>, link: NetworkLink) -> Self {
        Self { inner: Arc::clone(&shared) as _, shared: Some(shared), link }
    }

    /// Puts a link in front of a store for one process.
    #[must_use]
    pub fn of_one_process(inner: Arc<dyn Store>, link: NetworkLink) -> Self {
        Self { inner, shared: None, link }
    }

    fn shared_store(&self) -> &dyn SharedStore {
        &**self.shared.as_ref().expect("only replicas call this, and they have a shared store")
    }

    async fn call<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.link.call(operation, store_unreachable).await
    }
}

#[async_trait]
impl JobStore for RemoteStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.call(self.inner.create(job)).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.call(self.inner.replace(id, expected, document, at)).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.call(self.inner.remove(id, expected)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.call(self.inner.get(ids)).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.call(self.inner.list(from, limit)).await
    }
}

#[async_trait]
impl Journal for RemoteStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.call(self.inner.settle(batch)).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.call(self.inner.advance(advance)).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.call(self.inner.open_firings()).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.call(self.inner.decisions(query)).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.call(self.inner.firings(query)).await
    }
}

#[async_trait]
impl Registers for RemoteStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.call(self.inner.get_register(name)).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.call(self.inner.put_register(name, value, expected, expires)).await
    }
}

#[async_trait]
impl Shards for RemoteStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        self.call(self.shared_store().list_shard(shard, from, limit)).await
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        self.call(self.shared_store().open_firings_in_shard(shard)).await
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.call(self.shared_store().settle_fenced(fence, batch)).await
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        self.call(self.shared_store().advance_fenced(fence, advance)).await
    }
}

#[async_trait]
impl SharedStore for RemoteStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        self.call(self.shared_store().registers(prefix)).await
    }

    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError> {
        self.call(self.shared_store().changes(since)).await
    }
}

#[async_trait]
impl StoreMaintenance for RemoteStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.call(self.inner.health_check()).await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        self.call(self.inner.prune(retention)).await
    }
}

#[async_trait]
impl Store for RemoteStore {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        if self.shared.is_some() { Some(self) } else { None }
    }
}

/// A launcher behind a network link.
#[derive(Debug)]
pub struct RemoteLauncher {
    inner: Arc<dyn Launcher>,
    link: NetworkLink,
}

impl RemoteLauncher {
    /// Puts a link in front of a launcher.
    #[must_use]
    pub fn new(inner: Arc<dyn Launcher>, link: NetworkLink) -> Self {
        Self { inner, link }
    }

    async fn call<T>(
        &self,
        operation: impl Future<Output = Result<T, LaunchError>> + Send,
    ) -> Result<T, LaunchError> {
        self.link.call(operation, launcher_unreachable).await
    }
}

#[async_trait]
impl Launcher for RemoteLauncher {
    fn limits(&self) -> LaunchLimits {
        self.inner.limits()
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.call(self.inner.population(job, task)).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        self.call(self.inner.launch(request)).await
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        self.call(self.inner.observe(tasks)).await
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.call(self.inner.stop(task, reason)).await
    }
}

#[async_trait]
impl TaskValidation for RemoteLauncher {
    fn check(&self, task: &TaskSpec) -> Result<(), ConfigError> {
        self.inner.check(task)
    }

    fn review(&self, task: &TaskSpec) -> Result<Vec<String>, Vec<ConfigError>> {
        self.inner.review(task)
    }

    async fn measure(&self, definition: &str, task: &TaskSpec) -> Result<TaskSize, LaunchError> {
        self.call(self.inner.measure(definition, task)).await
    }
}

impl LaunchDiagnosis for RemoteLauncher {}

impl TaskLogs for RemoteLauncher {}

#[async_trait]
impl LaunchRecovery for RemoteLauncher {
    async fn acquire_quota(&self, request: &LaunchRequest, deadline: Timestamp) {
        self.inner.acquire_quota(request, deadline).await;
    }

    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        self.call(self.inner.find_lost_launch(request, sent_at)).await
    }
}
