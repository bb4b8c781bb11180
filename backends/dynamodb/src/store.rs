//! The store itself: each call goes to the part that does it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use ecs_scheduler_backend_aws::{Aws, Place};
use ecs_scheduler_core::{
    Adoption, Advance, Clock, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, JobId, JobList,
    JobStore, Journal, ListFrom, NewJob, Register, Registers, Retention, Revision, Settled, Settlement,
    SharedStore, Store, StoreError, StoredJob, SystemClock, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::codec::number;
use crate::context::Shared;
use crate::db::{Committed, Db};
use crate::journal_writer::{Lane, Lanes};
use crate::keys::{Key, SHARDS, Table};
use crate::write::Write;
use crate::{advance, history, import, jobs, prune, registers, settle};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct DynamoDbOptions {
    /// The table with the jobs. Everything else is in a second one, `<table>-journal`.
    pub table: String,
    /// Where the tables are; the region and the account of the credentials by default.
    pub place: Place,
    /// Tells the moment at which a job of the Python version is taken over.
    pub clock: Arc<dyn Clock>,
}

impl DynamoDbOptions {
    /// Makes options with the defaults.
    #[must_use]
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), place: Place::default(), clock: Arc::new(SystemClock) }
    }
}

/// A store in two DynamoDB tables, which any number of processes may use at once.
pub struct DynamoDbStore {
    pub(crate) shared: Shared,
    /// The way of whom no fence keeps out.
    lane: Lane,
    pub(crate) lanes: Lanes,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore").field("table", &self.shared.db.jobs).finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    /// Opens the tables, or creates them. Jobs that the Python version wrote are taken over as they are.
    ///
    /// # Errors
    ///
    /// Fails, with the table's name and the remedy, when a table cannot be read, is missing and may not be created, is
    /// something else, or has a newer layout.
    pub async fn open(aws: &Aws, options: DynamoDbOptions) -> Result<Self, StoreError> {
        let db = connect(aws, &options).await?;
        Self::prepare(db, options).await
    }

    /// Opens tables that are there already. One that only the Python version has written lacks ours beside it, which is
    /// created.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and with [`FaultKind::NotFound`] when there is no table of that name.
    pub async fn open_existing(aws: &Aws, options: DynamoDbOptions) -> Result<Self, StoreError> {
        let db = connect(aws, &options).await?;
        if db.describe(Table::Jobs).await?.is_none() {
            let message = format!("there is no DynamoDB table \"{}\"", options.table);
            return Err(StoreError::fault(FaultKind::NotFound, message));
        }
        Self::prepare(db, options).await
    }

    async fn prepare(db: Db, options: DynamoDbOptions) -> Result<Self, StoreError> {
        Box::pin(db.prepare()).await?;
        let shared = Shared::new(db, options.clock);
        Box::pin(shared.take_over_all()).await?;
        Ok(Self { shared, lane: Lane::default(), lanes: Lanes::default() })
    }
}

/// Makes the client; calls nothing.
pub(crate) async fn connect(aws: &Aws, options: &DynamoDbOptions) -> Result<Db, StoreError> {
    let config = aws.config(&options.place).await?;
    // What is tried again is tried again here, with the same token and sooner than the SDK would.
    let config = aws_sdk_dynamodb::config::Builder::from(&config)
        .retry_config(RetryConfig::disabled())
        .interceptor(aws.metering())
        .build();
    Ok(Db::new(Client::from_conf(config), options.table.clone()))
}

#[async_trait]
impl JobStore for DynamoDbStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        jobs::create(&self.shared, job).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        jobs::replace(&self.shared, id, expected, document, at).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        jobs::remove(&self.shared, id, expected).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.shared.read(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        jobs::list(&self.shared, from, limit, |_| true).await
    }
}

#[async_trait]
impl Journal for DynamoDbStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        settle::settle(&self.shared, &self.lane, batch).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        advance::advance(&self.shared, &self.lane, advance).await
    }

    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        history::unfinished(&self.shared, 0..SHARDS).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        history::decisions(&self.shared, query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        history::firings(&self.shared, query).await
    }
}

#[async_trait]
impl Registers for DynamoDbStore {
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError> {
        registers::read(&self.shared.db, name).await
    }

    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        registers::write(&self.shared.db, name, value, expected, expires).await
    }
}

#[async_trait]
impl Store for DynamoDbStore {
    fn kind(&self) -> &'static str {
        "dynamodb"
    }

    async fn check(&self) -> Result<(), StoreError> {
        let now = self.shared.clock.now().as_millisecond();
        let pulse = Write::put(Key::keeper("pulse")).set("at", number(now));
        let written = self.shared.db.commit("write the store's pulse", vec![pulse]).await?;
        debug_assert_eq!(written, Committed::Done, "a write without a condition is not refused");
        self.shared.db.try_delete().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        prune::prune(&self.shared, retention).await
    }

    async fn adopt(&self, adoption: Adoption) -> Result<(), StoreError> {
        import::adopt(&self.shared, adoption).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.shared.db.close();
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}
