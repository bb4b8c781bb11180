//! Reading YAML in which every plain value keeps its text.
//!
//! YAML gives a value without quotes a type by its form: `0x1F` is 31, `1_000` is 1000, `1.50` is 1.5 and `yes` is true. The name
//! of an object or the value of a variable must not change in this way. So a plain value is a text here, exactly as it is
//! written; the reader of a number or a boolean parses it. Only null is not a text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Options, Spanned, UserMessageFormatter};

#[cfg(test)]
mod tests;

/// Reads a YAML document.
///
/// # Errors
///
/// Fails with the place when it is not one YAML document, and when an object has a member twice.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let text = without_mark(text);
    let document: Spanned<YamlNode> =
        serde_saphyr::from_str_with_options(text, options()).map_err(describe)?;
    Ok(as_written(document, text))
}

/// Reads YAML documents that follow each other; otherwise as [`parse`]. An empty document is left out.
pub(crate) fn parse_many(text: &str) -> Result<Vec<Value>, String> {
    let text = without_mark(text);
    let documents: Vec<Spanned<YamlNode>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(describe)?;
    Ok(documents.into_iter().map(|document| as_written(document, text)).collect())
}

/// Reads a YAML document with the types that YAML gives to plain values, for a text that [`parse`] can read.
///
/// # Errors
///
/// As [`parse`], and for a number that is not finite.
pub(crate) fn parse_typed(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(describe)
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn options() -> Options {
    serde_saphyr::options! { non_finite_float_policy: NonFiniteFloatPolicy::PassThrough }
}

fn describe(error: serde_saphyr::Error) -> String {
    error.render_with_formatter(&UserMessageFormatter)
}

/// Converts a node to JSON; a value to which YAML gave a type becomes its text again.
fn as_written(node: Spanned<YamlNode>, source: &str) -> Value {
    match node.value {
        YamlNode::Null => Value::Null,
        YamlNode::Text(text) => text.into(),
        YamlNode::Typed(shown) => written(node.defined.span(), source).unwrap_or(shown).into(),
        YamlNode::List(items) => items.into_iter().map(|item| as_written(item, source)).collect(),
        YamlNode::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, as_written(value, source)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// Returns the text of a plain value in its document. One with a tag or in quotes has none: there YAML's type is meant.
fn written(span: serde_saphyr::Span, source: &str) -> Option<String> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    let text = source.get(start..end)?.trim();
    let is_plain = !text.is_empty() && !text.starts_with(['!', '"', '\'', '|', '>', '&', '*']);
    is_plain.then(|| text.to_owned())
}

/// A node of a document.
#[derive(Debug)]
enum YamlNode {
    Null,
    Text(String),
    /// A plain value to which YAML gave a type, as the type prints it.
    Typed(String),
    List(Vec<Spanned<Self>>),
    Object(Vec<(String, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlNode, E> {
        Ok(YamlNode::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlNode, E> {
        Ok(YamlNode::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlNode, E> {
        Ok(YamlNode::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlNode, E> {
        Ok(YamlNode::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlNode, E> {
        Ok(YamlNode::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(YamlNode::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<YamlNode, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(YamlNode::Object(object))
    }
}
