//! Which items a condition on keys means.

use std::ops::Bound;

use super::condition::{Comparator, Condition, Operand};
use super::failure::{invalid, wrong};
use super::key::{KeyType, Part, Schema};
use super::path::{Path, Step};
use super::table::Reach;
use super::value::{Attribute, Item};
use crate::wire::Failure;

/// What a query asks of keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyCondition {
    pub(crate) reach: Reach,
    /// What the sort key must begin with.
    prefix: Option<(String, String)>,
}

impl KeyCondition {
    /// Reads a condition on the keys of a table or an index.
    pub(crate) fn of(condition: Condition, schema: &Schema, forward: bool) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        split(condition, &mut parts)?;
        let find = |name: &str| {
            let mut about = parts.iter().filter(|part| part.0 == name);
            (about.next().map(|(_, asked)| asked), about.next().is_some())
        };
        let (hash_name, kind) = &schema.hash;
        let (hash, twice) = find(hash_name);
        let Some(hash) = hash else {
            return Err(invalid(format!("Query condition missed key schema element: {hash_name}")));
        };
        let Asked::Compared(Comparator::Equal, hash) = hash else { return Err(unsupported()) };
        let hash = typed(hash, *kind)?;
        let everything =
            Reach { hash, from: Bound::Excluded(Part::First), to: Bound::Excluded(Part::Last), forward };
        let (range, thrice) = match &schema.range {
            Some((name, _)) => find(name),
            None => (None, false),
        };
        if twice || thrice || parts.len() != 1 + usize::from(range.is_some()) {
            return Err(unsupported());
        }
        let Some((name, kind)) = &schema.range else {
            let reach = Reach { from: Bound::Included(Part::First), ..everything };
            return Ok(Self { reach, prefix: None });
        };
        match range {
            None => Ok(Self { reach: everything, prefix: None }),
            Some(asked) => narrow(everything, name, *kind, asked),
        }
    }

    /// Tells whether the sort key of an item begins as it must.
    pub(crate) fn fits(&self, item: &Item) -> bool {
        self.prefix.as_ref().is_none_or(
            |(name, prefix)| matches!(item.get(name), Some(Attribute::S(text)) if text.starts_with(prefix)),
        )
    }
}

/// What is asked of one attribute.
enum Asked {
    Compared(Comparator, Attribute),
    Between(Attribute, Attribute),
    Begins(Attribute),
}

fn unsupported() -> Failure {
    invalid("Query key condition not supported")
}

fn typed(value: &Attribute, kind: KeyType) -> Result<Part, Failure> {
    let odd = || wrong("Condition parameter type does not match schema type");
    Part::of(value, kind).ok_or_else(odd)
}

/// Takes a condition apart at its `AND`s.
fn split(condition: Condition, into: &mut Vec<(String, Asked)>) -> Result<(), Failure> {
    let refused =
        |operator: &str| Err(invalid(format!("Invalid operator used in KeyConditionExpression: {operator}")));
    let (path, asked) = match condition {
        Condition::And(one, other) => {
            split(*one, into)?;
            return split(*other, into);
        }
        Condition::Compare(_, Comparator::Unequal, _) => return refused("<>"),
        Condition::Compare(Operand::Path(path), comparator, Operand::Value(value)) => {
            (path, Asked::Compared(comparator, value))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            (path, Asked::Between(low, high))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => (path, Asked::Begins(prefix)),
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
    into.push((name.clone(), asked));
    Ok(())
}

/// Narrows a partition to what is asked of the sort key.
fn narrow(all: Reach, name: &str, kind: KeyType, asked: &Asked) -> Result<KeyCondition, Failure> {
    let mut prefix = None;
    let (from, to) = match asked {
        Asked::Compared(comparator, value) => {
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
        Asked::Between(low, high) => {
            (Bound::Included(typed(low, kind)?), Bound::Included(typed(high, kind)?))
        }
        Asked::Begins(value) => {
            let part = typed(value, kind)?;
            if let Part::S(text) = &part {
                prefix = Some((name.to_owned(), text.clone()));
            }
            (Bound::Included(part), all.to)
        }
    };
    Ok(KeyCondition { reach: Reach { from, to, ..all }, prefix })
}
