//! Replicas: several processes that form one scheduler. Each runs its share of the jobs, and takes over from failed ones.
//!
//! ```text
//!            fleet/replica/a  ◀─beat── replica a ──engine per shard──▶ ShardView ─┐
//!  registers fleet/replica/b  ◀─beat── replica b ──engine per shard──▶ ShardView ─┤ fence   ┌──────────┐
//!            fleet/shard/00…15 ◀─compare-and-set── who owns what                  └────────▶│ journal  │
//!                                                                                           └──────────┘
//! ```
//!
//! The jobs are distributed over sixteen [shards](crate::store::Shard). A register names each shard's owner. It is written
//! by compare-and-set, and only when the owner changes: its version is the fence that the journal checks at every write of
//! the owner. Each replica writes a heartbeat register periodically. Another replica that sees this register unchanged for
//! [`Timing::dead_after`] by its own monotonic clock takes over its shards; a replica that could not write its heartbeat for
//! [`Timing::lease`] stops before that. Clocks of different machines are never compared.
//!
//! Correctness depends on the fence and the launch tokens alone: two replicas that both consider themselves the owner of a
//! shard cost some calls and a log message, never a second task.
//!
//! Rejected: a single leader (the others idle, and failover reads every job); a lease per job (a million registers);
//! consensus among the replicas (the store provides it already); expiry by wall clocks (they step).

mod assignment;
mod change_feed;
mod failing_names;
mod handle;
mod heartbeat;
mod node;
mod options;
mod peers;
mod reconcile;
mod records;
mod shard_owner;

pub use handle::{JobOwner, ReplicaHandle, ReplicaView};
pub use node::SchedulerNode;
pub use options::{InvalidReplicaId, ReplicaId, ReplicaOptions, Timing};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{Engine, EngineHandle, HistoryPruner, Lease, ProcessState};
use crate::job::JobUid;
use crate::store::{Shard, SharedStore, Store, StoreError};
use failing_names::FailingNames;
use heartbeat::Heartbeat;
use peers::Peers;
use shard_owner::OwnedShard;

/// A replica before it joins the cluster: its options, engine and store.
#[derive(Debug)]
pub struct Replica {
    /// Its id, address and timing.
    pub options: ReplicaOptions,
    /// The template of its engines. The engine's store must be `store`.
    pub engine: Engine,
    /// The store that all replicas share.
    pub store: Arc<dyn SharedStore>,
}

impl Replica {
    /// Joins the other replicas, and starts to acquire its share of the jobs.
    ///
    /// On return it has read the cluster's registers once and is starting engines for the shards it owns; the other replicas
    /// hand over the rest.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read or written.
    pub async fn join(self) -> Result<ReplicaHandle, StoreError> {
        let inner = Arc::new(ReplicaInner::new(self));
        inner.commons.read_brake(&*inner.store).await?;
        let mut heartbeat = Heartbeat::new(&inner);
        let pruner = inner.sweeper().check_newest().await;
        heartbeat.beat(&inner).await?;
        inner.refresh().await?;
        inner.tracker.spawn(heartbeat.run(Arc::clone(&inner)));
        inner.tracker.spawn(heartbeat::watch_lease(Arc::clone(&inner)));
        inner.tracker.spawn(reconcile::run(Arc::clone(&inner)));
        inner.tracker.spawn(change_feed::run(Arc::clone(&inner)));
        inner.tracker.spawn(pruner.run(inner.ended.clone(), inner.prunes()));
        Ok(ReplicaHandle::new(inner))
    }
}

/// The state that the tasks of a replica share.
struct ReplicaInner {
    options: ReplicaOptions,
    /// Distinguishes this process from others with the same replica id.
    incarnation: String,
    started: Timestamp,
    store: Arc<dyn SharedStore>,
    engine: Engine,
    commons: Arc<ProcessState>,
    /// Serves calls about jobs that no engine of this process owns.
    idle_engine: EngineHandle,
    /// The shards that this replica owns or is releasing.
    owned: Mutex<BTreeMap<Shard, Arc<OwnedShard>>>,
    peers: Mutex<Peers>,
    failing_names: FailingNames,
    /// The fault that stops this replica from working, if there is one.
    fault: RwLock<Option<String>>,
    heartbeat_now: Notify,
    reconcile_now: Notify,
    shard_left: Notify,
    /// Cancelled when the replica stops acquiring shards and releases its own.
    leaving: CancellationToken,
    ended: CancellationToken,
    tracker: TaskTracker,
}

impl fmt::Debug for ReplicaInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaInner").field("id", &self.options.id).finish_non_exhaustive()
    }
}

impl ReplicaInner {
    fn new(replica: Replica) -> Self {
        let Replica { options, engine, store } = replica;
        let commons = ProcessState::new(&engine.options, Lease::expired());
        let idle_engine = engine.clone().idle(Arc::clone(&commons));
        Self {
            incarnation: JobUid::random().to_string(),
            started: engine.clock.now(),
            options,
            store,
            engine,
            commons,
            idle_engine,
            owned: Mutex::default(),
            peers: Mutex::default(),
            failing_names: FailingNames::default(),
            fault: RwLock::default(),
            heartbeat_now: Notify::new(),
            reconcile_now: Notify::new(),
            shard_left: Notify::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    fn sweeper(&self) -> HistoryPruner {
        let (store, clock) = (Arc::clone(&self.store) as Arc<dyn Store>, Arc::clone(&self.engine.clock));
        HistoryPruner::new(store, clock, Arc::clone(&self.commons), &self.engine.options)
    }

    /// Returns a predicate: whether this replica prunes old history, as the owner of the first shard does.
    fn prunes(self: &Arc<Self>) -> impl Fn() -> bool + Send + use<> {
        let inner = Arc::clone(self);
        move || Shard::all().next().is_some_and(|first| inner.owned.lock().contains_key(&first))
    }

    /// Sets or clears the fault, and logs each change once.
    fn set_fault(&self, fault: Option<String>) {
        let mut current = self.fault.write();
        if *current == fault {
            return;
        }
        match &fault {
            Some(fault) => tracing::error!(replica = %self.options.id, "{fault}"),
            None => tracing::info!(replica = %self.options.id, "the replica has recovered"),
        }
        *current = fault;
    }
}
