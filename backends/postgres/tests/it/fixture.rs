//! A store in a schema of its own, and looks at it from beside.

use std::sync::Arc;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::testing::store_suite::Subject;
use ecs_scheduler_core::{JobId, JobUid, NewJob, Store, StoreError, Timestamp, async_trait};
use serde_json::value::RawValue;
use tokio_postgres::NoTls;

use crate::server::{fresh_schema, server};

/// A schema that no other test uses.
pub(crate) struct Place {
    pub(crate) schema: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { schema: fresh_schema() }
    }

    pub(crate) fn url(&self) -> String {
        server().url_of(&self.schema)
    }

    pub(crate) async fn try_open(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(&self.url(), PostgresOptions::default()).await
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        self.try_open().await.expect("the store opens")
    }

    /// Connects beside the store, as another program would.
    pub(crate) async fn beside(&self) -> tokio_postgres::Client {
        connect(&self.url()).await
    }

    /// Has another program change something.
    pub(crate) async fn change(&self, sql: &str) {
        self.beside().await.batch_execute(sql).await.expect("the change is made");
    }
}

pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client
}

#[async_trait]
impl Subject for Place {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

pub(crate) fn new_job(id: &str) -> NewJob {
    let document = RawValue::from_string(r#"{"taskCount": 1}"#.to_owned()).expect("it is JSON");
    let id = JobId::new(id).expect("the name is sound");
    NewJob { id, uid: JobUid::random(), document, at: Timestamp::UNIX_EPOCH }
}

/// Says how opening failed.
pub(crate) fn message(opened: Result<PostgresStore, StoreError>) -> String {
    let error = opened.expect_err("the store is refused");
    let message = ecs_scheduler_core::fault::chain(&error);
    assert!(!message.contains("s3cr"), "the password is not told: {message}");
    message
}
