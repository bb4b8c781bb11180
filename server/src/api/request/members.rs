//! The members of a JSON object in a body, read one by one, so that an answer names every wrong one.

use std::num::NonZeroU32;

use ecs_scheduler_core::job::{DATETIME_FORMS, FieldError, NOT_A_DATETIME};
use ecs_scheduler_core::{Timestamp, text};
use serde_json::{Map, Value};

use super::json_body::{top_level, unknown_members};
use super::query::moment;

/// Reads members of a body, and collects the wrong ones. A member that is null counts as absent.
pub(in crate::api) struct Members<'b> {
    body: &'b Map<String, Value>,
    wrong: Vec<FieldError>,
}

impl<'b> Members<'b> {
    /// Begins with the members that the operation does not know.
    pub(in crate::api) fn new(body: &'b Map<String, Value>, known: &[&str]) -> Self {
        Self { body, wrong: unknown_members(body, known) }
    }

    /// Returns the wrong members.
    pub(in crate::api) fn into_wrong(self) -> Vec<FieldError> {
        self.wrong
    }

    /// Adds a wrong member.
    pub(in crate::api) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.wrong.push(top_level(name, message.into()));
    }

    fn given(&self, name: &str) -> Option<&'b Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// Reads a moment.
    pub(in crate::api) fn moment(&mut self, name: &str) -> Option<Timestamp> {
        let found = self.given(name)?.as_str().and_then(moment);
        if found.is_none() {
            self.refuse(name, format!("{NOT_A_DATETIME} {DATETIME_FORMS}"));
        }
        found
    }

    /// Reads a moment that must be there.
    pub(in crate::api) fn required_moment(&mut self, name: &str) -> Option<Timestamp> {
        if self.given(name).is_none() {
            self.refuse(name, "Missing data for required field.");
        }
        self.moment(name)
    }

    /// Reads a whole number from 1 to `most`.
    pub(in crate::api) fn number(&mut self, name: &str, most: u32) -> Option<NonZeroU32> {
        let number = self.given(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number <= most).and_then(NonZeroU32::new);
        if number.is_none() {
            self.refuse(name, format!("Must be a whole number between 1 and {most}."));
        }
        number
    }

    /// Reads a text of at most `most` characters; one of blanks counts as absent.
    pub(in crate::api) fn text(&mut self, name: &str, most: usize) -> Option<String> {
        let Some(text) = self.given(name)?.as_str() else {
            self.refuse(name, "Not a valid string.");
            return None;
        };
        if text.chars().nth(most).is_some() {
            self.refuse(name, format!("Longer than maximum length {most}."));
        } else if let Some(refusal) = text::refusal(text) {
            self.refuse(name, refusal);
        }
        Some(text.to_owned()).filter(|text| !text.trim().is_empty())
    }

    /// Reads a list.
    pub(in crate::api) fn list(&mut self, name: &str) -> Option<Vec<Value>> {
        let list = self.given(name)?.as_array().cloned();
        if list.is_none() {
            self.refuse(name, "Not a valid list.");
        }
        list
    }

    /// Reads a switch that is off if it is absent.
    pub(in crate::api) fn switch(&mut self, name: &str) -> bool {
        let Some(given) = self.given(name) else { return false };
        given.as_bool().unwrap_or_else(|| {
            self.refuse(name, "Not a valid boolean.");
            false
        })
    }
}
