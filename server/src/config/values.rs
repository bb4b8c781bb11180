//! Raw values of the settings from flags, environment and file, each with its source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{ProviderDescriptor, SettingDefault, SettingValues};

use super::nearest::nearest;
use super::providers::Providers;
use super::setting::{CONFIG_FILE, DATA_DIR, ListedSetting, NOTIFY, STORE, Setting};
use super::{file, format};
use crate::notify;

/// The source of a value; a later one in this list wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// The default: the setting is not set.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This environment variable.
    Environment(&'static str),
    /// This flag.
    Flag(String),
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}

/// A set value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its text, expanded.
    pub text: String,
    /// The source of the value.
    pub origin: ValueSource,
}

/// The settings given as flags, by key.
pub type Flags = BTreeMap<&'static str, String>;

/// The process's environment variables that are text.
pub type Environment = BTreeMap<String, String>;

/// All set values, before they are resolved.
#[derive(Debug, Clone)]
pub struct Values {
    providers: Arc<Providers>,
    found: BTreeMap<&'static str, Value>,
    /// Warnings: variables that look like settings but are unknown.
    pub warnings: Vec<String>,
    /// A line for each variable that a channel of notifications needs and that is not set. Commands that send none do not need it.
    pub(super) unset: Vec<String>,
}

/// Reads the environment of this process.
///
/// # Errors
///
/// Fails with one line for each variable that begins with `ECSS_` and is not UTF-8. Other such variables are left out.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn environment() -> Result<Environment, Vec<String>> {
    decode_environment(std::env::vars_os())
}

pub(super) fn decode_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Environment, Vec<String>> {
    let (mut environment, mut problems) = (Environment::new(), Vec::new());
    for (name, value) in variables {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => drop(environment.insert(name, value)),
            (Ok(name), Err(_)) if name.starts_with("ECSS_") => problems.push(format!("{name} is not UTF-8")),
            (Err(name), _) if name.as_encoded_bytes().starts_with(b"ECSS_") => {
                problems.push(format!("the name of the variable {} is not UTF-8", name.display()));
            }
            (Ok(_) | Err(_), _) => {}
        }
    }
    if problems.is_empty() { Ok(environment) } else { Err(problems) }
}

