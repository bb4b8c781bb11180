//! The installed stores and launchers, and the one table of settings: those of the scheduler and those of each
//! provider.

use std::sync::Arc;

use ecs_scheduler_core::{
    ConfigError, FaultKind, LaunchError, Launcher, LauncherProvider, LauncherSetup, OpenMode,
    ProviderDescriptor, SettingError, SettingValues, Store, StoreError, StoreProvider, StoreSetup,
    async_trait,
};

use super::setting::{ListedSetting, Part, Setting};

#[cfg(test)]
mod tests;

/// The installed stores and launchers, in the order of their installation, and the table of settings.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    stores: Vec<Arc<dyn StoreProvider>>,
    launchers: Vec<Arc<dyn LauncherProvider>>,
    settings: Vec<ListedSetting>,
}

impl Providers {
    /// Appends settings to the table.
    pub fn add_settings(&mut self, settings: &[ListedSetting]) {
        self.settings.extend_from_slice(settings);
    }

    /// Installs a store, and appends its settings to the table.
    ///
    /// # Errors
    ///
    /// Fails when a store of this kind, or a setting of the same key, variable or flag, is installed already.
    pub fn add_store(&mut self, provider: impl StoreProvider) -> Result<(), ConfigError> {
        self.add_store_as(Part::Store, provider)
    }

    /// Installs a launcher, and appends its settings to the table.
    ///
    /// # Errors
    ///
    /// Fails when a launcher of this kind, or a setting of the same key, variable or flag, is installed already.
    pub fn add_launcher(&mut self, provider: impl LauncherProvider) -> Result<(), ConfigError> {
        self.add_launcher_as(Part::Launcher, provider)
    }

    /// Adds the settings of a store that this build does not contain.
    ///
    /// # Errors
    ///
    /// As [`add_store`](Self::add_store).
    pub fn add_absent_store(&mut self, store: Absent) -> Result<(), ConfigError> {
        self.add_store_as(store.part(), store)
    }

    /// Adds the settings of a launcher that this build does not contain.
    ///
    /// # Errors
    ///
    /// As [`add_launcher`](Self::add_launcher).
    pub fn add_absent_launcher(&mut self, launcher: Absent) -> Result<(), ConfigError> {
        self.add_launcher_as(launcher.part(), launcher)
    }

    fn add_store_as(&mut self, part: Part, provider: impl StoreProvider) -> Result<(), ConfigError> {
        let descriptor = provider.descriptor();
        let is_known = self.stores.iter().any(|known| known.descriptor().kind == descriptor.kind);
        self.register("store", part, &descriptor, is_known)?;
        self.stores.push(Arc::new(provider));
        Ok(())
    }

    fn add_launcher_as(&mut self, part: Part, provider: impl LauncherProvider) -> Result<(), ConfigError> {
        let descriptor = provider.descriptor();
        let is_known = self.launchers.iter().any(|known| known.descriptor().kind == descriptor.kind);
        self.register("launcher", part, &descriptor, is_known)?;
        self.launchers.push(Arc::new(provider));
        Ok(())
    }

    fn register(
        &mut self,
        what: &str,
        part: Part,
        descriptor: &ProviderDescriptor,
        is_known: bool,
    ) -> Result<(), ConfigError> {
        let ProviderDescriptor { kind, settings, selector, .. } = descriptor;
        if is_known {
            return Err(ConfigError::new(format!("{what} \"{kind}\" is installed twice")));
        }
        if let Some(key) = selector.filter(|_| descriptor.selector().is_none()) {
            return Err(ConfigError::new(format!(
                "{what} \"{kind}\" has no setting \"{key}\" to choose it by"
            )));
        }
        for setting in *settings {
            let listed = ListedSetting { part, setting: *setting };
            let is_below = |below: &str, above: &str| {
                below.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
            };
            let collides = |other: &ListedSetting| {
                other.key == listed.key
                    || is_below(other.key, listed.key)
                    || is_below(listed.key, other.key)
                    || (other.variable.is_some() && other.variable == listed.variable)
                    || (other.flag().is_some() && other.flag() == listed.flag())
            };
            if self.settings.iter().any(collides) {
                let name = setting.name();
                return Err(ConfigError::new(format!("setting {name} of {what} \"{kind}\" exists already")));
            }
            self.settings.push(listed);
        }
        Ok(())
    }

