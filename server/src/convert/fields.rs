//! The fields of an object, each taken once; what is left at the end was understood by nobody.

use serde_json::{Map, Value};

use super::Remarks;

/// An object of which fields are taken.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Begins with the root of a document; anything but an object has no fields.
    pub(super) fn root(value: Value) -> Self {
        Self::at(String::new(), value)
    }

    /// Begins at a path.
    pub(super) fn at(path: impl Into<String>, value: Value) -> Self {
        let map = match value {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        Self { path: path.into(), map }
    }

    /// Names the path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field; null is not there.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// Takes an object; without one, it has no fields.
    pub(super) fn object(&mut self, name: &str) -> Self {
        let path = self.path(name);
        Self::at(path, self.take(name).unwrap_or_default())
    }

    /// Takes a list; without one, it is empty.
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    /// Takes a text; a number or a boolean is one too.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        text(&self.take(name)?).filter(|text| !text.is_empty())
    }

    /// Takes a number, which may be written as text. What is none is remarked upon.
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
        let count = format!("{number:.0}").parse().ok().filter(|_| number.fract() == 0.0);
        if count.is_none() {
            remarks.lost(self.path(name), format!("{number} is not a whole number of 0 or more"));
        }
        count
    }

    /// Takes a boolean, which may be written as text.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        Some(self.text(name)?.eq_ignore_ascii_case("true"))
    }

    /// Leaves fields out that mean nothing to a scheduler.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Remarks upon a field, if it is there.
    pub(super) fn lose(&mut self, name: &str, why: &str, remarks: &mut Remarks) {
        if let Some(value) = self.take(name) {
            let shown: String = text(&value).unwrap_or_else(|| value.to_string()).chars().take(60).collect();
            remarks.lost(self.path(name), format!("{shown}: {why}"));
        }
    }

    /// Remarks upon every field that nobody took.
    pub(super) fn end(self, why: &str, remarks: &mut Remarks) {
        for (name, value) in &self.map {
            if !value.is_null() && !is_empty(value) {
                remarks.lost(self.path(name), why);
            }
        }
    }
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
