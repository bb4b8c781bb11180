//! The provider: the settings of the store, and how it is opened by them.

use std::path::PathBuf;
use std::sync::Arc;

use ecs_scheduler_core::{
    OpenMode, PathKind, ProviderDescriptor, Setting, SettingError, SettingValues, Store, StoreError,
    StoreProvider, StoreSetup, async_trait,
};

use crate::file_identity::identity;
use crate::lock::resolve_path;
use crate::open::SqliteOptions;
use crate::store::SqliteStore;

/// The database file.
const FILE: Setting = Setting::new(
    "ECSS_SQLITE_FILE",
    "sqlite.file",
    "FILE",
    "The SQLite database; its folder is created if missing. A file of the Python version opens without conversion",
)
.with_default_in_data_dir("scheduler.db")
.with_path(PathKind::File)
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

    /// Tells whether the settings name the same file, by whatever path or link.
    fn is_same_file(one: &SettingValues, other: &SettingValues) -> bool {
        let file = |settings| resolve_path(&Self::file(settings).ok()?).ok();
        let is_linked = |one: PathBuf, other: PathBuf| {
            one == other || identity(&one).is_some_and(|one| identity(&other) == Some(one))
        };
        one == other || file(one).zip(file(other)).is_some_and(|(one, other)| is_linked(one, other))
    }
}

#[async_trait]
impl StoreProvider for SqliteProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[FILE];
        ProviderDescriptor::new("sqlite", "Keeps everything in one SQLite file", SETTINGS)
            .chosen_by(&FILE)
            .with_same_store(Self::is_same_file)
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let options = SqliteOptions { clock: Arc::clone(&setup.clock), ..SqliteOptions::default() };
        let file = Self::file(setup.settings)?;
        Ok(Arc::new(match mode {
            OpenMode::Serve => SqliteStore::open(file, options).await?,
            OpenMode::ReadOnly => SqliteStore::open_read_only(file, options).await?,
        }))
    }
}
