//! Attributes of items: writing them, and reading them with a message for whoever finds one that is not sound.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{FaultKind, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The attributes of one item.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// One attribute that is to be written.
pub(crate) type Attribute = (&'static str, AttributeValue);

/// Writes a text.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Writes a whole number.
pub(crate) fn number(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Writes a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_json::to_string(value)
        .map(AttributeValue::S)
        .map_err(|error| StoreError::caused(FaultKind::Bug, "could not write a value as JSON", error))
}

/// Returns about how many bytes DynamoDB counts for an attribute.
pub(crate) fn weight(value: &AttributeValue) -> usize {
    value.as_s().or_else(|value| value.as_n()).map_or(1, String::len)
}

/// Reads the attributes of one item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    item: &'a Item,
    table: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads an item of a table.
    pub(crate) fn new(table: &'a str, item: &'a Item) -> Self {
        Self { item, table }
    }

    /// Returns a text that may be absent.
    pub(crate) fn maybe_text(&self, name: &str) -> Result<Option<&'a str>, StoreError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.corrupt(name, "is not a string")),
        }
    }

    /// Returns a text.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.maybe_text(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Returns a number that may be absent.
    pub(crate) fn maybe_number<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map(Some).map_err(|_| self.corrupt(name, "is not a number in its bounds"))
            }
            Some(_) => Err(self.corrupt(name, "is not a number")),
        }
    }

    /// Returns a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.maybe_number(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Returns what a text means that may be absent.
    pub(crate) fn maybe_parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let text = self.maybe_text(name)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(name, "cannot be understood"))).transpose()
    }

    /// Returns what a text means.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.maybe_parsed(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Returns what a text holds as JSON, if it is there.
    pub(crate) fn maybe_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.maybe_text(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| {
            let message = self.message(name, "is not the JSON that it was written as");
            StoreError::caused(FaultKind::Config, message, error)
        })
    }

    /// Returns what a text holds as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        self.maybe_json(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Says that an attribute is not sound.
    pub(crate) fn corrupt(&self, name: &str, problem: &str) -> StoreError {
        StoreError::fault(FaultKind::Config, self.message(name, problem))
    }

    fn message(&self, name: &str, problem: &str) -> String {
        let key = |name| match self.item.get(name) {
            Some(AttributeValue::S(text)) => text.as_str(),
            _ => "",
        };
        format!(
            "could not read item \"{}\" \"{}\" of table \"{}\": attribute \"{name}\" {problem}; another program wrote it, or \
             a newer version: restore the table from a backup, or use the newer version",
            key("pk"),
            key("sk"),
            self.table
        )
    }
}
