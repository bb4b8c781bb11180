//! The traits of a store, each call forwarded to the module that implements it.

use std::fmt;
use std::sync::Arc;

use ecs_scheduler_core::{
    Advance, DecisionQuery, DecisionRecord, Firing, FiringQuery, ImportBatch, Journal, Retention, Settled,
    Settlement, SharedStore, Store, StoreError, StoreMaintenance, async_trait,
};
use tokio::sync::Mutex;

use crate::codec::number;
use crate::context::StoreContext;
use crate::db::Committed;
use crate::journal_writer::{FencedWriters, JournalWriter};
use crate::keys::{ItemKey, SHARDS};
use crate::prune::Sweep;
use crate::write::Write;
use crate::{advance, history, import, prune, settle};

/// A store in two DynamoDB tables. Any number of processes may use it at the same time.
pub struct DynamoDbStore {
    pub(crate) context: StoreContext,
    /// Writes without a fence.
    writer: JournalWriter,
    pub(crate) fenced_writers: FencedWriters,
    /// The state of pruning between two calls.
    sweep: Mutex<Sweep>,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore").field("table", &self.context.db.jobs).finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    pub(crate) fn new(context: StoreContext) -> Self {
        Self {
            context,
            writer: JournalWriter::default(),
            fenced_writers: FencedWriters::default(),
            sweep: Mutex::default(),
        }
    }
}

#[async_trait]
impl Journal for DynamoDbStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        settle::settle(&self.context, &self.writer, batch).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        advance::advance(&self.context, &self.writer, advance).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        history::open_firings(&self.context, 0..SHARDS).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        history::decisions(&self.context, query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        history::firings(&self.context, query).await
    }
}

#[async_trait]
impl StoreMaintenance for DynamoDbStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        let now = self.context.clock.now().as_millisecond();
        let probe = Write::put(ItemKey::table_info("pulse")).set("at", number(now));
        let written = self.context.db.commit("write the health check's item", vec![probe]).await?;
        debug_assert_eq!(written, Committed::Done, "a write without a condition is not refused");
        self.context.db.check_delete_permission().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        prune::prune(&self.context, &mut *self.sweep.lock().await, retention).await
    }
}

#[async_trait]
impl Store for DynamoDbStore {
    fn kind(&self) -> &'static str {
        "dynamodb"
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        import::import(&self.context, batch).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.context.db.close();
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}
