//! The way into the journal: open to everybody, or fenced for the owner of a shard.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_core::{Fence, StoreError};
use parking_lot::Mutex;

use crate::db::{Committed, Db};
use crate::group_commit::Queue;
use crate::limits::ACTIONS;
use crate::write::Write;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    fenced: Option<Arc<Queue>>,
}

/// The ways behind fences, by the name of the register and its version.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<String, Arc<Queue>>>);

impl Lanes {
    /// Returns the way of whom this fence lets in.
    pub(crate) fn behind(&self, fence: &Fence) -> Lane {
        let mut lanes = self.0.lock();
        let lane = lanes.get(&fence.register).filter(|queue| queue.fence() == fence).map(Arc::clone);
        let lane = lane.unwrap_or_else(|| {
            let queue = Arc::new(Queue::new(fence.clone()));
            lanes.insert(fence.register.clone(), Arc::clone(&queue));
            queue
        });
        Lane { fenced: Some(lane) }
    }
}

impl Lane {
    /// Returns how many writes one transaction may have.
    pub(crate) fn room(&self) -> usize {
        ACTIONS - usize::from(self.fenced.is_some())
    }

    /// Writes all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] when the fence does not hold, checked in the same transaction.
    pub(crate) async fn commit(
        &self,
        db: &Db,
        what: &str,
        writes: Vec<Write>,
    ) -> Result<Committed, StoreError> {
        match &self.fenced {
            None => db.commit(what, writes).await,
            Some(queue) => queue.commit(db, writes).await,
        }
    }

    /// Makes sure that the fence holds at this moment, for an answer that nothing was written for.
    pub(crate) async fn verify(&self, db: &Db) -> Result<(), StoreError> {
        let Some(queue) = &self.fenced else { return Ok(()) };
        let fence = queue.fence();
        let register = crate::registers::read(db, &fence.register).await?;
        if register.is_some_and(|register| register.version == fence.version) {
            return Ok(());
        }
        Err(queue.fenced())
    }
}
