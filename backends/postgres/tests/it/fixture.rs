//! A store in a schema of its own, raw connections beside it, and small helpers.

use std::sync::Arc;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{NewJob, Store, StoreError, async_trait};
use ecs_scheduler_testing::sample;
use ecs_scheduler_testing::store_suite::StoreFixture;
use tokio_postgres::NoTls;

use crate::server::{server, unique_name};

/// A schema that no other test uses.
pub(crate) struct TestSchema {
    pub(crate) name: String,
}

impl TestSchema {
    pub(crate) fn new() -> Self {
        Self { name: unique_name() }
    }

    pub(crate) fn url(&self) -> String {
        server().url_of(&self.name)
    }

    pub(crate) async fn try_open(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(&self.url(), PostgresOptions::default()).await
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        self.try_open().await.expect("the store opens")
    }

    /// Connects without the store, as another program would.
    pub(crate) async fn raw_client(&self) -> tokio_postgres::Client {
        connect(&self.url()).await
    }

    /// Executes SQL as another program would.
    pub(crate) async fn execute(&self, sql: &str) {
        self.raw_client().await.batch_execute(sql).await.expect("the SQL is executed");
    }
}

pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client
}

#[async_trait]
impl StoreFixture for TestSchema {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

pub(crate) fn new_job(id: &str) -> NewJob {
    sample::new_job(id, r#"{"taskCount": 1}"#)
}

/// Returns the error chain of a failed open.
pub(crate) fn open_error(opened: Result<PostgresStore, StoreError>) -> String {
    let error = opened.expect_err("the store is refused");
    let message = ecs_scheduler_core::fault::chain(&error);
    assert!(!message.contains("s3cr"), "the password is not in the message: {message}");
    message
}
