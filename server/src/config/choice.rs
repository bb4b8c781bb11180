//! The choice of a store and of a launcher by the settings.

use std::fmt;
use std::sync::Arc;

use ecs_scheduler_core::{LauncherProvider, ProviderDescriptor, SettingError, SettingValues, StoreProvider};

use super::setting::{LAUNCHER, STORE};
use super::values::Values;

/// The kind of the store that is used if none is chosen.
const DEFAULT_STORE: &str = "sqlite";

/// A provider that was chosen, with the checked values of its settings. Two are equal if kind and values are.
pub struct Chosen<P: ?Sized> {
    /// The kind.
    pub kind: &'static str,
    /// The provider.
    pub provider: Arc<P>,
    /// The values of its settings.
    pub settings: SettingValues,
}

/// The chosen store.
pub type StoreConfig = Chosen<dyn StoreProvider>;

impl StoreConfig {
    /// Tells whether two configurations name the same store, as its provider compares them.
    pub(crate) fn is_same_store(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.provider.descriptor().same_store)(&self.settings, &other.settings)
    }
}

/// The chosen launcher.
pub type LauncherConfig = Chosen<dyn LauncherProvider>;

impl<P: ?Sized> Clone for Chosen<P> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, provider: Arc::clone(&self.provider), settings: self.settings.clone() }
    }
}

impl<P: ?Sized> fmt::Debug for Chosen<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chosen")
            .field("kind", &self.kind)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<P: ?Sized> PartialEq for Chosen<P> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }
}

impl<P: ?Sized> Eq for Chosen<P> {}

/// Chooses the store: by a setting of its own, else by `ECSS_STORE`, else the default one.
///
/// # Errors
///
/// Fails when two are chosen, when the kind is unknown, and when the settings of the store are invalid.
pub(super) fn choose_store(values: &Values) -> Result<StoreConfig, String> {
    let named = values.get(&STORE).map(|value| value.text.as_str());
    let mut chosen: Vec<String> = named
        .filter(|kind| *kind != DEFAULT_STORE)
        .map(|kind| format!("ECSS_STORE={kind}"))
        .into_iter()
        .collect();
    let mut by_setting = None;
    for provider in values.providers().stores() {
        let descriptor = provider.descriptor();
        let Some(selector) = descriptor.selector() else { continue };
        let is_set = values.get(selector).is_some();
        if is_set {
            chosen.push(selector.name().to_owned());
        } else if descriptor.kind == DEFAULT_STORE && named == Some(DEFAULT_STORE) {
            chosen.push(format!("ECSS_STORE={DEFAULT_STORE}"));
        }
        if is_set && descriptor.kind != DEFAULT_STORE {
            by_setting = Some(provider);
        }
    }
    if chosen.len() > 1 {
        return Err(format!("{} each choose a store; keep one of them", chosen.join(" and ")));
    }
    let provider = match by_setting {
        Some(provider) => provider,
        None => {
            refuse_stray_settings(values).map_err(|error| error.message)?;
            store_by_kind(values, named.unwrap_or(DEFAULT_STORE))?
        }
    };
    let (kind, settings) = (provider.descriptor().kind, values.of_provider(&provider.descriptor()));
    provider.check(&settings).map_err(|error| error.message)?;
    Ok(Chosen { kind, provider: Arc::clone(provider), settings })
}

/// Checks stores that are not chosen: a store reports settings that are set without the setting that chooses it.
fn refuse_stray_settings(values: &Values) -> Result<(), SettingError> {
    for provider in values.providers().stores() {
        let descriptor = provider.descriptor();
        let is_set = descriptor.settings.iter().any(|setting| values.get(setting).is_some());
        if descriptor.selector.is_some() && descriptor.kind != DEFAULT_STORE && is_set {
            provider.check(&values.of_provider(&descriptor))?;
        }
    }
    Ok(())
}

