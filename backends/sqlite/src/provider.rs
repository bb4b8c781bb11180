//! The provider: the settings of the store, and how it is opened by them.

use std::path::PathBuf;
use std::sync::Arc;

use ecs_scheduler_core::{
    OpenMode, ProviderDescriptor, Setting, SettingError, SettingValues, Store, StoreError, StoreProvider,
    StoreSetup, async_trait,
};

use crate::store::{SqliteOptions, SqliteStore};

/// The database file.
const FILE: Setting = Setting::new(
    "ECSS_SQLITE_FILE",
    "sqlite.file",
    "FILE",
    "The SQLite database; its folder is created if missing. A file of the Python version opens without conversion",
)
.with_default_in_data_dir("scheduler.db")
.inherited();

/// The store `sqlite`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteProvider;

impl SqliteProvider {
    /// Returns the file of the store with these settings.
    ///
    /// # Errors
    ///
    /// Fails when no file is named.
    pub fn file(settings: &SettingValues) -> Result<PathBuf, SettingError> {
        settings.require(&FILE).map(PathBuf::from)
    }
}

#[async_trait]
impl StoreProvider for SqliteProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[FILE];
        ProviderDescriptor::new("sqlite", "Keeps everything in one SQLite file", SETTINGS).chosen_by(&FILE)
    }

    /// Opens the file in the same way in each mode: its lock and its log need write access. A missing file is created.
    async fn open(&self, setup: &StoreSetup<'_>, _: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let options = SqliteOptions { clock: Arc::clone(&setup.clock), ..SqliteOptions::default() };
        Ok(Arc::new(SqliteStore::open(Self::file(setup.settings)?, options).await?))
    }
}
