//! What all parts of the store work with.

use std::sync::Arc;

use ecs_scheduler_core::{Clock, StoreError};
use tokio::sync::Mutex;

use crate::db::Db;
use crate::directory::Directory;
use crate::head::Head;
use crate::keys::{Key, SHARDS};

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory,
    /// Edits of one shard follow each other, so that those of this process do not get in each other's way.
    pub(crate) edits: [Mutex<()>; SHARDS as usize],
}

impl Shared {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, directory: Directory::default(), edits: Default::default() }
    }

    /// Reads what was edited last in a shard.
    pub(crate) async fn head(&self, shard: u8) -> Result<Head, StoreError> {
        let item = self.db.get("read what was edited last", Key::head(shard)).await?;
        Head::read(item.as_ref().map(|item| self.db.reader(item)))
    }
}
