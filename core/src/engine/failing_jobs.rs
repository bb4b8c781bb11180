//! Keeps the names of failing jobs in registers of the store, so that the next owner of the jobs knows them from its start.
//!
//! A register has the names of one shard, also if a single process owns all shards. The journal says how a job fails and since
//! when: a name that is there too long costs one read of it. A name that could not be written is missing until the job is shown, or
//! fails again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;

use super::inner::EngineInner;
use super::shard_register::ShardRegister;
use crate::job::JobId;
use crate::store::Shard;

/// The beginning of the names of the registers.
pub(crate) const FAILING_JOBS: &str = "failing-jobs/";
/// How long after a change names are written: many jobs may begin to fail at once.
const WRITE_DELAY: Duration = Duration::from_secs(5);
/// How long to wait after a failed write.
const RETRY_DELAY: Duration = Duration::from_mins(1);
/// The maximum number of names of a shard, so that every store can hold the register.
const MAX_NAMES: usize = 500;
/// The number of jobs whose journal is read at once.
const CONCURRENT_RECALLS: usize = 4;

/// The names of a shard's failing jobs.
type KeptNames = ShardRegister<BTreeSet<JobId>>;

/// Reads the names of these shards and how the jobs fail, then writes the names when they change.
pub(super) async fn run(engine: Arc<EngineInner>, shards: Vec<Shard>) {
    let mut changes = engine.process.faults.subscribe();
    let stop = engine.stop.clone();
    let Some(mut kept) = stop.run_until_cancelled(engine.read_all(shards)).await else { return };
    if kept.values().any(|kept| !kept.value.is_empty()) {
        changes.mark_changed();
    }
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        engine.sleep(WRITE_DELAY).await;
        changes.mark_unchanged();
        if !engine.write_names(&mut kept).await && engine.sleep(RETRY_DELAY).await {
            changes.mark_changed();
        }
    }
}

impl EngineInner {
    /// Reads the names of these shards, and how each of the jobs fails.
    async fn read_all(&self, shards: Vec<Shard>) -> BTreeMap<Shard, KeptNames> {
        let mut kept = BTreeMap::new();
        for shard in shards {
            // A register that cannot be read is read again before it is written.
            let names = KeptNames::read(self, FAILING_JOBS, shard).await;
            let names = names.unwrap_or_else(|_| KeptNames::unread(FAILING_JOBS, shard));
            for ids in names.value.iter().cloned().collect::<Vec<_>>().chunks(MAX_NAMES) {
                let jobs = self.store.get(ids).await.unwrap_or_default();
                let recalls = futures::stream::iter(jobs);
                recalls
                    .for_each_concurrent(CONCURRENT_RECALLS, |job| async move {
                        self.recall_failing(&job).await;
                        self.recall_breaker(&job).await;
                    })
                    .await;
            }
            kept.insert(shard, names);
        }
        kept
    }

    /// Writes the registers whose names have changed; returns whether all of them could be written.
    async fn write_names(&self, kept: &mut BTreeMap<Shard, KeptNames>) -> bool {
        let mut by_shard: BTreeMap<Shard, BTreeSet<JobId>> = BTreeMap::new();
        for name in self.process.faults.names_of(self.number) {
            let names = by_shard.entry(Shard::from_job(&name)).or_default();
            if names.len() < MAX_NAMES {
                names.insert(name);
            }
        }
        let mut written = true;
        for (shard, kept) in kept {
            written &= kept.write(self, by_shard.remove(shard).unwrap_or_default()).await;
        }
        written
    }
}

/// Reads the value of a register. A value of another form counts as empty.
pub(crate) fn names_of_register(value: &str) -> BTreeSet<JobId> {
    serde_json::from_str(value).unwrap_or_default()
}