/// Finds the store that `ECSS_STORE` names.
fn store_by_kind<'v>(values: &'v Values, kind: &str) -> Result<&'v Arc<dyn StoreProvider>, String> {
    let is_nameable =
        |descriptor: &ProviderDescriptor| descriptor.kind == DEFAULT_STORE || descriptor.selector.is_none();
    let found = values.providers().stores().find(|provider| {
        let descriptor = provider.descriptor();
        descriptor.kind == kind && is_nameable(&descriptor)
    });
    found.ok_or_else(|| {
        let descriptors = values.providers().stores().map(|provider| provider.descriptor());
        let mut kinds: Vec<_> = descriptors.filter(is_nameable).map(|descriptor| descriptor.kind).collect();
        kinds.sort_by_key(|kind| *kind != DEFAULT_STORE);
        let known = listing(&kinds);
        format!("ECSS_STORE is \"{kind}\"; known are {known}; choose another store by its own setting")
    })
}

/// Chooses the launcher: by `ECSS_LAUNCHER`, else by a setting of its own.
///
/// # Errors
///
/// Fails when none is chosen, when the kind is unknown, and when the settings of the launcher are invalid.
pub(super) fn choose_launcher(values: &Values) -> Result<LauncherConfig, String> {
    let providers = values.providers();
    let provider = match values.get(&LAUNCHER).map(|value| value.text.as_str()) {
        Some(kind) => providers.launcher(kind).ok_or_else(|| {
            let present = providers.present_launchers();
            let kinds: Vec<_> = present.iter().map(|descriptor| descriptor.kind).collect();
            format!("ECSS_LAUNCHER is \"{kind}\"; this build has {}", listing(&kinds))
        })?,
        None => {
            let is_selected = |provider: &&Arc<dyn LauncherProvider>| {
                provider.descriptor().selector().is_some_and(|selector| values.get(selector).is_some())
            };
            let selected: Vec<_> = providers.launchers().filter(is_selected).collect();
            match selected.as_slice() {
                [] => return Err(nothing_chosen(values)),
                [only] => *only,
                several => {
                    let selectors = several.iter().filter_map(|provider| provider.descriptor().selector());
                    let names: Vec<_> = selectors.map(|selector| selector.name()).collect();
                    return Err(format!(
                        "{} each choose a launcher; keep one of them, or set ECSS_LAUNCHER",
                        names.join(" and ")
                    ));
                }
            }
        }
    };
    let launcher = launcher_config(provider, values);
    launcher.provider.check(&launcher.settings).map_err(|error| error.message)?;
    Ok(launcher)
}

/// Returns a warning for each set setting of a store or launcher that is not the chosen one.
pub(super) fn without_effect(values: &Values, store: &StoreConfig, launcher: &LauncherConfig) -> Vec<String> {
    let providers = values.providers();
    let stores = providers.stores().map(|provider| ("store", provider.descriptor(), store.kind));
    let launchers = providers.launchers().map(|provider| ("launcher", provider.descriptor(), launcher.kind));
    let others = stores.chain(launchers).filter(|(_, descriptor, chosen)| descriptor.kind != *chosen);
    let set = others.flat_map(|(part, descriptor, chosen)| {
        let set = descriptor.settings.iter().filter(|setting| values.get(setting).is_some());
        set.map(move |setting| {
            let name = setting.name();
            format!(
                "{name} has no effect: it is a setting of the {part} \"{}\", and the {part} is \"{chosen}\"",
                descriptor.kind
            )
        })
    });
    set.collect()
}

/// Returns a launcher with the values of its settings, unchecked.
pub(super) fn launcher_config(provider: &Arc<dyn LauncherProvider>, values: &Values) -> LauncherConfig {
    let descriptor = provider.descriptor();
    let settings = values.of_provider(&descriptor);
    Chosen { kind: descriptor.kind, provider: Arc::clone(provider), settings }
}

fn nothing_chosen(values: &Values) -> String {
    let way = |descriptor: &ProviderDescriptor| {
        let setting = match descriptor.selector() {
            Some(selector) => selector.name().to_owned(),
            None => format!("ECSS_LAUNCHER={}", descriptor.kind),
        };
        format!("{setting} {}", descriptor.purpose).trim_end().to_owned()
    };
    let ways: Vec<String> = values.providers().present_launchers().iter().map(way).collect();
    format!("no launcher is chosen; set {}", ways.join(", or "))
}

/// Joins words by commas, and the last one by "and".
fn listing(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.concat(),
    }
}
