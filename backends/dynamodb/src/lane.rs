//! The way into the journal: with or without a fence.

use ecs_scheduler_core::StoreError;

use crate::db::{Committed, Db};
use crate::limits::ACTIONS;
use crate::write::Write;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lane {}

impl Lane {
    /// Returns how many writes one transaction may have.
    pub(crate) fn room(&self) -> usize {
        ACTIONS
    }

    /// Writes all of it or nothing.
    pub(crate) async fn commit(
        &self,
        db: &Db,
        what: &str,
        writes: Vec<Write>,
    ) -> Result<Committed, StoreError> {
        db.commit(what, writes).await
    }
}
