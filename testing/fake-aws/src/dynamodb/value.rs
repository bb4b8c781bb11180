//! Attributes of items, on the wire and in a table. Sets of binary values are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::failure::{invalid, invalid_value};
use super::number::Number;
use crate::wire::Failure;

/// Maximum nesting of lists and maps.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_DEPTH: usize = 32;

/// The attributes of an item, by name.
pub(crate) type Item = BTreeMap<String, Attribute>;

/// An item as it is sent.
pub(crate) type RawItem = BTreeMap<String, Value>;

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    S(String),
    N(Number),
    /// Bytes in base64.
    B(String),
    Bool(bool),
    Null,
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    L(Vec<Attribute>),
    M(Item),
}

impl Attribute {
    /// Reads one attribute.
    pub(crate) fn read(sent: &Value) -> Result<Self, Failure> {
        Self::read_in(sent, MAX_DEPTH)
    }

    fn read_in(sent: &Value, depth: usize) -> Result<Self, Failure> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(invalid(
                "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
            ));
        };
        let unclear = || {
            invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
        };
        let mut members = sent.as_object().ok_or_else(unclear)?.iter();
        let (Some((kind, value)), None) = (members.next(), members.next()) else { return Err(unclear()) };
        let odd =
            || Failure::client("SerializationException", format!("unexpected value of type {kind}: {value}"));
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(odd);
        let list = || value.as_array().ok_or_else(odd);
        Ok(match kind.as_str() {
            "S" => Self::S(text(value)?),
            "N" => Self::N(Number::read(&text(value)?)?),
            "BOOL" => Self::Bool(value.as_bool().ok_or_else(odd)?),
            "NULL" if value == &json!(true) => Self::Null,
            "NULL" => return Err(invalid_value("Null attribute value types must have the value of true")),
            "SS" => Self::Ss(set("string", list()?, text)?),
            "NS" => Self::Ns(set("number", list()?, |value| Number::read(&text(value)?))?),
            "L" => {
                let members = list()?.iter().map(|member| Self::read_in(member, deeper));
                Self::L(members.collect::<Result<_, _>>()?)
            }
            "M" => {
                let members = value.as_object().ok_or_else(odd)?.iter();
                let members = members.map(|(name, value)| Ok((name.clone(), Self::read_in(value, deeper)?)));
                Self::M(members.collect::<Result<_, Failure>>()?)
            }
            "B" if is_base64(&text(value)?) => Self::B(text(value)?),
            "B" => return Err(odd()),
            "BS" => return Err(invalid("the fake has no sets of binary values")),
            _ => return Err(unclear()),
        })
    }

    /// Writes it as it is sent.
    pub(crate) fn write(&self) -> Value {
        match self {
            Self::S(text) => json!({ "S": text }),
            Self::N(number) => json!({ "N": number.to_string() }),
            Self::B(base64) => json!({ "B": base64 }),
            Self::Bool(truth) => json!({ "BOOL": truth }),
            Self::Null => json!({ "NULL": true }),
            Self::Ss(texts) => json!({ "SS": texts }),
            Self::Ns(numbers) => {
                json!({ "NS": numbers.iter().map(Number::to_string).collect::<Vec<_>>() })
            }
            Self::L(members) => json!({ "L": members.iter().map(Self::write).collect::<Vec<_>>() }),
            Self::M(members) => json!({ "M": write_item(members) }),
        }
    }

    /// Returns the name of its type.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::L(_) => "L",
            Self::M(_) => "M",
        }
    }

    /// Returns its size in bytes, without its name.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(base64) => decoded_size(base64),
            Self::Bool(_) | Self::Null => 1,
            Self::Ss(texts) => texts.iter().map(String::len).sum(),
            Self::Ns(numbers) => numbers.iter().map(|number| number.size()).sum(),
            Self::L(members) => 3 + members.iter().map(|member| member.size() + 1).sum::<usize>(),
            Self::M(members) => 3 + size_of_item(members) + members.len(),
        }
    }
}

/// Tells whether a text is base64 with padding.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && text.len() - digits.len() <= 2 && digits.bytes().all(is_digit)
}

/// Returns how many bytes a text in base64 stands for.
pub(crate) fn decoded_size(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// Reads a set: not empty, and each member once.
fn set<T: Ord>(
    kind: &str,
    members: &[Value],
    read: impl Fn(&Value) -> Result<T, Failure>,
) -> Result<BTreeSet<T>, Failure> {
    if members.is_empty() {
        return Err(invalid_value(format!("An {kind} set  may not be empty")));
    }
    let set: BTreeSet<T> = members.iter().map(read).collect::<Result<_, _>>()?;
    if set.len() < members.len() {
        let shown: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
        return Err(invalid_value(format!("Input collection [{}] contains duplicates.", shown.join(", "))));
    }
    Ok(set)
}

/// Reads an item.
pub(crate) fn read_item(sent: &RawItem) -> Result<Item, Failure> {
    sent.iter().map(|(name, value)| Ok((name.clone(), Attribute::read(value)?))).collect()
}

/// Writes an item as it is sent.
pub(crate) fn write_item(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value.write())).collect::<Map<_, _>>())
}

/// Returns the size of an item in bytes, with names.
pub(crate) fn size_of_item(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}
