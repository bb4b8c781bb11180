//! Conditions on items: conditions of writes, filters, and key conditions.

use std::cmp::Ordering;

use super::number::Number;
use super::path::Path;
use super::value::{Attribute, Item, decoded_size};

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// An operand, which may have no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Path(Path),
    Value(Attribute),
    Size(Path),
}

/// A parsed condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Compare(Operand, Comparator, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    Type(Path, String),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

impl Comparator {
    /// Returns its sign.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, left: Option<Attribute>, right: Option<Attribute>) -> bool {
        let order = || order(left.as_ref()?, right.as_ref()?);
        match self {
            Self::Equal => left.is_some() && left == right,
            Self::Unequal => left != right,
            Self::Less => order().is_some_and(Ordering::is_lt),
            Self::AtMost => order().is_some_and(Ordering::is_le),
            Self::Greater => order().is_some_and(Ordering::is_gt),
            Self::AtLeast => order().is_some_and(Ordering::is_ge),
        }
    }
}

impl Operand {
    fn head(&self) -> Option<&str> {
        match self {
            Self::Path(path) | Self::Size(path) => Some(path.head()),
            Self::Value(_) => None,
        }
    }

    fn value(&self, item: &Item) -> Option<Attribute> {
        match self {
            Self::Path(path) => path.find(item).cloned(),
            Self::Value(value) => Some(value.clone()),
            Self::Size(path) => length(path.find(item)?).map(|length| Attribute::N(Number::from(length))),
        }
    }
}

impl Condition {
    /// Tells whether it holds for an item. An empty item stands for a missing one.
    pub(crate) fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Compare(left, comparator, right) => comparator.holds(left.value(item), right.value(item)),
            Self::Between(operand, low, high) => {
                Comparator::AtLeast.holds(operand.value(item), low.value(item))
                    && Comparator::AtMost.holds(operand.value(item), high.value(item))
            }
            Self::In(operand, list) => {
                let value = operand.value(item);
                value.is_some() && list.iter().any(|member| member.value(item) == value)
            }
            Self::Exists(path) => path.find(item).is_some(),
            Self::NotExists(path) => path.find(item).is_none(),
            Self::Type(path, kind) => path.find(item).is_some_and(|value| value.kind() == kind),
            Self::BeginsWith(operand, prefix) => match (operand.value(item), prefix.value(item)) {
                (Some(Attribute::S(text)), Some(Attribute::S(prefix))) => text.starts_with(&prefix),
                _ => false,
            },
            Self::Contains(operand, part) => match (operand.value(item), part.value(item)) {
                (Some(Attribute::S(text)), Some(Attribute::S(part))) => text.contains(&part),
                (Some(Attribute::Ss(texts)), Some(Attribute::S(part))) => texts.contains(&part),
                (Some(Attribute::Ns(numbers)), Some(Attribute::N(part))) => numbers.contains(&part),
                (Some(Attribute::L(members)), Some(part)) => members.contains(&part),
                _ => false,
            },
            Self::And(one, other) => one.holds(item) && other.holds(item),
            Self::Or(one, other) => one.holds(item) || other.holds(item),
            Self::Not(other) => !other.holds(item),
        }
    }
}

impl Condition {
    /// Collects the attributes that it reads.
    pub(crate) fn heads<'a>(&'a self, into: &mut Vec<&'a str>) {
        let operands: &[&Operand] = match self {
            Self::Exists(path) | Self::NotExists(path) | Self::Type(path, _) => {
                into.push(path.head());
                return;
            }
            Self::And(one, other) | Self::Or(one, other) => {
                one.heads(into);
                return other.heads(into);
            }
            Self::Not(other) => return other.heads(into),
            Self::In(operand, list) => {
                into.extend(list.iter().chain([operand]).filter_map(Operand::head));
                return;
            }
            Self::Compare(one, _, other) | Self::BeginsWith(one, other) | Self::Contains(one, other) => {
                &[one, other]
            }
            Self::Between(operand, low, high) => &[operand, low, high],
        };
        into.extend(operands.iter().filter_map(|operand| operand.head()));
    }
}

/// Compares two values of one ordered type.
pub(crate) fn order(left: &Attribute, right: &Attribute) -> Option<Ordering> {
    match (left, right) {
        (Attribute::S(left), Attribute::S(right)) => Some(left.cmp(right)),
        (Attribute::N(left), Attribute::N(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Returns the `size` of a value.
fn length(value: &Attribute) -> Option<usize> {
    match value {
        Attribute::S(text) => Some(text.len()),
        Attribute::B(base64) => Some(decoded_size(base64)),
        Attribute::Ss(texts) => Some(texts.len()),
        Attribute::Ns(numbers) => Some(numbers.len()),
        Attribute::L(members) => Some(members.len()),
        Attribute::M(members) => Some(members.len()),
        Attribute::N(_) | Attribute::Bool(_) | Attribute::Null => None,
    }
}
