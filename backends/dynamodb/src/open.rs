//! Opening: the options, the client, and the checks before the store is used.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use ecs_scheduler_backend_aws::{AwsContext, AwsScope};
use ecs_scheduler_core::{Clock, FaultKind, StoreError, SystemClock};

use crate::context::StoreContext;
use crate::db::Db;
use crate::keys::StoreTable;
use crate::store::DynamoDbStore;

/// The options of a DynamoDB store.
#[derive(Debug, Clone)]
pub struct DynamoDbOptions {
    /// The table with the jobs. Everything else is in a second table, `<table>-journal`.
    pub table: String,
    /// The region and the account of the tables; those of the credentials by default.
    pub place: AwsScope,
    /// Tells the moment at which a job of the Python version is imported.
    pub clock: Arc<dyn Clock>,
}

impl DynamoDbOptions {
    /// Makes options with the defaults.
    #[must_use]
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), place: AwsScope::default(), clock: Arc::new(SystemClock) }
    }
}

impl DynamoDbStore {
    /// Opens the tables, or creates them. Jobs that the Python version wrote are imported unchanged.
    ///
    /// # Errors
    ///
    /// Fails, with the table's name and the remedy, when a table cannot be read, is missing and may not be created, has
    /// other keys, or has a newer layout.
    pub async fn open(aws: &AwsContext, options: DynamoDbOptions) -> Result<Self, StoreError> {
        let db = connect(aws, &options).await?;
        Self::prepare(db, options).await
    }

    /// Opens existing tables. The journal is created beside a table that only the Python version has written.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and with [`FaultKind::NotFound`] when the table does not exist.
    pub async fn open_read_only(aws: &AwsContext, options: DynamoDbOptions) -> Result<Self, StoreError> {
        let db = connect(aws, &options).await?;
        if db.describe(StoreTable::Jobs).await?.is_none() {
            let message = format!("there is no DynamoDB table \"{}\"", options.table);
            return Err(StoreError::fault(FaultKind::NotFound, message));
        }
        Self::prepare(db, options).await
    }

    async fn prepare(db: Db, options: DynamoDbOptions) -> Result<Self, StoreError> {
        Box::pin(db.prepare_tables()).await?;
        let context = StoreContext::new(db, options.clock);
        Box::pin(context.reconcile_external_edits()).await?;
        Ok(Self::new(context))
    }
}

/// Makes the client, without a call.
pub(crate) async fn connect(aws: &AwsContext, options: &DynamoDbOptions) -> Result<Db, StoreError> {
    let config = aws.config(&options.place).await?;
    // The store retries by itself: with the same token, and sooner than the SDK would.
    let config = aws_sdk_dynamodb::config::Builder::from(&config)
        .retry_config(RetryConfig::disabled())
        .interceptor(aws.metering())
        .build();
    Ok(Db::new(Client::from_conf(config), options.table.clone()))
}
