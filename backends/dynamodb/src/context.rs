//! The state that all parts of the store work with, and the reads that several of them need.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_core::{Clock, JobId, StoreError};
use tokio::sync::Mutex;

use crate::change_log::ChangeLogHead;
use crate::db::Db;
use crate::job_index::JobIndex;
use crate::job_meta::JobMeta;
use crate::keys::{ItemKey, SHARDS};
use crate::row::DecisionRow;

/// The tables, the clock and the job index of one store.
#[derive(Debug)]
pub(crate) struct StoreContext {
    pub(crate) db: Arc<Db>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) job_index: JobIndex,
    /// One lock per shard: edits of this process to one shard run one after the other, so that they do not conflict with
    /// each other.
    pub(crate) edit_locks: [Mutex<()>; SHARDS as usize],
}

impl StoreContext {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db: Arc::new(db), clock, job_index: JobIndex::default(), edit_locks: Default::default() }
    }

    /// Reads the metadata of those jobs that exist.
    pub(crate) async fn metas(
        &self,
        jobs: impl Iterator<Item = &JobId>,
    ) -> Result<HashMap<JobId, JobMeta>, StoreError> {
        let items = self.db.get_all("read the metadata of jobs", jobs.map(ItemKey::job_meta)).await?;
        let metas = items.values().map(|item| JobMeta::read(self.db.reader(item)));
        metas.map(|meta| meta.map(|meta| (meta.job.clone(), meta))).collect()
    }

    /// Reads the metadata of a job.
    pub(crate) async fn meta(&self, job: &JobId) -> Result<Option<JobMeta>, StoreError> {
        Ok(self.metas(std::iter::once(job)).await?.remove(job))
    }

    /// Reads the row of a decision.
    pub(crate) async fn row(&self, key: ItemKey) -> Result<Option<DecisionRow>, StoreError> {
        const ACTION: &str = "read a firing";
        match self.db.get(ACTION, key).await? {
            Some(item) => self.decode_row(ACTION, item).await,
            None => Ok(None),
        }
    }

    /// Reads the head of a shard's change log.
    pub(crate) async fn change_log_head(&self, shard: u8) -> Result<ChangeLogHead, StoreError> {
        let item = self.db.get("read the change log", ItemKey::change_log_head(shard)).await?;
        ChangeLogHead::read(item.as_ref().map(|item| self.db.reader(item)))
    }
}
