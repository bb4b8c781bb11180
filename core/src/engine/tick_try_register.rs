//! Keeps the tries of ticks in registers of the store, so that the next owner of the jobs knows them: a tick that was tried and is
//! replaced after a restart ends with its tries and the reason, not as one that was never tried.
//!
//! A register has the ticks of one shard. It is written at the first failed try, and then at most every five seconds: the number of
//! tries of a process that is killed may be too small. An entry that is there too long is older than the job's settled ticks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;

use super::inner::EngineInner;
use super::shard_register::ShardRegister;
use super::tick_retry::Retrying;
use crate::job::JobUid;
use crate::store::{Shard, StoreError};

/// The beginning of the names of the registers.
const TICK_TRIES: &str = "tick-tries/";
/// The least time between two writes.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// The maximum number of ticks of a shard, and of characters of each reason, so that every store can hold the register.
const MAX_TICKS: usize = 200;
const MAX_REASON: usize = 300;

/// The ticks of a shard that are tried again.
type Tries = BTreeMap<JobUid, Retrying>;

/// The registers of these shards.
pub(super) type KeptTries = BTreeMap<Shard, ShardRegister<Tries>>;

/// Reads the tries of an earlier engine.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(super) async fn load(engine: &EngineInner, shards: &[Shard]) -> Result<KeptTries, StoreError> {
    let reads = shards.iter().map(|shard| ShardRegister::<Tries>::read(engine, TICK_TRIES, *shard));
    let kept: KeptTries = shards.iter().copied().zip(try_join_all(reads).await?).collect();
    let mut earlier = engine.retries.earlier.lock();
    for (shard, register) in &kept {
        let tries = register.value.iter().map(|(uid, retrying)| (*uid, (*shard, retrying.resumed())));
        earlier.extend(tries);
    }
    drop(earlier);
    Ok(kept)
}

/// Writes the tries when they change, until the engine stops.
pub(super) async fn run(engine: Arc<EngineInner>, mut kept: KeptTries) {
    let stop = engine.stop.clone();
    while stop.run_until_cancelled(engine.retries.changed.notified()).await.is_some() {
        if !engine.write_tries(&mut kept).await {
            engine.retries.changed.notify_one();
        }
        engine.sleep(WRITE_INTERVAL).await;
    }
}

impl EngineInner {
    /// Writes the registers whose ticks have changed; returns whether all of them could be written.
    async fn write_tries(&self, kept: &mut KeptTries) -> bool {
        let mut by_shard: BTreeMap<Shard, Tries> = BTreeMap::new();
        let mut add = |shard: Shard, uid: JobUid, retrying: &Retrying| {
            let tries = by_shard.entry(shard).or_default();
            if tries.len() < MAX_TICKS {
                let mut kept = retrying.clone();
                kept.reason = retrying.reason.chars().take(MAX_REASON).collect();
                tries.entry(uid).or_insert(kept);
            }
        };
        for (uid, (job, retrying)) in &*self.retries.ticks.lock() {
            add(Shard::from_job(job), *uid, retrying);
        }
        for (uid, (shard, retrying)) in &*self.retries.earlier.lock() {
            add(*shard, *uid, retrying);
        }
        let mut written = true;
        for (shard, register) in kept {
            written &= register.write(self, by_shard.remove(shard).unwrap_or_default()).await;
        }
        written
    }
}
