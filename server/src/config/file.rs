//! The configuration file: YAML whose nested keys are the settings' keys.

use std::path::Path;

use serde_json::Value;

use super::nearest::nearest;
use super::setting::{CONFIG_FILE, ListedSetting, Setting};
use crate::input::read_text;
use crate::yaml;

#[cfg(test)]
mod tests;

/// The setting in which every plain value is a text.
const ALL_TEXTS: &str = "notify";
/// The member of a setting's objects whose plain values are texts: labels.
const SELECTOR: &str = "selector";

/// Reads a configuration file.
///
/// # Errors
///
/// Fails with one line per problem: the file cannot be read or is not YAML, a key is unknown, a value is not plain.
pub(super) fn read(path: &Path, settings: &[ListedSetting]) -> Result<Vec<(Setting, String)>, Vec<String>> {
    let place = path.display();
    let text = read_text(path)
        .map_err(|error| vec![format!("could not read configuration file {place}: {error}")])?;
    parse(&text, settings)
        .map_err(|problems| problems.into_iter().map(|problem| format!("{place}: {problem}")).collect())
}

/// Reads the text of a configuration file.
fn parse(text: &str, settings: &[ListedSetting]) -> Result<Vec<(Setting, String)>, Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let document = yaml::parse(text).map_err(|error| vec![format!("not valid YAML: {error}")])?;
    let mut reader = FileReader { text, settings, entries: Vec::new(), problems: Vec::new() };
    match document {
        Value::Null => {}
        Value::Object(_) => reader.walk("", document),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            reader.problems.push("the file must contain keys with values".to_owned());
        }
    }
    if reader.problems.is_empty() { Ok(reader.entries) } else { Err(reader.problems) }
}

struct FileReader<'s> {
    text: &'s str,
    settings: &'s [ListedSetting],
    entries: Vec<(Setting, String)>,
    problems: Vec<String>,
}

impl FileReader<'_> {
    fn walk(&mut self, key: &str, value: Value) {
        let known = self.settings.iter().find(|setting| setting.key == key && key != CONFIG_FILE.key);
        match (known, value) {
            (Some(setting), value @ Value::Object(_)) if setting.variable.is_none() => {
                match self.typed(key, value) {
                    Ok(text) => self.entries.push((setting.setting, text)),
                    Err(problem) => self.problems.push(problem),
                }
            }
            (Some(setting), value) => match plain(setting, value) {
                Ok(text) => self.entries.push((setting.setting, text)),
                Err(problem) => self.problems.push(problem),
            },
            (None, Value::Object(fields)) if key.is_empty() || self.is_group(key) => {
                for (name, value) in fields {
                    let below = if key.is_empty() { name } else { format!("{key}.{name}") };
                    self.walk(&below, value);
                }
            }
            (None, Value::Null) if self.is_group(key) => {}
            (None, _) if self.is_group(key) => {
                self.problems.push(format!("\"{key}\" must contain keys with values"));
            }
            (None, _) => {
                let keys =
                    self.settings.iter().map(|setting| setting.key).filter(|key| *key != CONFIG_FILE.key);
                self.problems.push(format!("unknown key \"{key}\"{}", nearest(key, keys)));
            }
        }
    }

    /// Makes the JSON of a setting that is an object, with the types of YAML, except where every value is a text.
    fn typed(&self, key: &str, written: Value) -> Result<String, String> {
        if key == ALL_TEXTS {
            return Ok(written.to_string());
        }
        let mut document =
            yaml::parse_typed(self.text).map_err(|error| format!("not valid YAML: {error}"))?;
        let object = document.pointer_mut(&format!("/{}", key.replace('.', "/")));
        let object = object.map(Value::take).unwrap_or_default();
        Ok(with_texts(object, written).to_string())
    }

    fn is_group(&self, key: &str) -> bool {
        let is_below = |below: &str| below.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        self.settings.iter().any(|setting| is_below(setting.key))
    }
}

/// Gives the labels of selectors the texts that they have in the file: `007` is no number, and `on` is not true.
fn with_texts(mut typed: Value, mut written: Value) -> Value {
    for (name, below) in typed.as_object_mut().into_iter().flatten() {
        if let Some(labels) = below.get_mut(SELECTOR) {
            *labels = written[name.as_str()][SELECTOR].take();
        }
    }
    typed
}

/// Makes the text that an environment variable would have. Lists of plain values become comma lists.
fn plain(setting: &Setting, value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(as_switch(setting, &text).unwrap_or(text)),
        Value::Array(items) => {
            let items: Result<Vec<String>, String> =
                items.into_iter().map(|item| plain(setting, item)).collect();
            Ok(items?.join(","))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(format!("\"{}\" must be a plain value", setting.key))
        }
    }
}

/// Returns `on` or `off` for the other words of YAML for a switch: programs write `off` as `false`.
fn as_switch(setting: &Setting, text: &str) -> Option<String> {
    let is_switch = setting.value.split('|').any(|value| value == "off");
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" if is_switch => Some("on".to_owned()),
        "false" | "no" | "off" if is_switch => Some("off".to_owned()),
        _ => None,
    }
}
