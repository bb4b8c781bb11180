//! Settings: their names, defaults and documentation, and the values that an operator gave them.

use std::collections::BTreeMap;
use std::fmt;

/// The value of a setting that is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingDefault {
    /// This value.
    Value(&'static str),
    /// The path of a file or folder of this name in the folder `ECSS_DATA_DIR`.
    InDataDir(&'static str),
    /// No value; holds the words for the reference, such as `none: the bucket itself`.
    Absent(&'static str),
}

/// Writes the default as the reference shows it.
impl fmt::Display for SettingDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) | Self::Absent(text) => f.write_str(text),
            Self::InDataDir(name) => write!(f, "{name} in ECSS_DATA_DIR"),
        }
    }
}

/// The object that the path in a setting leads to. A path to another kind of object is refused before anything starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A folder, which is created if it is missing.
    Folder,
    /// A file, which is created with its folder if it is missing.
    File,
}

/// One setting: an environment variable, a key in the configuration file and, if the variable begins with `ECSS_` and
/// the value is no secret, a flag.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::Setting;
/// const URL: Setting = Setting::new("ACME_QUEUE_URL", "acme.queueUrl", "URL", "The queue of tasks").secret();
/// assert_eq!((URL.name(), URL.key), ("ACME_QUEUE_URL", "acme.queueUrl"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The path in the configuration file, its parts joined by dots: `local.taskDefinitions`.
    pub key: &'static str,
    /// The environment variable; absent for a setting of the file only.
    pub variable: Option<&'static str>,
    /// The default.
    pub default: SettingDefault,
    /// The form of its values: `HOST:PORT`.
    pub value: &'static str,
    /// Whether its value is hidden when the configuration is shown. A secret has no flag.
    pub secret: bool,
    /// The object that its value leads to, if the value is a path.
    pub path: Option<PathKind>,
    /// Whether the Python version had it.
    pub python: bool,
    /// Its meaning, in sentences without a full stop at the end.
    pub help: &'static str,
}

impl Setting {
    /// Makes a setting without a default. `help` is made of sentences, without a full stop at the end.
    #[must_use]
    pub const fn new(
        variable: &'static str,
        key: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        let default = SettingDefault::Absent("none");
        Self { key, variable: Some(variable), default, value, secret: false, path: None, python: false, help }
    }

    /// Adds a default value.
    #[must_use]
    pub const fn with_default(self, value: &'static str) -> Self {
        Self { default: SettingDefault::Value(value), ..self }
    }

    /// Makes the default a file or folder of this name in the folder `ECSS_DATA_DIR`.
    #[must_use]
    pub const fn with_default_in_data_dir(self, name: &'static str) -> Self {
        Self { default: SettingDefault::InDataDir(name), ..self }
    }

    /// Sets the words for the default in the reference, in place of `none`.
    #[must_use]
    pub const fn without_default(self, words: &'static str) -> Self {
        Self { default: SettingDefault::Absent(words), ..self }
    }

    /// Hides the value, and removes the flag.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Marks a value that is the path of such an object, which the program may create. `config check` and the start refuse
    /// a path to another one.
    #[must_use]
    pub const fn with_path(self, kind: PathKind) -> Self {
        Self { path: Some(kind), ..self }
    }

    /// Removes the environment variable and the flag.
    #[must_use]
    pub const fn only_in_file(self) -> Self {
        Self { variable: None, ..self }
    }

    /// Marks a setting that the Python version had.
    #[must_use]
    pub const fn inherited(self) -> Self {
        Self { python: true, ..self }
    }

    /// Returns the name that messages use: the variable, else the key.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.variable.unwrap_or(self.key)
    }

    /// Returns the first sentence of the help.
    #[must_use]
    pub fn brief(&self) -> &'static str {
        let end = self.help.find(['.', ':', ';']).filter(|end| self.help[end + 1..].starts_with(' '));
        &self.help[..end.unwrap_or(self.help.len())]
    }

    /// Reads a value that is `on` or `off`.
    ///
    /// # Errors
    ///
    /// Fails for every other value.
    pub fn parse_switch(&self, text: &str) -> Result<bool, SettingError> {
        match text {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(SettingError::new(format!("{} is \"{other}\"; it must be on or off", self.name()))),
        }
    }
}

/// The value of a setting is invalid or missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingError {
    /// The setting, the problem and the remedy. It does not contain the value of a secret.
    pub message: String,
}

impl SettingError {
    /// Makes an error; `message` begins with the name of the setting: `ACME_QUEUE_URL is not a URL; …`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// The values of a provider's settings, with defaults filled in. `Debug` shows only the keys, because values may be
/// secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SettingValues(BTreeMap<&'static str, String>);

impl fmt::Debug for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SettingValues {
    /// Returns these values with another one; an empty text counts as not set.
    #[must_use]
    pub fn with(mut self, setting: &Setting, text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            self.0.remove(setting.key);
        } else {
            self.0.insert(setting.key, text);
        }
        self
    }

    /// Returns the value of a setting.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> Option<&str> {
        self.0.get(setting.key).map(String::as_str)
    }

    /// Returns the value of a setting that must have one.
    ///
    /// # Errors
    ///
    /// Fails when the setting has no value.
    pub fn require(&self, setting: &Setting) -> Result<&str, SettingError> {
        self.get(setting).ok_or_else(|| SettingError::new(format!("{} is not set", setting.name())))
    }

    /// Returns whether a setting is `on`.
    ///
    /// # Errors
    ///
    /// Fails when the setting has no value, or another one than `on` and `off`.
    pub fn is_on(&self, setting: &Setting) -> Result<bool, SettingError> {
        setting.parse_switch(self.require(setting)?)
    }
}
