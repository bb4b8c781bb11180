//! Key conditions: the range of items that a query reads.

use std::ops::Bound;

use super::condition::{Comparator, Condition, Operand};
use super::failure::{invalid, invalid_value};
use super::key::{KeyPart, KeyType, Schema};
use super::path::{Path, Step};
use super::table::KeyBounds;
use super::value::{Attribute, Item};
use crate::wire::Failure;

/// The key condition of a query.
#[derive(Debug, Clone)]
pub(crate) struct KeyCondition {
    pub(crate) bounds: KeyBounds,
    /// The required prefix of the sort key.
    prefix: Option<(String, String)>,
}

impl KeyCondition {
    /// Converts a condition on the keys of a table or an index.
    pub(crate) fn from_condition(
        condition: Condition,
        schema: &Schema,
        forward: bool,
    ) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        split(condition, &mut parts)?;
        let find = |name: &str| {
            let mut about = parts.iter().filter(|part| part.0 == name);
            (about.next().map(|(_, comparison)| comparison), about.next().is_some())
        };
        let (hash_name, kind) = &schema.hash;
        let (hash, twice) = find(hash_name);
        let Some(hash) = hash else {
            return Err(invalid(format!("Query condition missed key schema element: {hash_name}")));
        };
        let KeyComparison::Compared(Comparator::Equal, hash) = hash else { return Err(unsupported()) };
        let hash = typed(hash, *kind)?;
        let everything = KeyBounds {
            hash,
            from: Bound::Excluded(KeyPart::First),
            to: Bound::Excluded(KeyPart::Last),
            forward,
        };
        let (range, thrice) = match &schema.range {
            Some((name, _)) => find(name),
            None => (None, false),
        };
        if twice || thrice || parts.len() != 1 + usize::from(range.is_some()) {
            return Err(unsupported());
        }
        let Some((name, kind)) = &schema.range else {
            let bounds = KeyBounds { from: Bound::Included(KeyPart::First), ..everything };
            return Ok(Self { bounds, prefix: None });
        };
        match range {
            None => Ok(Self { bounds: everything, prefix: None }),
            Some(comparison) => narrow(everything, name, *kind, comparison),
        }
    }

    /// Tells whether the sort key of an item has the required prefix.
    pub(crate) fn fits(&self, item: &Item) -> bool {
        self.prefix.as_ref().is_none_or(
            |(name, prefix)| matches!(item.get(name), Some(Attribute::S(text)) if text.starts_with(prefix)),
        )
    }
}

/// A comparison with one attribute.
enum KeyComparison {
    Compared(Comparator, Attribute),
    Between(Attribute, Attribute),
    Begins(Attribute),
}

fn unsupported() -> Failure {
    invalid("Query key condition not supported")
}

fn typed(value: &Attribute, kind: KeyType) -> Result<KeyPart, Failure> {
    let odd = || invalid_value("Condition parameter type does not match schema type");
    KeyPart::from_attribute(value, kind).ok_or_else(odd)
}

/// Splits a condition at its `AND`s.
fn split(condition: Condition, into: &mut Vec<(String, KeyComparison)>) -> Result<(), Failure> {
    let refused =
        |operator: &str| Err(invalid(format!("Invalid operator used in KeyConditionExpression: {operator}")));
    let (path, comparison) = match condition {
        Condition::And(one, other) => {
            split(*one, into)?;
            return split(*other, into);
        }
        Condition::Compare(_, Comparator::Unequal, _) => return refused("<>"),
        Condition::Compare(Operand::Path(path), comparator, Operand::Value(value)) => {
            (path, KeyComparison::Compared(comparator, value))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            (path, KeyComparison::Between(low, high))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => {
            (path, KeyComparison::Begins(prefix))
        }
        Condition::Or(..) => return refused("OR"),
        Condition::Not(_) => return refused("NOT"),
        Condition::In(..) => return refused("IN"),
        Condition::Exists(_) => return refused("attribute_exists"),
        Condition::NotExists(_) => return refused("attribute_not_exists"),
        Condition::Type(..) => return refused("attribute_type"),
        Condition::Contains(..) => return refused("contains"),
        Condition::Compare(..) | Condition::Between(..) | Condition::BeginsWith(..) => {
            return Err(unsupported());
        }
    };
    let Path(steps) = path;
    let [Step::Field(name)] = steps.as_slice() else {
        return Err(invalid(
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have nested attributes",
        ));
    };
    into.push((name.clone(), comparison));
    Ok(())
}

/// Narrows a partition by the condition on the sort key.
fn narrow(
    all: KeyBounds,
    name: &str,
    kind: KeyType,
    comparison: &KeyComparison,
) -> Result<KeyCondition, Failure> {
    let mut prefix = None;
    let (from, to) = match comparison {
        KeyComparison::Compared(comparator, value) => {
            let part = typed(value, kind)?;
            match comparator {
                Comparator::Equal => (Bound::Included(part.clone()), Bound::Included(part)),
                Comparator::Less => (all.from, Bound::Excluded(part)),
                Comparator::AtMost => (all.from, Bound::Included(part)),
                Comparator::Greater => (Bound::Excluded(part), all.to),
                Comparator::AtLeast => (Bound::Included(part), all.to),
                Comparator::Unequal => return Err(unsupported()),
            }
        }
        KeyComparison::Between(low, high) => {
            (Bound::Included(typed(low, kind)?), Bound::Included(typed(high, kind)?))
        }
        KeyComparison::Begins(value) => {
            let part = typed(value, kind)?;
            if let KeyPart::S(text) = &part {
                prefix = Some((name.to_owned(), text.clone()));
            }
            (Bound::Included(part), all.to)
        }
    };
    Ok(KeyCondition { bounds: KeyBounds { from, to, ..all }, prefix })
}
