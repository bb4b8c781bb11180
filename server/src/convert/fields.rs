//! The fields of an object. Each conversion step removes the fields that it reads; the rest is reported at the end. A field of an
//! unexpected shape is not removed, so it is reported too.

use serde_json::{Map, Value};

use super::converted::Remarks;

/// An object of which fields are taken.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Makes the fields of a whole document; a value that is not an object has none.
    pub(super) fn root(value: Value) -> Self {
        Self::at(String::new(), value)
    }

    /// Makes the fields of a value at a path.
    pub(super) fn at(path: impl Into<String>, value: Value) -> Self {
        let map = match value {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        Self { path: path.into(), map }
    }

    /// Returns the path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field; null is not there.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field of the right shape; another one stays.
    fn take_if(&mut self, name: &str, fits: impl FnOnce(&Value) -> bool) -> Option<Value> {
        self.map.get(name).is_some_and(fits).then(|| self.map.remove(name)).flatten()
    }

    /// Takes an object; without one, it has no fields.
    pub(super) fn object(&mut self, name: &str) -> Self {
        Self { path: self.path(name), map: self.map(name) }
    }

    /// Takes an object as it is.
    pub(super) fn map(&mut self, name: &str) -> Map<String, Value> {
        match self.take_if(name, Value::is_object) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Takes a list; without one, it is empty.
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take_if(name, Value::is_array) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    /// Takes a list of objects; each other element gives a remark.
    pub(super) fn objects(&mut self, name: &str, remarks: &mut Remarks) -> Vec<Self> {
        let path = self.path(name);
        let mut objects = Vec::new();
        for (number, item) in self.list(name).into_iter().enumerate() {
            let path = format!("{path}[{number}]");
            if item.is_object() {
                objects.push(Self::at(path, item));
            } else {
                remarks.lost(path, format!("{}: {ODD_SHAPE}", excerpt(&item)));
            }
        }
        objects
    }

    /// Takes a text that is not empty; a number or a boolean is one too.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.plain(name).filter(|text| !text.is_empty())
    }

    /// Takes a text, also an empty one.
    pub(super) fn plain(&mut self, name: &str) -> Option<String> {
        text(&self.take_if(name, |value| text(value).is_some())?)
    }

    /// Takes a number, which may be written as text. Another value gives a remark.
    pub(super) fn number(&mut self, name: &str, remarks: &mut Remarks) -> Option<f64> {
        let written = self.text(name)?;
        let number = written.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            remarks.lost(self.path(name), format!("\"{written}\" is not a number"));
        }
        number
    }

    /// Takes a whole number that is not negative.
    pub(super) fn count(&mut self, name: &str, remarks: &mut Remarks) -> Option<u64> {
        let number = self.number(name, remarks)?;
        let count = whole(number);
        if count.is_none() {
            remarks.lost(self.path(name), format!("{number} is not an integer of at least 0"));
        }
        count
    }

    /// Takes a whole number of at least `least`; another value gives a remark, and the default is used.
    pub(super) fn count_or(&mut self, name: &str, least: u64, default: u64, remarks: &mut Remarks) -> u64 {
        let Some(written) = self.text(name) else { return default };
        let count = written.trim().parse().ok().and_then(whole).filter(|count| *count >= least);
        count.unwrap_or_else(|| {
            let text = format!("{written} is not an integer of at least {least}: {default} is used");
            remarks.changed(self.path(name), text);
            default
        })
    }

    /// Takes a boolean, which may be written as text. Another value gives a remark.
    pub(super) fn flag(&mut self, name: &str, remarks: &mut Remarks) -> Option<bool> {
        let written = self.text(name)?;
        let flag = written.to_ascii_lowercase().parse().ok();
        if flag.is_none() {
            remarks.lost(self.path(name), format!("\"{written}\" is neither true nor false"));
        }
        flag
    }

    /// Returns the names of the remaining fields.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    /// Drops fields that do not matter to a scheduler.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Adds a remark about a field, if the field exists.
    pub(super) fn report_lost(&mut self, name: &str, why: &str, remarks: &mut Remarks) {
        if let Some(value) = self.take(name) {
            remarks.lost(self.path(name), format!("{}: {why}", excerpt(&value)));
        }
    }

    /// Adds a remark about each remaining field.
    pub(super) fn report_unread(self, why: &str, remarks: &mut Remarks) {
        for (name, value) in &self.map {
            if !value.is_null() && !is_empty(value) {
                remarks.lost(self.path(name), why);
            }
        }
    }
}

/// The reason for a field that no conversion reads.
pub(super) const UNKNOWN_FIELD: &str = "unknown to this import";

/// The reason for a value of an undocumented shape.
pub(super) const ODD_SHAPE: &str = "its shape is not the documented one";

fn whole(number: f64) -> Option<u64> {
    format!("{number:.0}").parse().ok().filter(|_| number.fract() == 0.0)
}

/// The beginning of a value, for a remark.
pub(super) fn excerpt(value: &Value) -> String {
    text(value).unwrap_or_else(|| value.to_string()).chars().take(60).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}
