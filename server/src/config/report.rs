//! The effective configuration, for `config check`: each setting with its value and its source. Secrets stay hidden.

use serde::Serialize;

use super::setting::{LAUNCHER, ListedSetting, Part};
use super::values::{ValueSource, Values};

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingRow {
    /// Its environment variable, or its key if it has none.
    pub name: &'static str,
    /// Its value, `(hidden)` for a secret, or the default.
    pub value: String,
    /// The source of the value.
    pub origin: String,
}

/// Lists the settings of this build, and those of absent parts that are set.
#[must_use]
pub fn effective(values: &Values) -> Vec<SettingRow> {
    values.providers().settings().iter().filter_map(|setting| row(setting, values)).collect()
}

fn row(setting: &ListedSetting, values: &Values) -> Option<SettingRow> {
    let name = setting.name();
    match (values.get(setting), setting.part) {
        (None, Part::Absent(..)) => None,
        (None, _) => {
            let is_launcher = setting.key == LAUNCHER.key;
            let value = if is_launcher { String::new() } else { setting.default.to_string() };
            Some(SettingRow { name, value, origin: ValueSource::Default.to_string() })
        }
        (Some(value), _) => {
            let text = if setting.secret { "(hidden)".to_owned() } else { without_logins(&value.text) };
            Some(SettingRow { name, value: text, origin: value.origin.to_string() })
        }
    }
}

/// Hides user and password in each URL of a comma list.
pub(crate) fn without_logins(text: &str) -> String {
    let part = |part: &str| {
        let (scheme, rest) =
            part.split_once("://").map_or(("", part), |(scheme, rest)| (&part[..scheme.len() + 3], rest));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority.rfind('@') {
            Some(at) if !scheme.is_empty() || authority[..at].contains(':') => {
                format!("{scheme}(hidden)@{}", &rest[at + 1..])
            }
            _ => part.to_owned(),
        }
    };
    text.split(',').map(part).collect::<Vec<_>>().join(",")
}
