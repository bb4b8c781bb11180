//! The store `mounted-postgres`: the built-in PostgreSQL store with a URL from a mounted file.

use std::sync::Arc;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{
    FaultKind, OpenMode, ProviderDescriptor, Setting, Store, StoreError, StoreProvider, StoreSetup,
    async_trait,
};

/// The file with the URL.
const URL_FILE: Setting = Setting::new(
    "DATABASE_URL_FILE",
    "database.urlFile",
    "FILE",
    "A file with the URL of the PostgreSQL database, as secrets are mounted. It is read when the scheduler starts",
);

/// Configures and opens the store `mounted-postgres`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountedPostgres;

#[async_trait]
impl StoreProvider for MountedPostgres {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[URL_FILE];
        let summary = "Keeps everything in a PostgreSQL database, whose URL is in a file";
        ProviderDescriptor::new("mounted-postgres", summary, SETTINGS).chosen_by(&URL_FILE)
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let file = setup.settings.require(&URL_FILE)?;
        let url = tokio::fs::read_to_string(file).await.map_err(|error| {
            let message = format!("could not read the database URL from \"{file}\"; check DATABASE_URL_FILE");
            StoreError::with_source(FaultKind::Config, message, error)
        })?;
        let (url, options) = (url.trim(), PostgresOptions::default());
        Ok(Arc::new(match mode {
            OpenMode::Serve => PostgresStore::open(url, options).await?,
            OpenMode::ReadOnly => PostgresStore::open_read_only(url, options).await?,
        }))
    }
}
