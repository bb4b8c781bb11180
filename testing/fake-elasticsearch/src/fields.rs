//! The types of fields, explicit or derived, and the values that each type refuses.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/dynamic-field-mapping.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/mapping-settings-limit.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/coerce.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The most fields of an index: `index.mapping.total_fields.limit`.
const MAX_FIELDS: usize = 1_000;

/// Why a document does not fit the mapping: the type of the error, and its reason.
pub(crate) type MappingError = (&'static str, String);

/// The types of an index's fields, by the full names of the fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldTypes {
    types: BTreeMap<String, String>,
}

impl FieldTypes {
    /// Reads the types of an explicit mapping.
    pub(crate) fn from_mappings(mappings: &Map<String, Value>) -> Self {
        let known = mappings.get("properties").and_then(Value::as_object).into_iter().flatten();
        let kind = |how: &Value| how["type"].as_str().unwrap_or("object").to_owned();
        Self { types: known.map(|(field, how)| (field.clone(), kind(how))).collect() }
    }

    /// Tells whether a field has the type `keyword`: the fake sorts and compares only those.
    pub(crate) fn is_keyword(&self, field: &str) -> bool {
        self.types.get(field).is_some_and(|kind| kind == "keyword")
    }

    /// Checks fields against their types, and if `dynamic` adds the derived types of new fields.
    pub(crate) fn check_and_map(
        &mut self,
        path: &str,
        fields: &Map<String, Value>,
        dynamic: bool,
    ) -> Result<(), MappingError> {
        for (name, value) in fields {
            check_name(name)?;
            let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if !self.map_parents(&field, dynamic)? {
                continue;
            }
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                self.check_value(&field, value, dynamic)?;
            }
        }
        Ok(())
    }

    /// Tells whether all parents of a name with dots are objects, and if `dynamic` adds them.
    fn map_parents(&mut self, field: &str, dynamic: bool) -> Result<bool, MappingError> {
        for (dot, _) in field.match_indices('.') {
            let parent = &field[..dot];
            match self.types.get(parent).map(String::as_str) {
                Some("object") => {}
                None if dynamic => self.add(parent, "object")?,
                None => return Ok(false),
                Some(other) => {
                    return Err(parsing_error(format!(
                        "Could not dynamically add mapping for field [{field}]. Existing mapping for [{parent}] must be \
                         of type object but found [{other}]."
                    )));
                }
            }
        }
        Ok(true)
    }

    fn check_value(&mut self, field: &str, value: &Value, dynamic: bool) -> Result<(), MappingError> {
        let kind = self.types.get(field).map(String::as_str);
        let Some(derived) = derive_type(value) else { return Ok(()) };
        match (value.as_object(), kind) {
            (_, None) if !dynamic => Ok(()),
            (inner, None) => {
                self.add(field, derived)?;
                inner.map_or(Ok(()), |inner| self.check_and_map(field, inner, dynamic))
            }
            (Some(inner), Some("object")) => self.check_and_map(field, inner, dynamic),
            (None, Some("object")) => Err(parsing_error(format!(
                "object mapping for [{field}] tried to parse field [{field}] as object, but found a concrete value"
            ))),
            (Some(_), Some(kind)) => Err(wrong_type(field, kind)),
            (None, Some(kind)) if fits(value, kind) => Ok(()),
            (None, Some(kind)) => Err(wrong_type(field, kind)),
        }
    }

    fn add(&mut self, field: &str, kind: &str) -> Result<(), MappingError> {
        // A derived text field has a keyword field below it.
        let count = |kind: &str| if kind == "text" { 2 } else { 1 };
        let count_before: usize = self.types.values().map(|kind| count(kind)).sum();
        if count_before + count(kind) > MAX_FIELDS {
            let reason =
                format!("Limit of total fields [{MAX_FIELDS}] has been exceeded while adding new fields [1]");
            return Err(("illegal_argument_exception", reason));
        }
        self.types.insert(field.to_owned(), kind.to_owned());
        Ok(())
    }
}

fn parsing_error(reason: String) -> MappingError {
    ("document_parsing_exception", format!("[1:1] {reason}"))
}

fn wrong_type(field: &str, kind: &str) -> MappingError {
    parsing_error(format!("failed to parse field [{field}] of type [{kind}] in document"))
}

fn check_name(name: &str) -> Result<(), MappingError> {
    if name.trim().is_empty() {
        return Err(parsing_error("field name cannot contain only whitespace".to_owned()));
    }
    if name.split('.').any(|part| part.trim().is_empty()) {
        return Err(parsing_error(format!(
            "object field starting or ending with a [.] makes object resolution ambiguous: [{name}]"
        )));
    }
    Ok(())
}

/// Derives the type of a value; nothing when it has none.
fn derive_type(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::Array(_) => None,
        Value::Object(_) => Some("object"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("float"),
        Value::Number(_) => Some("long"),
        Value::String(text) if is_date(text) => Some("date"),
        Value::String(_) => Some("text"),
    }
}

/// Tells whether a field of this type accepts a value that is no object; texts are parsed as numbers where possible.
fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "long" | "float" => {
            value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok())
        }
        "boolean" => value.is_boolean() || matches!(value.as_str(), Some("true" | "false" | "")),
        "date" => value.is_number() || value.as_str().is_some_and(is_date),
        _ => true,
    }
}

/// Tells whether a text is a date in a detected format: `2024-01-31`, with or without day and time, and
/// `2024/01/31`.
fn is_date(text: &str) -> bool {
    let (day, rest) = text.split_at(text.find(['T', ' ']).unwrap_or(text.len()));
    let between = if day.contains('/') { '/' } else { '-' };
    let parts: Vec<&str> = day.split(between).collect();
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let day_fits = match parts.as_slice() {
        [year, month] => between == '-' && rest.is_empty() && digits(year, 4) && digits(month, 2),
        [year, month, day] => digits(year, 4) && digits(month, 2) && digits(day, 2),
        _ => false,
    };
    day_fits && (rest.is_empty() || rest[1..].starts_with(|c: char| c.is_ascii_digit()))
}
