//! Encoding and decoding of attributes. A damaged attribute is reported with its item and the remedy.
//!
//! JSON is stored as text. Large JSON is compressed, and stored as bytes: an item has at most 400 KB.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::store::encoding::to_json;
use ecs_scheduler_core::{FaultKind, StoreError};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The maximum size of JSON that is stored as text, in bytes.
const MAX_TEXT: usize = 16_000;

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

/// Encodes bytes.
pub(crate) fn bytes(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// Encodes a value as JSON, which is compressed if it is large.
pub(crate) fn compact_json(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    let json = to_json(value)?;
    Ok(if json.len() > MAX_TEXT { bytes(compress(json.as_bytes())) } else { AttributeValue::S(json) })
}

/// Compresses bytes.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

/// Estimates how many bytes DynamoDB counts for a value.
pub(crate) fn size(value: &AttributeValue) -> usize {
    let text = || value.as_s().or_else(|value| value.as_n()).map_or(1, String::len);
    value.as_b().map_or_else(|_| text(), |bytes| bytes.as_ref().len())
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

    /// Makes a reader of another item of the same table.
    pub(crate) fn sibling<'b>(&self, item: &'b Attributes) -> ItemReader<'b>
    where
        'a: 'b,
    {
        ItemReader { item, table: self.table }
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

    /// Returns bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<&'a [u8], StoreError> {
        match self.item.get(name) {
            Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref()),
            Some(_) => Err(self.corrupt(name, "is not binary")),
            None => Err(self.corrupt(name, "is missing")),
        }
    }

    /// Decodes JSON, which may be compressed, or returns `None` when the attribute is absent.
    pub(crate) fn optional_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        if let Some(AttributeValue::B(bytes)) = self.item.get(name) {
            return self.compressed_json(name, bytes.as_ref()).map(Some);
        }
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| self.invalid_json(name, error))
    }

    /// Decodes compressed JSON, which begins in this attribute.
    pub(crate) fn compressed_json<T: DeserializeOwned>(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> Result<T, StoreError> {
        let mut json = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut json).map_err(|error| self.invalid_json(name, error))?;
        serde_json::from_slice(&json).map_err(|error| self.invalid_json(name, error))
    }

    fn invalid_json(&self, name: &str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        let message = self.message(name, "is not valid JSON");
        StoreError::with_source(FaultKind::Config, message, error)
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
