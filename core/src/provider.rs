//! Providers: the kind, the settings and the constructor of a store or a launcher.
//!
//! A program installs a provider as it installs a trigger: `Server::builder().standard()?.store(provider)`. The settings of an
//! installed provider are settings of the program: environment variables, keys of the configuration file, flags, rows of
//! `config check` and sections of the reference.

mod memory;
mod setting;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::launcher::{CheckResult, LaunchError, Launcher};
use crate::permission::Permission;
use crate::store::{Store, StoreError};

pub use memory::MemoryProvider;
pub use setting::{PathKind, Setting, SettingDefault, SettingError, SettingValues};

#[cfg(test)]
mod tests;

/// The name, the purpose and the settings of a provider.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ProviderDescriptor {
    /// The kind in the configuration, in lower case: `sqlite`.
    pub kind: &'static str,
    /// A one-line summary for lists.
    pub summary: &'static str,
    /// The settings that the provider reads, in the order in which they are documented.
    pub settings: &'static [Setting],
    /// The key of the setting that chooses this provider by being set. Without one, `ECSS_STORE` or `ECSS_LAUNCHER` chooses it
    /// by its kind.
    pub selector: Option<&'static str>,
    /// The reason to choose this launcher, for the message that none is chosen: `to start tasks on an ECS cluster`.
    pub purpose: &'static str,
    /// Tells whether the settings of two stores of this kind name the same store, for `ecs-scheduler migrate`.
    pub same_store: SameStore,
}

/// Tells whether the settings of two stores of one kind name the same store.
pub type SameStore = fn(&SettingValues, &SettingValues) -> bool;

impl ProviderDescriptor {
    /// Makes the descriptor of a provider that is chosen by its kind.
    #[must_use]
    pub const fn new(kind: &'static str, summary: &'static str, settings: &'static [Setting]) -> Self {
        Self { kind, summary, settings, selector: None, purpose: "", same_store: |one, other| one == other }
    }

    /// Names the setting that chooses this provider by being set; it is one of its settings.
    #[must_use]
    pub const fn chosen_by(self, setting: &Setting) -> Self {
        Self { selector: Some(setting.key), ..self }
    }

    /// Adds the reason to choose this launcher.
    #[must_use]
    pub const fn with_purpose(self, purpose: &'static str) -> Self {
        Self { purpose, ..self }
    }

    /// Names the comparison by which other settings are found to name the same store: another path, another order of the hosts.
    /// Without one, equal settings name the same store.
    #[must_use]
    pub const fn with_same_store(self, same_store: SameStore) -> Self {
        Self { same_store, ..self }
    }

    /// Returns the setting that chooses this provider by being set.
    #[must_use]
    pub fn selector(&self) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| Some(setting.key) == self.selector)
    }
}

/// The mode in which a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For a scheduler: read and write. A missing store is created.
    Serve,
    /// For a command that only reads, while a scheduler may use the store: the scheduler continues.
    ReadOnly,
}

/// The values and services from which a store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreSetup<'a> {
    /// The values of the provider's settings; the provider has [checked](StoreProvider::check) them.
    pub settings: &'a SettingValues,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl<'a> StoreSetup<'a> {
    /// Makes a setup.
    #[must_use]
    pub fn new(settings: &'a SettingValues, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock }
    }
}

/// Configures and opens one kind of store. Implement it to add one.
#[async_trait]
pub trait StoreProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the kind, the summary and the settings.
    fn descriptor(&self) -> ProviderDescriptor;

    /// Checks the values of the settings. Makes no calls.
    ///
    /// Called for the chosen store. Also called for a store that is not chosen, if one of its settings is set and no other
    /// setting chooses a store: its selector is missing then.
    ///
    /// # Errors
    ///
    /// Fails with the name of the invalid setting, its value unless it is secret, and the remedy.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let _ = settings;
        Ok(())
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// Fails with the problem and its remedy. In [`OpenMode::ReadOnly`], a store that does not exist is
    /// [`FaultKind::NotFound`], unless only opening can create it.
    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError>;

    /// Checks the store for `ecs-scheduler doctor`, with read-only calls. A store that only one process can open reports
    /// nothing.
    async fn diagnose(&self, setup: &StoreSetup<'_>) -> Vec<CheckResult> {
        let _ = setup;
        Vec::new()
    }

    /// Lists the permissions that the store needs, for `ecs-scheduler iam-policy`.
    fn permissions(&self, settings: &SettingValues) -> Vec<Permission> {
        let _ = settings;
        Vec::new()
    }
}

/// The values and services from which a launcher is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LauncherSetup<'a> {
    /// The values of the provider's settings; the provider has [checked](LauncherProvider::check) them.
    pub settings: &'a SettingValues,
    /// The scheduler's name, `ECSS_NAME`.
    pub scheduler: &'a str,
    /// The folder for files that the launcher keeps, `ECSS_DATA_DIR`; each launcher uses a folder of its own in it.
    pub data_dir: &'a Path,
    /// Whether every container gets the variables of its firing, `ECSS_TASK_VARIABLES`.
    pub task_variables: bool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl<'a> LauncherSetup<'a> {
    /// Makes a setup for a scheduler of this name, with task variables.
    #[must_use]
    pub fn new(
        settings: &'a SettingValues,
        scheduler: &'a str,
        data_dir: &'a Path,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { settings, scheduler, data_dir, task_variables: true, clock }
    }

    /// Returns this setup with or without task variables.
    #[must_use]
    pub fn with_task_variables(self, task_variables: bool) -> Self {
        Self { task_variables, ..self }
    }
}

/// Configures and opens one kind of launcher. Implement it to add one.
///
/// `ecs-scheduler doctor` and `iam-policy` ask the opened launcher for its checks and permissions, because these depend on the
/// tasks.
#[async_trait]
pub trait LauncherProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the kind, the summary and the settings.
    fn descriptor(&self) -> ProviderDescriptor;

    /// Checks the values of the settings of the chosen launcher. Makes no calls.
    ///
    /// # Errors
    ///
    /// Fails with the name of the invalid setting, its value unless it is secret, and the remedy.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let _ = settings;
        Ok(())
    }

    /// Opens the launcher.
    ///
    /// # Errors
    ///
    /// Fails with the problem and its remedy.
    async fn open(&self, setup: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError>;

    /// Returns the JSON schema of a job's `launch` object, for `GET /launchers`. The default has no members.
    fn options_schema(&self) -> Value {
        json!({ "type": "object", "additionalProperties": false, "properties": {} })
    }

    /// Tells whether only one process can open the launcher. Offline commands then do not open it, and accept each `launch`
    /// object.
    fn is_exclusive(&self) -> bool {
        false
    }
}

impl From<SettingError> for StoreError {
    fn from(error: SettingError) -> Self {
        Self::fault(FaultKind::Config, error.message)
    }
}

impl From<SettingError> for LaunchError {
    fn from(error: SettingError) -> Self {
        Self::new(FaultKind::Config, error.message)
    }
}
