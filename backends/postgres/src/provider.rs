//! The provider: the settings of the store, and how it is opened by them.

use std::sync::Arc;

use ecs_scheduler_core::{
    OpenMode, ProviderDescriptor, Setting, SettingError, SettingValues, Store, StoreError, StoreProvider,
    StoreSetup, async_trait, fault,
};

use crate::config::ConnectionConfig;
use crate::open::PostgresOptions;
use crate::store::PostgresStore;

/// The database.
const URL: Setting = Setting::new(
    "ECSS_POSTGRES_URL",
    "postgres.url",
    "URL",
    "The PostgreSQL database with jobs and history: `postgres://user:password@host:5432/database?sslmode=verify-full`. \
     Missing tables are created. See stores/postgres.md",
)
.secret();

/// The store `postgres`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresProvider;

#[async_trait]
impl StoreProvider for PostgresProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[URL];
        let summary = "Keeps everything in a PostgreSQL database, which several schedulers may share";
        ProviderDescriptor::new("postgres", summary, SETTINGS).chosen_by(&URL)
    }

    /// Parses the URL.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let parsed = ConnectionConfig::parse(settings.require(&URL)?);
        parsed.map(drop).map_err(|error| SettingError::new(fault::chain(&error)))
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let (url, options) = (setup.settings.require(&URL)?, PostgresOptions::default());
        Ok(Arc::new(match mode {
            OpenMode::Serve => PostgresStore::open(url, options).await?,
            OpenMode::ReadOnly => PostgresStore::open_read_only(url, options).await?,
        }))
    }
}
