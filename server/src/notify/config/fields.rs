//! Reads the members of an object of the configuration, and collects every problem. Problems have no values: these may be secret.

use serde_json::{Map, Value};

/// The members of an object that have not been read yet.
pub(super) struct Fields<'k> {
    /// The key of the object in the file.
    key: &'k str,
    members: Map<String, Value>,
    problems: Vec<String>,
}

impl<'k> Fields<'k> {
    pub(super) const fn new(key: &'k str, members: Map<String, Value>) -> Self {
        Self { key, members, problems: Vec::new() }
    }

    /// Takes a member; null counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// Adds a problem of a member.
    pub(super) fn refuse(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{}.{name}: {problem}", self.key));
    }

    /// Reads a text that must be there.
    pub(super) fn text<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let read = match self.take(name) {
            Some(Value::String(text)) => parse(&text),
            Some(_) => Err("it must be a text".to_owned()),
            None => Err("it is missing".to_owned()),
        };
        read.map_err(|problem| self.refuse(name, &problem)).ok()
    }

    /// Reads a list of texts; an empty one if it is absent.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let texts = value.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)));
        let texts: Option<Vec<String>> = texts.and_then(Iterator::collect);
        texts.unwrap_or_else(|| {
            self.refuse(name, "it must be a list of texts");
            Vec::new()
        })
    }

    /// Reads an object; an empty one if it is absent.
    pub(super) fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.refuse(name, "it must contain keys with values");
                Map::new()
            }
        }
    }

    /// Ends the reading: the members that were not read are not `known`.
    ///
    /// # Errors
    ///
    /// Fails with every problem.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), Vec<String>> {
        let Self { key, members, mut problems } = self;
        let known = known.join(", ");
        problems.extend(
            members.keys().map(|name| format!("{key} has the unknown key \"{name}\"; known are {known}")),
        );
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
