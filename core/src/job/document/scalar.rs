//! Strings, integers, booleans and words out of a fixed list, as the Python version reads them.

use serde_json::{Map, Value};

use super::error::{FieldError, Place, unknown_field};

pub(super) const NULL: &str = "Field may not be null.";
pub(super) const MISSING: &str = "Missing data for required field.";
pub(super) const NOT_A_STRING: &str = "Not a valid string.";

/// Reads a string.
pub(super) fn string<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v str, FieldError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(place.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(place.error(NOT_A_STRING))
        }
    }
}

/// Reads a string of at most so many characters.
pub(super) fn text<'v>(value: &'v Value, place: &Place<'_>, most: usize) -> Result<&'v str, FieldError> {
    let text = string(value, place)?;
    if text.chars().nth(most).is_some() {
        return Err(place.error(format!("Longer than maximum length {most}.")));
    }
    Ok(text)
}

/// Reads an integer within bounds; a string of digits counts as one.
pub(super) fn integer(value: &Value, place: &Place<'_>, least: u32, most: u32) -> Result<u32, FieldError> {
    let number = match value {
        Value::Null => return Err(place.error(NULL)),
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0).map(|n| format!("{n:.0}")),
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let digits = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
    };
    let number = number.filter(|text| digits(text)).ok_or_else(|| place.error("Not a valid integer."))?;
    number.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| {
        place.error(if most == u32::MAX {
            format!("Must be at least {least}.")
        } else {
            format!("Must be between {least} and {most}.")
        })
    })
}

/// Reads a boolean, also spelled as the Python version accepts it.
pub(super) fn boolean(value: &Value, place: &Place<'_>) -> Result<bool, FieldError> {
    let known = match value {
        Value::Null => return Err(place.error(NULL)),
        Value::Bool(value) => Some(*value),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) => match text.as_str() {
            "t" | "T" | "true" | "True" | "TRUE" | "1" => Some(true),
            "f" | "F" | "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        },
        Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    known.ok_or_else(|| place.error("Not a valid boolean."))
}

/// Reads one of the words that stand for something.
pub(super) fn word<T: Copy>(value: &Value, place: &Place<'_>, words: &[(&str, T)]) -> Result<T, FieldError> {
    let text = string(value, place)?;
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        place.error(format!("Must be one of: {}.", words.join(", ")))
    })
}

/// Reads an object; when `strict`, every name that is not known is an error of its own.
pub(super) fn object<'v>(
    value: &'v Value,
    place: &Place<'_>,
    known: &[&str],
    strict: bool,
    errors: &mut Vec<FieldError>,
) -> Option<&'v Map<String, Value>> {
    match value {
        Value::Object(fields) => {
            if strict {
                for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
                    errors.push(place.key(name).error(unknown_field(name, known)));
                }
            }
            return Some(fields);
        }
        Value::Null => errors.push(place.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            errors.push(place.error_of_whole("Invalid input type."));
        }
    }
    None
}

/// Keeps what was read, or notes what was wrong.
pub(super) fn note<T>(result: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}
