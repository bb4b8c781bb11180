//! Keys of tables and indexes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

use super::failure::{invalid, invalid_value};
use super::number::Number;
use super::value::{Attribute, Item};
use crate::wire::Failure;

/// Maximum size of a partition key and of a sort key in bytes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_HASH_KEY: usize = 2048;
const MAX_SORT_KEY: usize = 1024;

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyType {
    S,
    N,
}

/// One half of a key, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyPart {
    /// Before all others; also where a table has no sort key.
    First,
    N(Number),
    S(String),
    /// Behind all others.
    Last,
}

/// The key of an item. Partitions have an order that does not follow their names, as in DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) slot: u64,
    pub(crate) hash: KeyPart,
    pub(crate) range: KeyPart,
}

/// The key attributes of a table or an index, with their types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) hash: (String, KeyType),
    pub(crate) range: Option<(String, KeyType)>,
}

impl KeyType {
    const fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
        }
    }
}

impl KeyPart {
    /// Makes a part of a key; none if the attribute has another type.
    pub(crate) fn from_attribute(attribute: &Attribute, kind: KeyType) -> Option<Self> {
        match (attribute, kind) {
            (Attribute::S(text), KeyType::S) => Some(Self::S(text.clone())),
            (Attribute::N(number), KeyType::N) => Some(Self::N(*number)),
            _ => None,
        }
    }

    fn slot(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::S(text) => text.hash(&mut hasher),
            Self::N(number) => number.to_string().hash(&mut hasher),
            Self::First | Self::Last => {}
        }
        hasher.finish()
    }
}

impl Key {
    pub(crate) fn new(hash: KeyPart, range: KeyPart) -> Self {
        Self { slot: hash.slot(), hash, range }
    }

    /// A key before all others.
    pub(crate) const fn first() -> Self {
        Self { slot: 0, hash: KeyPart::First, range: KeyPart::First }
    }

    /// A key behind all others.
    pub(crate) const fn last() -> Self {
        Self { slot: u64::MAX, hash: KeyPart::Last, range: KeyPart::Last }
    }
}

impl Schema {
    /// Returns the names of the key's attributes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.hash), self.range.as_ref()].into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Reads a key without other attributes.
    pub(crate) fn key(&self, sent: &Item) -> Result<Key, Failure> {
        if sent.len() == self.names().count()
            && let Some(key) = self.parts(sent)
        {
            return checked(key, self);
        }
        Err(invalid("The provided key element does not match the schema"))
    }

    /// Reads the key of a whole item.
    pub(crate) fn key_of(&self, item: &Item) -> Result<Key, Failure> {
        for (name, kind) in [Some(&self.hash), self.range.as_ref()].into_iter().flatten() {
            let Some(has) = item.get(name) else {
                return Err(invalid_value(format!("Missing the key {name} in the item")));
            };
            if KeyPart::from_attribute(has, *kind).is_none() {
                let (expected, actual) = (kind.name(), has.kind());
                return Err(invalid_value(format!(
                    "Type mismatch for key {name} expected: {expected} actual: {actual}"
                )));
            }
        }
        checked(self.parts(item).expect("both parts were just checked"), self)
    }

    /// Reads the key in an index; none if the item lacks a part of it and so is not in the index.
    pub(crate) fn indexed(&self, item: &Item, index: &str) -> Result<Option<Key>, Failure> {
        for (name, kind) in [Some(&self.hash), self.range.as_ref()].into_iter().flatten() {
            if let Some(has) = item.get(name)
                && KeyPart::from_attribute(has, *kind).is_none()
            {
                let (expected, actual) = (kind.name(), has.kind());
                return Err(invalid_value(format!(
                    "Type mismatch for Index Key {name} Expected: {expected} Actual: {actual} IndexName: {index}"
                )));
            }
        }
        self.parts(item).map(|key| checked(key, self)).transpose()
    }

    /// Returns the key; none if a part is missing or has another type.
    pub(crate) fn parts(&self, item: &Item) -> Option<Key> {
        let part = |(name, kind): &(String, KeyType)| KeyPart::from_attribute(item.get(name)?, *kind);
        let range = match &self.range {
            Some(range) => part(range)?,
            None => KeyPart::First,
        };
        Some(Key::new(part(&self.hash)?, range))
    }
}

/// Fails if a part is empty or too long.
fn checked(key: Key, schema: &Schema) -> Result<Key, Failure> {
    let range = schema.range.as_ref().map_or("", |(name, _)| name);
    for (part, name, most, what) in [
        (&key.hash, schema.hash.0.as_str(), MAX_HASH_KEY, "hashkey"),
        (&key.range, range, MAX_SORT_KEY, "rangekey"),
    ] {
        let KeyPart::S(text) = part else { continue };
        if text.is_empty() {
            let message = "One or more parameter values are not valid. The AttributeValue for a key attribute \
                           cannot contain an empty string value.";
            return Err(invalid(format!("{message} Key: {name}")));
        }
        if text.len() > most {
            return Err(invalid_value(format!(
                "Size of {what} has exceeded the maximum size limit of{most} bytes"
            )));
        }
    }
    Ok(key)
}
