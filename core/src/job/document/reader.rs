//! Reads a document: its fields, how strictly to read them, and the errors so far.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::JobContext;
use super::characters;
use super::earlier::{self, EARLIER_SCHEDULES, Earlier};
use super::scalar::{collect_error, text};
use crate::job::JobId;
use crate::job::field_error::{FieldError, FieldPath, unknown_field};
use crate::schedule::Strictness;

/// Read-only fields that the API adds to a job; accepted and ignored, so that a job from `GET` can be sent in a `PUT`.
/// `parsedSchedule` comes from the Python version.
pub(super) const READ_ONLY: [&str; 16] = [
    EARLIER_SCHEDULES,
    "lastRun",
    "lastRunTasks",
    "estimatedNextRun",
    "link",
    "revision",
    "created",
    "changed",
    "invalid",
    "retrying",
    "failing",
    "failingTasks",
    "breakerState",
    "state",
    "settledUntil",
    "parsedSchedule",
];

/// All fields of a job document.
const FIELDS: [&str; 28] = [
    "breaker",
    "catchUp",
    "cooldown",
    "description",
    "history",
    "jitter",
    "labels",
    "launch",
    "maxCount",
    "mode",
    "notify",
    "onError",
    "overlap",
    "overrides",
    "retry",
    "schedule",
    "scheduleEnd",
    "scheduleStart",
    "settle",
    "startTimeout",
    "succeedsBy",
    "suspended",
    "suspension",
    "taskCount",
    "taskDefinition",
    "timeout",
    "timezone",
    "trigger",
];

/// The maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 1_024;
/// The maximum number of labels.
const MAX_LABELS: usize = 64;
/// The maximum length of a label's name and of its value, in characters: those of an ECS tag.
const MAX_LABEL: (usize, usize) = (128, 256);

/// Tells why no job can have all of these labels, if so: the name of the label, or nothing for all together, and the reason.
#[must_use]
pub fn impossible_labels(labels: &BTreeMap<String, String>) -> Option<(&str, String)> {
    if labels.len() > MAX_LABELS {
        return Some(("", format!("A job has at most {MAX_LABELS} labels.")));
    }
    labels.iter().find_map(|(name, value)| Some((name.as_str(), wrong_label(name, value)?)))
}

fn wrong_label(name: &str, value: &str) -> Option<String> {
    let ((name_most, value_most), length) = (MAX_LABEL, name.chars().count());
    if !(1..=name_most).contains(&length) {
        return Some(format!("The name of a label has 1 to {name_most} characters."));
    }
    if value.chars().nth(value_most).is_some() {
        return Some(format!("Longer than maximum length {value_most}."));
    }
    crate::text::refusal(name).or_else(|| crate::text::refusal(value))
}

/// A document that is being read.
pub(super) struct Reader<'a> {
    pub(super) cx: &'a JobContext<'a>,
    pub(super) errors: Vec<FieldError>,
    fields: &'a Map<String, Value>,
    existing: Option<&'a Map<String, Value>>,
    canonical: Option<&'a mut Map<String, Value>>,
}

impl<'a> Reader<'a> {
    /// Makes a reader. Fields equal to those of `existing` are read as leniently as stored ones; fields in another than the
    /// canonical form are rewritten in `canonical`.
    pub(super) fn new(
        cx: &'a JobContext<'a>,
        fields: &'a Map<String, Value>,
        existing: Option<&'a Map<String, Value>>,
        canonical: Option<&'a mut Map<String, Value>>,
    ) -> Self {
        Self { cx, errors: Vec::new(), fields, existing, canonical }
    }

