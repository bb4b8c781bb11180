//! Replicas of a simulation that can be killed, frozen and cut off.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::clock::Clock;
use ecs_scheduler_core::engine::Engine;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::replica::{JobOwner, Replica, ReplicaHandle, ReplicaId, ReplicaOptions, Timing};
use ecs_scheduler_core::store::{Shard, SharedStore, Store};

use super::{NetworkFault, NetworkLink, RemoteLauncher, RemoteStore, Simulation};

/// One replica and its network links.
#[derive(Debug)]
pub struct Member {
    /// The replica.
    pub replica: ReplicaHandle,
    /// Its link to the store.
    pub store: NetworkLink,
    /// Its link to the launcher.
    pub launcher: NetworkLink,
}

impl Member {
    /// Returns how many shards it owns now.
    #[must_use]
    pub fn owned(&self) -> usize {
        owned(&self.replica).len()
    }

    /// Ends it as `kill -9` does: no further call reaches store or launcher.
    pub fn kill(self) {
        self.store.set(NetworkFault::Frozen);
        self.launcher.set(NetworkFault::Frozen);
        // Ends its timers, too; hanging calls are not awaited.
        tokio::spawn(async move { self.replica.stop(Duration::ZERO).await });
    }

    /// Stops it without ending it, as `SIGSTOP` does.
    pub fn freeze(&self) {
        self.store.set(NetworkFault::Frozen);
        self.launcher.set(NetworkFault::Frozen);
    }

    /// Lets it go on after a freeze.
    pub fn wake(&self) {
        self.store.set(NetworkFault::None);
        self.launcher.set(NetworkFault::None);
    }
}

/// Returns the shards that a replica owns.
#[must_use]
pub fn owned(replica: &ReplicaHandle) -> Vec<Shard> {
    // The owner of a shard is the owner of any of its jobs.
    Shard::all().filter(|shard| replica.owner(&job_of(*shard)) == JobOwner::ThisReplica).collect()
}

/// Returns the name of a job of this shard.
///
/// # Panics
///
/// Does not: every shard has a job of a short name.
#[must_use]
pub fn job_of(shard: Shard) -> JobId {
    let mut names = (0..).map(|number| JobId::new(&format!("job-{number}")).expect("it is a name"));
    names.find(|job| Shard::from_job(job) == shard).expect("every shard has jobs")
}

/// Joins a replica with this address to the others on a store.
///
/// # Panics
///
/// Panics when `name` is no replica's name, or the store cannot be read.
pub async fn join(world: &Simulation, shared: &Arc<dyn SharedStore>, name: &str, address: &str) -> Member {
    let (store_gate, launcher_gate) = (NetworkLink::default(), NetworkLink::default());
    let store = Arc::new(RemoteStore::new(Arc::clone(shared), store_gate.clone()));
    let launcher = Arc::new(RemoteLauncher::new(Arc::clone(&world.launcher), launcher_gate.clone()));
    let engine = Engine {
        options: world.options.clone(),
        store: Arc::clone(&store) as Arc<dyn Store>,
        launcher,
        registry: Arc::clone(&world.registry),
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
    };
    let options = ReplicaOptions {
        id: ReplicaId::new(name).expect("a test names its replicas well"),
        address: format!("http://{address}"),
        timing: Timing::default(),
    };
    let replica = Replica { options, engine, store }.join().await.expect("the store can be read");
    Member { replica, store: store_gate, launcher: launcher_gate }
}
