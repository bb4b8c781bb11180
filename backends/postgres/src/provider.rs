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

#[cfg(test)]
mod tests;

/// The store `postgres`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresProvider;

impl PostgresProvider {
    /// Tells whether the settings name the same tables: the hosts, the database, the user and the options of the sessions,
    /// such as the search path, are the same.
    fn is_same_database(one: &SettingValues, other: &SettingValues) -> bool {
        let parsed = |settings: &SettingValues| ConnectionConfig::parse(settings.get(&URL)?).ok();
        one == other
            || parsed(one).zip(parsed(other)).is_some_and(|(one, other)| one.is_same_database(&other))
    }
}

#[async_trait]
impl StoreProvider for PostgresProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[URL];
        let summary = "Keeps everything in a PostgreSQL database, which several schedulers may share";
        ProviderDescriptor::new("postgres", summary, SETTINGS)
            .chosen_by(&URL)
            .with_same_store(Self::is_same_database)
    }

    /// Parses the URL.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let parsed = ConnectionConfig::parse(settings.require(&URL)?);
        parsed
            .map(drop)
            .map_err(|error| SettingError::new(format!("{}: {}", URL.name(), fault::chain(&error))))
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let (url, options) = (setup.settings.require(&URL)?, PostgresOptions::default());
        Ok(Arc::new(match mode {
            OpenMode::Serve => PostgresStore::open(url, options).await?,
            OpenMode::ReadOnly => PostgresStore::open_read_only(url, options).await?,
        }))
    }
}