    /// Returns a field; a `null` from a store is no field.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null() || self.is_strict(name))
    }

    /// Tells whether a field is read strictly: a client writes it now, and it differs from the stored one.
    pub(super) fn is_strict(&self, name: &str) -> bool {
        self.cx.strictness == Strictness::Strict && self.is_changed(name)
    }

    /// Tells whether a field differs from the stored one; always when nothing is stored.
    pub(super) fn is_changed(&self, name: &str) -> bool {
        self.existing.is_none_or(|existing| existing.get(name) != self.fields.get(name))
    }

    /// Tells whether a stored field is missing from the document.
    pub(super) fn was_removed(&self, name: &str) -> bool {
        !self.fields.contains_key(name) && self.existing.is_some_and(|existing| existing.contains_key(name))
    }

    /// Reads the schedules of earlier versions.
    pub(super) fn earlier(&self, id: &JobId) -> Result<Vec<Earlier>, Vec<FieldError>> {
        earlier::read(id, self.fields, self.cx)
    }

    /// Reads an optional field, and collects its error.
    pub(super) fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a Value, &FieldPath<'_>) -> Result<T, FieldError>,
    ) -> Option<T> {
        let value = self.get(name)?;
        collect_error(read(value, &FieldPath::field(name)), &mut self.errors)
    }

    /// Rewrites a field in its canonical form.
    pub(super) fn rewrite(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        if let Some(canonical) = &mut self.canonical {
            change(canonical.entry(name).or_insert(Value::Null));
        }
    }

    /// Rewrites a number within a field; `pointer` is its JSON pointer there.
    pub(super) fn rewrite_number(&mut self, name: &str, pointer: &str, number: impl Into<Value>) {
        self.rewrite(name, |value| {
            if let Some(written) = value.pointer_mut(pointer) {
                *written = number.into();
            }
        });
    }

    /// Removes a field from the canonical document.
    pub(super) fn drop_field(&mut self, name: &str) {
        if let Some(canonical) = &mut self.canonical {
            canonical.remove(name);
        }
    }

    /// Rejects unknown and unsupported fields.
    pub(super) fn check_names(&mut self) {
        if self.cx.strictness == Strictness::Lenient {
            return;
        }
        for name in self.fields.keys().map(String::as_str) {
            if FIELDS.contains(&name) || !self.is_strict(name) {
                continue;
            }
            self.errors.push(FieldPath::field(name).error(unknown_field(name, &FIELDS)));
        }
    }

    /// Rejects control characters and marks of direction in fields that are read strictly.
    pub(super) fn check_characters(&mut self) {
        const OVERRIDES: &str = "overrides";
        for (name, value) in self.fields {
            if !FIELDS.contains(&name.as_str()) || !self.is_strict(name) {
                continue;
            }
            let check = if name == OVERRIDES { characters::check_overrides } else { characters::check };
            check(value, &FieldPath::field(name), &mut self.errors);
        }
    }

    /// Checks `description`, which the scheduler only stores, and reads `labels`.
    pub(super) fn metadata(&mut self) -> BTreeMap<String, String> {
        const LABELS: &str = "labels";
        self.field("description", |value, path| text(value, path, MAX_DESCRIPTION));
        let mut read = BTreeMap::new();
        let Some(value) = self.get(LABELS) else { return read };
        let path = FieldPath::field(LABELS);
        let Value::Object(labels) = value else {
            let message = if value.is_null() { super::scalar::NULL } else { "Not a valid mapping type." };
            self.errors.push(path.error(message));
            return read;
        };
        if labels.len() > MAX_LABELS {
            self.errors.push(path.error_of_whole(format!("At most {MAX_LABELS} labels.")));
        }
        for (name, value) in labels {
            let path = path.key(name);
            let fine = (1..=MAX_LABEL.0).contains(&name.chars().count());
            if !fine {
                let message = format!("The name of a label has 1 to {} characters.", MAX_LABEL.0);
                self.errors.push(path.error(message));
            }
            let value = collect_error(text(value, &path, MAX_LABEL.1), &mut self.errors);
            read.extend(value.map(|value| (name.clone(), value.to_owned())));
        }
        read
    }
}
