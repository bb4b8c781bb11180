//! What all parts of the store work with.

use std::collections::HashMap;
use std::sync::Arc;

use ecs_scheduler_core::{Clock, JobId, StoreError};
use tokio::sync::Mutex;

use crate::change_log::Head;
use crate::db::Db;
use crate::job_index::Directory;
use crate::job_meta::Mark;
use crate::keys::{Key, SHARDS};
use crate::prune::Sweep;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory,
    /// Edits of one shard follow each other, so that those of this process do not get in each other's way.
    pub(crate) edits: [Mutex<()>; SHARDS as usize],
    /// The search for old history that is under way.
    pub(crate) sweep: Mutex<Sweep>,
}

impl Shared {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self {
            db,
            clock,
            directory: Directory::default(),
            edits: Default::default(),
            sweep: Mutex::default(),
        }
    }

    /// Reads the marks of jobs, those that exist.
    pub(crate) async fn marks(
        &self,
        jobs: impl Iterator<Item = &JobId>,
    ) -> Result<HashMap<JobId, Mark>, StoreError> {
        let items = self.db.get_all("read what is settled", jobs.map(Key::mark)).await?;
        let marks = items.values().map(|item| Mark::read(self.db.reader(item)));
        marks.map(|mark| mark.map(|mark| (mark.job.clone(), mark))).collect()
    }

    /// Reads the mark of a job.
    pub(crate) async fn mark(&self, job: &JobId) -> Result<Option<Mark>, StoreError> {
        Ok(self.marks(std::iter::once(job)).await?.remove(job))
    }

    /// Reads what was edited last in a shard.
    pub(crate) async fn head(&self, shard: u8) -> Result<Head, StoreError> {
        let item = self.db.get("read what was edited last", Key::head(shard)).await?;
        Head::read(item.as_ref().map(|item| self.db.reader(item)))
    }
}
