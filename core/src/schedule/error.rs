//! Errors of schedules.

use std::fmt;

/// The kind of a schedule error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScheduleErrorKind {
    /// An expression does not follow its grammar, or there is none, or it is too long.
    Syntax,
    /// The time zone is not in the IANA database.
    TimeZone,
    /// The text is valid, but no tick follows.
    NeverFires,
}

/// The error of a rejected schedule, with its place.
///
/// `Display` is the message alone. For the eight fields it is, word for word, that of the Python
/// version without its prefix `Invalid schedule syntax: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: ScheduleErrorKind,
    message: String,
    field: Option<&'static str>,
    entry: usize,
    position: Option<usize>,
    allowed: Option<&'static str>,
    nearest: Option<String>,
    hint: Option<String>,
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ScheduleError {
    pub(super) fn new(kind: ScheduleErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            field: None,
            entry: 0,
            position: None,
            allowed: None,
            nearest: None,
            hint: None,
        }))
    }

    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::new(ScheduleErrorKind::Syntax, message)
    }

    pub(super) fn time_zone(name: &str, nearest: Option<String>) -> Self {
        let mut error = Self::new(ScheduleErrorKind::TimeZone, format!("Invalid timezone format: {name}"));
        error.0.allowed = Some("a name of the IANA time zone database, such as Europe/Berlin");
        error.0.nearest = nearest;
        error
    }

    pub(super) fn in_field(mut self, field: &'static str, allowed: &'static str) -> Self {
        self.0.field = Some(field);
        self.0.allowed = Some(allowed);
        self
    }

    pub(super) fn allowing(mut self, allowed: &'static str) -> Self {
        self.0.allowed = Some(allowed);
        self
    }

    pub(super) fn hinting(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    pub(super) fn at_position(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    pub(super) fn in_entry(mut self, entry: usize) -> Self {
        self.0.entry = entry;
        self
    }

    /// The kind of error.
    pub fn kind(&self) -> ScheduleErrorKind {
        self.0.kind
    }

    /// The name of the invalid field, such as `day_of_week`, if a single field is invalid.
    pub fn field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// The index of the invalid expression in the array; 0 for a single string.
    pub fn entry(&self) -> usize {
        self.0.entry
    }

    /// The position of the invalid word in its expression, counted in characters from 0.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// The values allowed there.
    pub fn allowed(&self) -> Option<&'static str> {
        self.0.allowed
    }

    /// The name that was probably meant, for an unknown time zone.
    pub fn nearest(&self) -> Option<&str> {
        self.0.nearest.as_deref()
    }

    /// The message, followed by the hint or by the time zone that was probably meant.
    pub fn explained(&self) -> String {
        match (self.hint(), self.nearest()) {
            (Some(hint), _) => format!("{self}; {hint}"),
            (None, Some(zone)) => format!("{self} (did you mean {zone}?)"),
            (None, None) => self.to_string(),
        }
    }

    /// A hint for texts that look like another scheduler's syntax: a sentence that can follow the message.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}
