//! The document while it is read: what it says, how strictly to take it, and what was wrong so far.

use serde_json::{Map, Value};

use super::JobContext;
use super::characters;
use super::error::{FieldError, Place, unknown_field};
use super::scalar::{note, text};
use crate::job::JobId;
use crate::job::earlier::{self, EARLIER_SCHEDULES, Earlier};
use crate::schedule::Dialect;

/// Fields that the API adds to a job when it shows it; accepted and ignored, so that what was got can be put back.
/// `parsedSchedule` is the Python version's own.
pub(super) const READ_ONLY: [&str; 13] = [
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
    "settledUntil",
    "parsedSchedule",
];

/// All fields of a job document.
const FIELDS: [&str; 25] = [
    "catchUp",
    "cooldown",
    "description",
    "jitter",
    "labels",
    "launch",
    "maxCount",
    "mode",
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

/// Fields that are planned and that this build does not know how to honour.
const NOT_YET: [&str; 3] = ["breaker", "history", "notify"];

/// What is said about them.
pub(super) const UNSUPPORTED: &str = "Not supported by this build.";

/// The most characters of a description.
const MAX_DESCRIPTION: usize = 1_024;
/// The most labels.
const MAX_LABELS: usize = 64;
/// The most characters of a label's name and of its value: those of an ECS tag.
const MAX_LABEL: (usize, usize) = (128, 256);

/// A document while it is read.
pub(super) struct Reader<'a> {
    pub(super) cx: &'a JobContext<'a>,
    pub(super) errors: Vec<FieldError>,
    fields: &'a Map<String, Value>,
    existing: Option<&'a Map<String, Value>>,
    canonical: Option<&'a mut Map<String, Value>>,
}

impl<'a> Reader<'a> {
    /// Begins to read. What equals `existing` is taken as leniently as what comes from a store; what has another form
    /// than it should have is put right in `canonical`.
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

    /// Tells whether a field is to be taken strictly: it is written now, and differs from what is stored.
    pub(super) fn is_strict(&self, name: &str) -> bool {
        self.cx.dialect == Dialect::Written && self.is_changed(name)
    }

    /// Tells whether a field differs from what is stored; when nothing is stored, every field does.
    pub(super) fn is_changed(&self, name: &str) -> bool {
        self.existing.is_none_or(|existing| existing.get(name) != self.fields.get(name))
    }

    /// Tells whether a field is stored and is no more in the document.
    pub(super) fn was_removed(&self, name: &str) -> bool {
        !self.fields.contains_key(name) && self.existing.is_some_and(|existing| existing.contains_key(name))
    }

    /// Reads when earlier versions were looked at.
    pub(super) fn earlier(&self, id: &JobId) -> Result<Vec<Earlier>, Vec<FieldError>> {
        earlier::read(id, self.fields, self.cx)
    }

    /// Reads a field that may be absent, noting what is wrong with it.
    pub(super) fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a Value, &Place<'_>) -> Result<T, FieldError>,
    ) -> Option<T> {
        let value = self.get(name)?;
        note(read(value, &Place::field(name)), &mut self.errors)
    }

    /// Gives a field its canonical form.
    pub(super) fn rewrite(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        if let Some(canonical) = &mut self.canonical {
            change(canonical.entry(name).or_insert(Value::Null));
        }
    }

    /// Leaves a field out of the canonical document.
    pub(super) fn drop_field(&mut self, name: &str) {
        if let Some(canonical) = &mut self.canonical {
            canonical.remove(name);
        }
    }

    /// Refuses names that are not known, and fields that this build does not honour.
    pub(super) fn check_names(&mut self) {
        if self.cx.dialect == Dialect::Stored {
            return;
        }
        for name in self.fields.keys().map(String::as_str) {
            if FIELDS.contains(&name) || !self.is_strict(name) {
                continue;
            }
            let message =
                if NOT_YET.contains(&name) { UNSUPPORTED.to_owned() } else { unknown_field(name, &FIELDS) };
            self.errors.push(Place::field(name).error(message));
        }
    }

    /// Refuses control characters and marks of direction in what is written now.
    pub(super) fn check_characters(&mut self) {
        const OVERRIDES: &str = "overrides";
        for (name, value) in self.fields {
            if !FIELDS.contains(&name.as_str()) || !self.is_strict(name) {
                continue;
            }
            let check = if name == OVERRIDES { characters::check_overrides } else { characters::check };
            check(value, &Place::field(name), &mut self.errors);
        }
    }

    /// Checks what the scheduler only keeps: `description` and `labels`.
    pub(super) fn check_notes(&mut self) {
        const LABELS: &str = "labels";
        self.field("description", |value, place| text(value, place, MAX_DESCRIPTION));
        let Some(value) = self.get(LABELS) else { return };
        let place = Place::field(LABELS);
        let Value::Object(labels) = value else {
            let message = if value.is_null() { super::scalar::NULL } else { "Not a valid mapping type." };
            self.errors.push(place.error(message));
            return;
        };
        if labels.len() > MAX_LABELS {
            self.errors.push(place.error_of_whole(format!("At most {MAX_LABELS} labels.")));
        }
        for (name, value) in labels {
            let place = place.key(name);
            let fine = (1..=MAX_LABEL.0).contains(&name.chars().count());
            if !fine {
                let message = format!("The name of a label has 1 to {} characters.", MAX_LABEL.0);
                self.errors.push(place.error(message));
            }
            note(text(value, &place, MAX_LABEL.1), &mut self.errors);
        }
    }
}
