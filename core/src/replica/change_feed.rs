//! Polls the store for job edits and for the brake, which any replica may write.

use std::sync::Arc;

use super::ReplicaInner;
use super::shard_owner::OwnedShard;
use crate::fault;
use crate::store::{ChangeCursor, ChangedJobs, Shard, ShardChanges, StoreError, answer_within};

/// Polls until the replica has ended.
pub(super) async fn run(inner: Arc<ReplicaInner>) {
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = inner.ended.cancelled() => return,
            () = tokio::time::sleep(inner.options.timing.poll_interval) => {}
        }
        let polled = answer_within(inner.options.timing.store_timeout, inner.poll_changes()).await;
        if let Err(error) = &polled
            && !failing
        {
            tracing::warn!(error = %fault::chain(error), "could not poll edits by other replicas");
        }
        failing = polled.is_err();
    }
}

impl ReplicaInner {
    async fn poll_changes(&self) -> Result<(), StoreError> {
        let owned: Vec<Arc<OwnedShard>> = self.owned.lock().values().cloned().collect();
        let cursors: Vec<(Shard, ChangeCursor)> = owned
            .iter()
            .filter(|owned| owned.engine().is_some())
            .map(|owned| (owned.shard, owned.cursor()))
            .collect();
        let edits =
            async { if cursors.is_empty() { Ok(Vec::new()) } else { self.store.changes(&cursors).await } };
        let (brake, edits) = futures::join!(self.commons.read_brake(&*self.store), edits);
        for edits in edits? {
            if let Some(owned) = owned.iter().find(|owned| owned.shard == edits.shard) {
                apply_changes(owned, edits);
            }
        }
        brake
    }
}

/// Passes a shard's changes to its engine.
fn apply_changes(owned: &OwnedShard, edits: ShardChanges) {
    let Some(engine) = owned.engine() else { return };
    match edits.jobs {
        ChangedJobs::Jobs(jobs) => jobs.iter().for_each(|job| engine.nudge(job)),
        ChangedJobs::Unknown => engine.rescan(),
    }
    owned.set_cursor(edits.cursor);
}