impl Values {
    /// Collects the set values: a flag wins over the environment, the environment over the file. An empty value counts
    /// as not set.
    ///
    /// # Errors
    ///
    /// Fails with one line for each variable that cannot be expanded and each invalid key of the file.
    pub fn gather(
        providers: &Arc<Providers>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, Vec<String>> {
        let settings = providers.settings();
        let warnings = unknown_variables(settings, environment);
        let mut values =
            Self { providers: Arc::clone(providers), found: BTreeMap::new(), warnings, unset: Vec::new() };
        let mut problems = Vec::new();
        for setting in settings {
            match from_environment(setting, environment) {
                Ok(Some(value)) => drop(values.found.insert(setting.key, value)),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
            if let (Some(text), Some(flag)) = (flags.get(setting.key), setting.flag()) {
                values.put(setting, Value { text: text.clone(), origin: ValueSource::Flag(flag) });
            }
        }
        if let Some(path) = values.get(&CONFIG_FILE).map(|value| PathBuf::from(&value.text)) {
            match file::read(&path, settings) {
                Ok(mut entries) => {
                    values.unset = insert_variables(&mut entries, environment);
                    values.add_file(&path, entries);
                }
                Err(mut wrong) => problems.append(&mut wrong),
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }

    /// Returns the installed stores and launchers.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Returns what was set.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> Option<&Value> {
        self.found.get(setting.key)
    }

    /// Returns these values with another choice of a store: replaces the settings that choose a store by these, and
    /// removes settings of other stores. Other settings of the chosen store stay.
    #[must_use]
    pub fn choosing_store(&self, settings: &[(&'static str, String)]) -> Self {
        let mut values = self.clone();
        let chosen = settings.first().map(|(key, _)| *key);
        for provider in self.providers.stores() {
            let descriptor = provider.descriptor();
            let is_chosen = descriptor.settings.iter().any(|setting| Some(setting.key) == chosen);
            for setting in descriptor.settings {
                if !is_chosen || Some(setting.key) == descriptor.selector {
                    values.found.remove(setting.key);
                }
            }
        }
        values.found.remove(STORE.key);
        for (key, text) in settings {
            values.found.remove(key);
            if !text.is_empty() {
                let origin = ValueSource::Flag("from or --to".to_owned());
                values.found.insert(key, Value { text: text.clone(), origin });
            }
        }
        values
    }

    /// Returns the set value, else the default; empty if there is none.
    #[must_use]
    pub fn text_or_default(&self, setting: &Setting) -> &str {
        match (self.get(setting), setting.default) {
            (Some(value), _) => &value.text,
            (None, SettingDefault::Value(text)) => text,
            (None, SettingDefault::InDataDir(_) | SettingDefault::Absent(_)) => "",
        }
    }

    /// Returns the values of a provider's settings, with defaults filled in.
    #[must_use]
    pub(super) fn of_provider(&self, descriptor: &ProviderDescriptor) -> SettingValues {
        let data_dir = self.text_or_default(&DATA_DIR);
        descriptor.settings.iter().fold(SettingValues::default(), |values, setting| {
            if let (None, SettingDefault::InDataDir(name)) = (self.get(setting), setting.default) {
                return values.with(setting, Path::new(data_dir).join(name).display().to_string());
            }
            values.with(setting, self.text_or_default(setting))
        })
    }

    /// Returns those of these values whose setting fits.
    #[must_use]
    pub(super) fn keeping(&self, fits: impl Fn(&ListedSetting) -> bool) -> Self {
        let mut values = self.clone();
        for setting in self.providers.settings().iter().filter(|setting| !fits(setting)) {
            values.found.remove(setting.key);
        }
        values
    }

    /// Sets a value as if it were the default.
    pub(super) fn set(&mut self, setting: &Setting, text: &str) {
        self.put(setting, Value { text: text.to_owned(), origin: ValueSource::Default });
    }

    fn add_file(&mut self, path: &Path, entries: Vec<(Setting, String)>) {
        for (setting, text) in entries {
            if !self.found.contains_key(setting.key) {
                self.put(&setting, Value { text, origin: ValueSource::File(path.to_owned()) });
            }
        }
    }

    fn put(&mut self, setting: &Setting, value: Value) {
        if !value.text.is_empty() {
            self.found.insert(setting.key, value);
        }
    }
}

/// Replaces references to environment variables in the values of a file: only channels of notifications have some. Returns a line for
/// each variable that is not set.
fn insert_variables(entries: &mut [(Setting, String)], environment: &Environment) -> Vec<String> {
    let mut unset = Vec::new();
    for (_, text) in entries.iter_mut().filter(|(setting, _)| setting.key == NOTIFY.key) {
        match notify::insert_variables(text, environment) {
            Ok(inserted) => *text = inserted,
            Err(mut problems) => unset.append(&mut problems),
        }
    }
    unset
}

fn from_environment(setting: &Setting, environment: &Environment) -> Result<Option<Value>, String> {
    let Some(variable) = setting.variable else { return Ok(None) };
    let Some(raw) = environment.get(variable) else { return Ok(None) };
    let text = format::expand(raw, environment).map_err(|error| format!("{variable}: {error}"))?;
    let value = Value { text, origin: ValueSource::Environment(variable) };
    Ok((!value.text.is_empty()).then_some(value))
}

fn unknown_variables(settings: &[ListedSetting], environment: &Environment) -> Vec<String> {
    let known: Vec<&str> = settings.iter().filter_map(|setting| setting.variable).collect();
    let unknown = |name: &&String| name.starts_with("ECSS_") && !known.contains(&name.as_str());
    environment
        .keys()
        .filter(unknown)
        .map(|name| format!("{name} is not a setting{}", nearest(name, known.iter().copied())))
        .collect()
}
