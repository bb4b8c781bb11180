//! Writers to the journal: one without a fence, and one under the fence of each shard's owner.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_core::{Fence, StoreError};
use parking_lot::Mutex;

use crate::db::{Committed, Db};
use crate::group_commit::GroupCommit;
use crate::limits::MAX_WRITES;
use crate::write::Write;

/// Writes to the journal, under a fence or without one.
#[derive(Debug, Clone, Default)]
pub(crate) struct JournalWriter {
    fenced: Option<Arc<GroupCommit>>,
}

/// The group commits of the newest fence of each register.
#[derive(Debug, Default)]
pub(crate) struct FencedWriters(Mutex<HashMap<String, Arc<GroupCommit>>>);

impl FencedWriters {
    /// Returns the writer under this fence.
    pub(crate) fn fenced_by(&self, fence: &Fence) -> JournalWriter {
        let mut commits = self.0.lock();
        let known = commits.get(&fence.register).filter(|commit| commit.fence() == fence).map(Arc::clone);
        let commit = known.unwrap_or_else(|| {
            let commit = Arc::new(GroupCommit::new(fence.clone()));
            commits.insert(fence.register.clone(), Arc::clone(&commit));
            commit
        });
        JournalWriter { fenced: Some(commit) }
    }
}

impl JournalWriter {
    /// Returns how many writes one transaction may have beside the check of the fence.
    pub(crate) fn max_writes(&self) -> usize {
        MAX_WRITES - usize::from(self.fenced.is_some())
    }

    /// Commits all writes or none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] when the fence does not hold, which is checked in the same transaction.
    pub(crate) async fn commit(
        &self,
        db: &Db,
        action: &str,
        writes: Vec<Write>,
    ) -> Result<Committed, StoreError> {
        match &self.fenced {
            None => db.commit(action, writes).await,
            Some(commit) => commit.commit(db, writes).await,
        }
    }

    /// Checks that the fence holds at this moment, for an answer that was given without a write.
    pub(crate) async fn verify_fence(&self, db: &Db) -> Result<(), StoreError> {
        let Some(commit) = &self.fenced else { return Ok(()) };
        let fence = commit.fence();
        let register = crate::registers::get_register(db, &fence.register).await?;
        if register.is_some_and(|register| register.version == fence.version) {
            return Ok(());
        }
        Err(commit.fenced())
    }
}
