//! Hearing of edits and of the brake, which any replica may have written.

use std::sync::Arc;

use super::Crew;
use super::post::Post;
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
        let posts: Vec<Arc<Post>> = self.posts.lock().values().cloned().collect();
        let marks: Vec<(Shard, EditMark)> = posts
            .iter()
            .filter(|post| post.engine().is_some())
            .map(|post| (post.shard, post.mark()))
            .collect();
        let edits = async { if marks.is_empty() { Ok(Vec::new()) } else { self.store.edits(&marks).await } };
        let (brake, edits) = futures::join!(self.commons.read_brake(&*self.store), edits);
        for edits in edits? {
            if let Some(post) = posts.iter().find(|post| post.shard == edits.shard) {
                tell(post, edits);
            }
        }
        brake
    }
}

/// Has the shard's engine look at what was edited.
fn tell(post: &Post, edits: ShardEdits) {
    let Some(engine) = post.engine() else { return };
    match edits.jobs {
        EditedJobs::These(jobs) => jobs.iter().for_each(|job| engine.nudge(job)),
        EditedJobs::Unknown => engine.rescan(),
    }
    post.set_mark(edits.mark);
}
