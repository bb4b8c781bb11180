//! Strings, integers, booleans and enum values, as the Python version reads them.

use serde_json::{Map, Value};

use crate::job::field_error::{FieldError, FieldPath, unknown_field};

pub(super) const NULL: &str = "Field may not be null.";
pub(super) const MISSING: &str = "Missing data for required field.";
pub(super) const NOT_A_STRING: &str = "Not a valid string.";

/// Reads a string.
pub(super) fn string<'v>(value: &'v Value, path: &FieldPath<'_>) -> Result<&'v str, FieldError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(path.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(path.error(NOT_A_STRING))
        }
    }
}

/// Reads a string of at most `most` characters.
pub(super) fn text<'v>(value: &'v Value, path: &FieldPath<'_>, most: usize) -> Result<&'v str, FieldError> {
    let text = string(value, path)?;
    if text.chars().nth(most).is_some() {
        return Err(path.error(format!("Longer than maximum length {most}.")));
    }
    Ok(text)
}

/// Reads an integer within bounds; a string of digits counts as one.
pub(super) fn integer(value: &Value, path: &FieldPath<'_>, least: u32, most: u32) -> Result<u32, FieldError> {
    let number = match value {
        Value::Null => return Err(path.error(NULL)),
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0).map(|n| format!("{n:.0}")),
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let digits = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
    };
    let number = number.filter(|text| digits(text)).ok_or_else(|| path.error("Not a valid integer."))?;
    number.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| {
        path.error(if most == u32::MAX {
            format!("Must be at least {least}.")
        } else {
            format!("Must be between {least} and {most}.")
        })
    })
}

/// Reads a boolean, also spelled as the Python version accepts it.
pub(super) fn boolean(value: &Value, path: &FieldPath<'_>) -> Result<bool, FieldError> {
    let known = match value {
        Value::Null => return Err(path.error(NULL)),
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
    known.ok_or_else(|| path.error("Not a valid boolean."))
}

/// Reads an enum value by its name in JSON.
pub(super) fn enum_value<T: Copy>(
    value: &Value,
    path: &FieldPath<'_>,
    words: &[(&str, T)],
) -> Result<T, FieldError> {
    let text = string(value, path)?;
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        path.error(format!("Must be one of: {}.", words.join(", ")))
    })
}

/// Reads an object; when `strict`, each unknown name is an error.
pub(super) fn object<'v>(
    value: &'v Value,
    path: &FieldPath<'_>,
    known: &[&str],
    strict: bool,
    errors: &mut Vec<FieldError>,
) -> Option<&'v Map<String, Value>> {
    match value {
        Value::Object(fields) => {
            if strict {
                for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
                    errors.push(path.key(name).error(unknown_field(name, known)));
                }
            }
            return Some(fields);
        }
        Value::Null => errors.push(path.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            errors.push(path.error_of_whole("Invalid input type."));
        }
    }
    None
}

/// Returns the value, or appends the error to `errors`.
pub(super) fn collect_error<T>(result: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}
