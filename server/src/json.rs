//! Reading JSON in which no object has two members of the same name.
//!
//! serde_json keeps the last of them. A program in between that checks the first one would then have checked another
//! document than the stored one.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a JSON document.
///
/// # Errors
///
/// Fails when it is not JSON, and where an object has a second member of the same name.
pub(crate) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    read(text, Strict { count: &Cell::new(0), limit: usize::MAX })
}

/// Reads JSON documents that follow each other. The first error ends them; otherwise as [`parse`].
pub(crate) fn parse_many(text: &str) -> impl Iterator<Item = Result<Value, serde_json::Error>> + '_ {
    serde_json::Deserializer::from_str(text)
        .into_iter::<UnboundedJson>()
        .map(|document| document.map(|document| document.0))
}

/// A JSON document without a size limit.
struct UnboundedJson(Value);

impl<'de> Deserialize<'de> for UnboundedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict { count: &Cell::new(0), limit: usize::MAX }.deserialize(deserializer).map(Self)
    }
}

/// Reads a JSON document of at most `limit` values. Each object and list counts, and all that is in them: parsed, a value may take
/// a hundred times the memory of its text.
///
/// # Errors
///
/// As [`parse`], and where it has more values.
pub(crate) fn parse_bounded(text: &[u8], limit: usize) -> Result<Value, ParseError> {
    let count = Cell::new(0);
    read(text, Strict { count: &count, limit }).map_err(|error| {
        if count.get() > limit { ParseError::TooMany(limit) } else { ParseError::Json(error) }
    })
}

/// Why a document was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseError {
    /// It has more values than this.
    #[error("has too many members: at most {0} values are read")]
    TooMany(usize),
    /// It is not JSON, or has a member twice.
    #[error("is not valid JSON: {0}")]
    Json(serde_json::Error),
}

fn read(text: &[u8], strict: Strict<'_>) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value.
#[derive(Clone, Copy)]
struct Strict<'a> {
    /// How many values were begun.
    count: &'a Cell<usize>,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > self.limit {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::from).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} is there twice")));
            }
            object.insert(name, members.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{ParseError, parse, parse_bounded, parse_many};

    #[test]
    fn every_kind_of_value_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            "true",
            "-5",
            "18446744073709551615",
            "1.5e3",
            r#""\u00e9\n""#,
            r#"[1, [], {}]"#,
            r#"{"a": {"a": null}, "b": [{"a": 1}, {"a": 2}]}"#,
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap(),
                serde_json::from_str::<serde_json::Value>(text).unwrap()
            );
        }
        for text in ["", "{", "1 2", "[1,]", "nul", "1e999"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_of_more_values_than_the_limit_is_refused_before_they_are_read() {
        for (text, values) in [
            ("5", 1),
            (r#"{"a": 5}"#, 2),
            ("[[], {}, 1]", 4),
            (r#"[{"": 0}, {"": 0}]"#, 5),
            (r#"{"a": {"b": [null, "[,]"]}}"#, 5),
        ] {
            assert_eq!(parse_bounded(text.as_bytes(), values).unwrap(), parse(text.as_bytes()).unwrap());
            let refused = parse_bounded(text.as_bytes(), values - 1).unwrap_err();
            assert!(
                matches!(refused, ParseError::TooMany(limit) if limit == values - 1),
                "{text}: {refused}"
            );
        }
        let endless = "[0,".repeat(1_000);
        assert!(matches!(parse_bounded(endless.as_bytes(), 50).unwrap_err(), ParseError::TooMany(50)));
        assert!(matches!(parse_bounded(b"[0,", 2).unwrap_err(), ParseError::Json(_)));
    }

    #[test]
    fn documents_that_follow_each_other_are_read_up_to_the_first_error() {
        let read: Vec<_> = parse_many("{\"a\": 1}\n[2] 3").map(Result::unwrap).collect();
        assert_eq!(read, [serde_json::json!({"a": 1}), serde_json::json!([2]), serde_json::json!(3)]);
        for text in [r#"{} {"a": 1, "a": 2} {}"#, "{} { {}"] {
            let read: Vec<bool> = parse_many(text).map(|document| document.is_ok()).collect();
            assert_eq!(read, [true, false], "{text}");
        }
        assert_eq!(parse_many("").count(), 0);
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_however_it_is_spelled() {
        for text in
            [r#"{"id": 1, "id": 1}"#, r#"{"id": 1, "i\u0064": 2}"#, r#"[{"x": {"a": 1, "b": 2, "a": 3}}]"#]
        {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is there twice"), "{error}");
        }
    }
}
