//! A store file in a folder of its own for each test, and small jobs.

use std::path::PathBuf;
use std::sync::Arc;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{Store, StoreError, async_trait};
pub(crate) use ecs_scheduler_testing::sample::{name, new_job};
use ecs_scheduler_testing::store_suite::StoreFixture;
use tempfile::TempDir;

/// A store file in a temporary folder.
pub(crate) struct StoreFile {
    folder: TempDir,
}

impl StoreFile {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("the folder is created") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    pub(crate) async fn try_open(&self, options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.path(), options).await
    }

    pub(crate) async fn store(&self) -> SqliteStore {
        self.try_open(SqliteOptions::default()).await.expect("the store opens")
    }

    /// Opens the file beside the store, as another program would.
    pub(crate) fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("the file opens")
    }

    /// Asserts that the file is refused; returns the message.
    pub(crate) async fn refusal(&self) -> String {
        let error = self.try_open(SqliteOptions::default()).await.expect_err("the file is refused");
        assert!(matches!(error, StoreError::Fault { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("jobs.db"), "the file is named: {message}");
        message
    }
}

#[async_trait]
impl StoreFixture for StoreFile {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}