    /// Returns the table of settings.
    #[must_use]
    pub fn settings(&self) -> &[ListedSetting] {
        &self.settings
    }

    /// Returns the installed stores, and those that this build does not contain.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<dyn StoreProvider>> {
        self.stores.iter()
    }

    /// Returns the installed launchers, and those that this build does not contain.
    pub fn launchers(&self) -> impl Iterator<Item = &Arc<dyn LauncherProvider>> {
        self.launchers.iter()
    }

    /// Returns the descriptors of the stores in this build, by kind.
    #[must_use]
    pub fn present_stores(&self) -> Vec<ProviderDescriptor> {
        self.present(self.stores.iter().map(|store| store.descriptor()))
    }

    /// Returns the descriptors of the launchers in this build, by kind.
    #[must_use]
    pub fn present_launchers(&self) -> Vec<ProviderDescriptor> {
        self.present(self.launchers.iter().map(|launcher| launcher.descriptor()))
    }

    /// Returns a launcher by its kind.
    #[must_use]
    pub fn launcher(&self, kind: &str) -> Option<&Arc<dyn LauncherProvider>> {
        self.launchers.iter().find(|launcher| launcher.descriptor().kind == kind)
    }

    fn present(&self, all: impl Iterator<Item = ProviderDescriptor>) -> Vec<ProviderDescriptor> {
        let is_absent = |descriptor: &ProviderDescriptor| {
            let listed = |setting: &Setting| self.settings.iter().find(|listed| listed.key == setting.key);
            let mut listed = descriptor.settings.iter().filter_map(listed);
            listed.any(|listed| matches!(listed.part, Part::Absent(..)))
        };
        let mut present: Vec<_> = all.filter(|descriptor| !is_absent(descriptor)).collect();
        present.sort_by_key(|descriptor| descriptor.kind);
        present
    }
}

/// A store or launcher that this build does not contain: setting one of its settings is an error with the remedy.
#[derive(Debug, Clone, Copy)]
pub struct Absent {
    /// The kind.
    pub kind: &'static str,
    /// Its name in messages: `S3 store`.
    pub what: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    /// Its settings, of which the first one chooses it.
    pub settings: &'static [Setting],
}

impl Absent {
    fn part(&self) -> Part {
        Part::Absent(self.what, self.remedy)
    }

    fn describe(&self) -> ProviderDescriptor {
        ProviderDescriptor::new(self.kind, self.what, self.settings).chosen_by(&self.settings[0])
    }

    fn message(&self) -> String {
        format!("this build has no {}; {}", self.what, self.remedy)
    }
}

#[async_trait]
impl StoreProvider for Absent {
    fn descriptor(&self) -> ProviderDescriptor {
        self.describe()
    }

    async fn open(&self, _: &StoreSetup<'_>, _: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        Err(StoreError::fault(FaultKind::Config, self.message()))
    }
}

#[async_trait]
impl LauncherProvider for Absent {
    fn descriptor(&self) -> ProviderDescriptor {
        self.describe()
    }

    fn check(&self, _: &SettingValues) -> Result<(), SettingError> {
        Err(SettingError::new(format!("ECSS_LAUNCHER is \"{}\", but {}", self.kind, self.message())))
    }

    async fn open(&self, _: &LauncherSetup<'_>) -> Result<Arc<dyn Launcher>, LaunchError> {
        Err(LaunchError::new(FaultKind::Config, self.message()))
    }
}
