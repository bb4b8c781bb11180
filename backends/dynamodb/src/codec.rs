//! Encoding and decoding of attributes. A damaged attribute is reported with its item and the remedy.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::store::encoding::to_json;
use ecs_scheduler_core::{FaultKind, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The attributes of one item.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The name and value of one attribute to write.
pub(crate) type Attribute = (&'static str, AttributeValue);

/// Encodes a text.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Encodes a whole number.
pub(crate) fn number(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Encodes a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    to_json(value).map(AttributeValue::S)
}

/// Estimates how many bytes DynamoDB counts for a value.
pub(crate) fn size(value: &AttributeValue) -> usize {
    value.as_s().or_else(|value| value.as_n()).map_or(1, String::len)
}

/// Reads the attributes of one item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemReader<'a> {
    item: &'a Attributes,
    table: &'a str,
}

impl<'a> ItemReader<'a> {
    /// Makes a reader of an item of this table.
    pub(crate) fn new(table: &'a str, item: &'a Attributes) -> Self {
        Self { item, table }
    }

    /// Returns a text, or `None` when the attribute is absent.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, StoreError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.corrupt(name, "is not a string")),
        }
    }

    /// Returns a text.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.optional_text(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Returns a number, or `None` when the attribute is absent.
    pub(crate) fn optional_number<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map(Some).map_err(|_| self.corrupt(name, "is a number out of range"))
            }
            Some(_) => Err(self.corrupt(name, "is not a number")),
        }
    }

    /// Returns a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.optional_number(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Parses a text, or returns `None` when the attribute is absent.
    pub(crate) fn optional_parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let text = self.optional_text(name)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(name, "is not valid"))).transpose()
    }

    /// Parses a text.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.optional_parsed(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Decodes JSON, or returns `None` when the attribute is absent.
    pub(crate) fn optional_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| {
            let message = self.message(name, "is not valid JSON");
            StoreError::with_source(FaultKind::Config, message, error)
        })
    }

    /// Decodes JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        self.optional_json(name)?.ok_or_else(|| self.corrupt(name, "is missing"))
    }

    /// Returns the error for a damaged attribute.
    pub(crate) fn corrupt(&self, name: &str, problem: &str) -> StoreError {
        StoreError::fault(FaultKind::Config, self.message(name, problem))
    }

    fn message(&self, name: &str, problem: &str) -> String {
        let key_part = |name| match self.item.get(name) {
            Some(AttributeValue::S(text)) => text.as_str(),
            _ => "",
        };
        format!(
            "could not read item \"{}\" \"{}\" of table \"{}\": attribute \"{name}\" {problem}; another program or a \
             newer version wrote it: restore the table from a backup, or use the newer version",
            key_part("pk"),
            key_part("sk"),
            self.table
        )
    }
}
