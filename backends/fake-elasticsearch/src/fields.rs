//! Types of fields, given or guessed, and what each of them refuses.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/dynamic-field-mapping.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/mapping-settings-limit.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/coerce.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The most fields of an index: `index.mapping.total_fields.limit`.
const MOST: usize = 1_000;

/// Why a document does not fit: the type of the error, and its reason.
pub(crate) type Misfit = (&'static str, String);

/// The types, by the whole names of the fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    types: BTreeMap<String, String>,
}

impl Fields {
    /// Takes over what a mapping gives.
    pub(crate) fn given(mappings: &Map<String, Value>) -> Self {
        let known = mappings.get("properties").and_then(Value::as_object).into_iter().flatten();
        let kind = |how: &Value| how["type"].as_str().unwrap_or("object").to_owned();
        Self { types: known.map(|(field, how)| (field.clone(), kind(how))).collect() }
    }

    /// Tells whether a field is one of keywords: only those are sorted and compared here.
    pub(crate) fn is_keyword(&self, field: &str) -> bool {
        self.types.get(field).is_some_and(|kind| kind == "keyword")
    }

    /// Checks fields against their types, and with `guessing` notes the types of new ones.
    pub(crate) fn learn(
        &mut self,
        path: &str,
        fields: &Map<String, Value>,
        guessing: bool,
    ) -> Result<(), Misfit> {
        for (name, value) in fields {
            check_name(name)?;
            let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if !self.leads_to(&field, guessing)? {
                continue;
            }
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                self.meet(&field, value, guessing)?;
            }
        }
        Ok(())
    }

    /// Tells whether all that a name with dots goes through are objects, and makes them such.
    fn leads_to(&mut self, field: &str, guessing: bool) -> Result<bool, Misfit> {
        for (dot, _) in field.match_indices('.') {
            let above = &field[..dot];
            match self.types.get(above).map(String::as_str) {
                Some("object") => {}
                None if guessing => self.add(above, "object")?,
                None => return Ok(false),
                Some(other) => {
                    return Err(refused(format!(
                        "Could not dynamically add mapping for field [{field}]. Existing mapping for [{above}] must be \
                         of type object but found [{other}]."
                    )));
                }
            }
        }
        Ok(true)
    }

    fn meet(&mut self, field: &str, value: &Value, guessing: bool) -> Result<(), Misfit> {
        let kind = self.types.get(field).map(String::as_str);
        let Some(guess) = guess(value) else { return Ok(()) };
        match (value.as_object(), kind) {
            (_, None) if !guessing => Ok(()),
            (inner, None) => {
                self.add(field, guess)?;
                inner.map_or(Ok(()), |inner| self.learn(field, inner, guessing))
            }
            (Some(inner), Some("object")) => self.learn(field, inner, guessing),
            (None, Some("object")) => Err(refused(format!(
                "object mapping for [{field}] tried to parse field [{field}] as object, but found a concrete value"
            ))),
            (Some(_), Some(kind)) => Err(misfit(field, kind)),
            (None, Some(kind)) if fits(value, kind) => Ok(()),
            (None, Some(kind)) => Err(misfit(field, kind)),
        }
    }

    fn add(&mut self, field: &str, kind: &str) -> Result<(), Misfit> {
        // A guessed text has a field of keywords below it.
        let count = |kind: &str| if kind == "text" { 2 } else { 1 };
        let there: usize = self.types.values().map(|kind| count(kind)).sum();
        if there + count(kind) > MOST {
            let reason =
                format!("Limit of total fields [{MOST}] has been exceeded while adding new fields [1]");
            return Err(("illegal_argument_exception", reason));
        }
        self.types.insert(field.to_owned(), kind.to_owned());
        Ok(())
    }
}

fn refused(reason: String) -> Misfit {
    ("document_parsing_exception", format!("[1:1] {reason}"))
}

fn misfit(field: &str, kind: &str) -> Misfit {
    refused(format!("failed to parse field [{field}] of type [{kind}] in document"))
}

fn check_name(name: &str) -> Result<(), Misfit> {
    if name.trim().is_empty() {
        return Err(refused("field name cannot contain only whitespace".to_owned()));
    }
    if name.split('.').any(|part| part.trim().is_empty()) {
        return Err(refused(format!(
            "object field starting or ending with a [.] makes object resolution ambiguous: [{name}]"
        )));
    }
    Ok(())
}

/// What a value would be taken for; nothing when it has no type.
fn guess(value: &Value) -> Option<&'static str> {
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

/// Tells whether a field of this type takes a value that is no object; texts are read as numbers where that is possible.
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

/// Tells whether a text is a date in the formats that are looked for: `2024-01-31`, with or without day and time, and
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
