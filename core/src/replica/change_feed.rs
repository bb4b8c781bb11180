//! Hearing of edits and of the brake, which any replica may have written.

use std::sync::Arc;

use super::Crew;
use super::shard_owner::OwnedShard;
use crate::fault::{self, FaultKind};
use crate::store::{EditMark, EditedJobs, Shard, ShardEdits, StoreError};

/// Asks until the replica has ended.
pub(super) async fn run(crew: Arc<Crew>) {
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = crew.ended.cancelled() => return,
            () = tokio::time::sleep(crew.options.timing.news) => {}
        }
        let heard = tokio::time::timeout(crew.options.timing.patience, crew.hear()).await;
        let heard = heard.unwrap_or_else(|_| {
            Err(StoreError::fault(FaultKind::Unavailable, "the store did not answer in time"))
        });
        if let Err(error) = &heard
            && !failing
        {
            tracing::warn!(error = %fault::chain(error), "could not hear of edits by other replicas");
        }
        failing = heard.is_err();
    }
}

impl Crew {
    async fn hear(&self) -> Result<(), StoreError> {
        let owned: Vec<Arc<OwnedShard>> = self.owned.lock().values().cloned().collect();
        let marks: Vec<(Shard, EditMark)> = owned
            .iter()
            .filter(|owned| owned.engine().is_some())
            .map(|owned| (owned.shard, owned.mark()))
            .collect();
        let edits = async { if marks.is_empty() { Ok(Vec::new()) } else { self.store.edits(&marks).await } };
        let (brake, edits) = futures::join!(self.commons.read_brake(&*self.store), edits);
        for edits in edits? {
            if let Some(owned) = owned.iter().find(|owned| owned.shard == edits.shard) {
                tell(owned, edits);
            }
        }
        brake
    }
}

/// Has the shard's engine look at what was edited.
fn tell(owned: &OwnedShard, edits: ShardEdits) {
    let Some(engine) = owned.engine() else { return };
    match edits.jobs {
        EditedJobs::These(jobs) => jobs.iter().for_each(|job| engine.nudge(job)),
        EditedJobs::Unknown => engine.rescan(),
    }
    owned.set_mark(edits.mark);
}
