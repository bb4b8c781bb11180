//! Several processes that are one scheduler: each looks at its share of the jobs, and takes over from those that fall.
//!
//! ```text
//!            fleet/replica/a  ◀─beat── replica a ──engine per shard──▶ ShardView ─┐
//!  registers fleet/replica/b  ◀─beat── replica b ──engine per shard──▶ ShardView ─┤ fence   ┌──────────┐
//!            fleet/shard/00…15 ◀─compare-and-set── who owns what                  └────────▶│ journal  │
//!                                                                                           └──────────┘
//! ```
//!
//! The jobs are spread over sixteen [shards](crate::store::Shard). Who owns a shard is written in a register, by
//! compare-and-set and only when it changes: the register's version is the fence that the journal checks at every
//! write of the owner. A replica shows that it lives by writing a register of its own again and again. Another one that
//! sees this register unchanged for [`Timing::dead_after`] by its own monotonic clock takes its shards over; a replica
//! that could not write it for [`Timing::lease`] stops by itself before that. Clocks of two machines are never compared.
//!
//! Nothing of this is needed for correctness but the fence and the launch tokens: two replicas that both believe to own
//! a shard cost money and a line in the log, never a second task.
//!
//! Rejected: one leader that does all the work (the others idle, and the take-over reads every job); a lease per job (a
//! million registers); consensus among the replicas (the store has it already); expiry by wall clocks (they step).

mod assignment;
mod change_feed;
mod handle;
mod heartbeat;
mod options;
mod peers;
mod reconcile;
mod records;
mod scheduler;
mod shard_owner;

pub use handle::{Owner, ReplicaHandle, ReplicaView};
pub use options::{InvalidReplicaId, ReplicaId, ReplicaOptions, Timing};
pub use scheduler::Scheduler;

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
use heartbeat::Heartbeat;
use peers::Peers;
use shard_owner::OwnedShard;

/// A replica's parts, as [`Replica::join`] takes them.
#[derive(Debug)]
pub struct Replica {
    /// Who it is, where others reach it, and how long things take.
    pub options: ReplicaOptions,
    /// The parts of its engines. The engine's store must be `store`.
    pub engine: Engine,
    /// The store that all replicas share.
    pub store: Arc<dyn SharedStore>,
}

impl Replica {
    /// Shows itself to the other replicas and begins to take its share of the jobs.
    ///
    /// On return it has looked around once and is starting engines for what it owns; the others hand over the rest.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read or written.
    pub async fn join(self) -> Result<ReplicaHandle, StoreError> {
        let crew = Arc::new(Crew::new(self));
        crew.commons.read_brake(&*crew.store).await?;
        let mut heartbeat = Heartbeat::new(&crew);
        heartbeat.beat(&crew).await?;
        crew.look().await?;
        crew.tracker.spawn(heartbeat.run(Arc::clone(&crew)));
        crew.tracker.spawn(heartbeat::guard(Arc::clone(&crew)));
        crew.tracker.spawn(reconcile::run(Arc::clone(&crew)));
        crew.tracker.spawn(change_feed::run(Arc::clone(&crew)));
        crew.tracker.spawn(crew.sweeper().run(crew.sweeps()));
        Ok(ReplicaHandle::new(crew))
    }
}

/// What the parts of a replica share.
struct Crew {
    options: ReplicaOptions,
    /// Tells this life of the replica from others under the same id.
    life: String,
    started: Timestamp,
    store: Arc<dyn SharedStore>,
    engine: Engine,
    commons: Arc<ProcessState>,
    /// Answers questions about jobs that no engine of this process looks at.
    stand_by: EngineHandle,
    /// The shards that this replica owns, or is leaving.
    owned: Mutex<BTreeMap<Shard, Arc<OwnedShard>>>,
    peers: Mutex<Peers>,
    /// What keeps this replica from its work.
    trouble: RwLock<Option<String>>,
    beat_now: Notify,
    look_now: Notify,
    shard_left: Notify,
    /// It takes nothing more and leaves what it has.
    leaving: CancellationToken,
    ended: CancellationToken,
    tracker: TaskTracker,
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("id", &self.options.id).finish_non_exhaustive()
    }
}

impl Crew {
    fn new(replica: Replica) -> Self {
        let Replica { options, engine, store } = replica;
        let commons = ProcessState::new(&engine.options, Lease::expired());
        let stand_by = engine.clone().idle(Arc::clone(&commons));
        Self {
            life: JobUid::random().to_string(),
            started: engine.clock.now(),
            options,
            store,
            engine,
            commons,
            stand_by,
            owned: Mutex::default(),
            peers: Mutex::default(),
            trouble: RwLock::default(),
            beat_now: Notify::new(),
            look_now: Notify::new(),
            shard_left: Notify::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    fn sweeper(&self) -> HistoryPruner {
        let (store, clock) = (Arc::clone(&self.store) as Arc<dyn Store>, Arc::clone(&self.engine.clock));
        HistoryPruner::new(store, clock, Arc::clone(&self.commons), &self.engine.options, self.ended.clone())
    }

    /// Tells whether this replica is the one that removes old history: the owner of the first shard.
    fn sweeps(self: &Arc<Self>) -> impl Fn() -> bool + Send + use<> {
        let crew = Arc::clone(self);
        move || Shard::all().next().is_some_and(|first| crew.owned.lock().contains_key(&first))
    }

    /// Notes what keeps this replica from its work, or that nothing does; says so once.
    fn note(&self, trouble: Option<String>) {
        let mut noted = self.trouble.write();
        if *noted == trouble {
            return;
        }
        match &trouble {
            Some(trouble) => tracing::error!(replica = %self.options.id, "{trouble}"),
            None => tracing::info!(replica = %self.options.id, "the replica can work again"),
        }
        *noted = trouble;
    }
}
