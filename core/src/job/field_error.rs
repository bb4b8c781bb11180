//! Errors of a document's fields: the pointer, the message, and the Python version's form of it.

use std::fmt;

use serde_json::{Map, Value};

/// One thing that is wrong with a job document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct FieldError {
    /// A JSON pointer to the wrong field: `/overrides/0/containerName`; empty for the document as a whole.
    pub pointer: String,
    /// The place of the message in the Python version's `messages`: `["trigger", "_schema"]`.
    pub key: Vec<String>,
    /// The error and the allowed values, in the Python version's words where it had this message.
    pub message: String,
    /// The probable meaning, which follows the message; the Python version's `messages` have none.
    pub hint: Option<String>,
}

impl FieldError {
    /// Returns the message, followed by the hint.
    #[must_use]
    pub fn explained(&self) -> String {
        let Some(hint) = &self.hint else { return self.message.clone() };
        let separator = if self.message.ends_with('.') { " " } else { "; " };
        format!("{}{separator}{hint}", self.message)
    }
}

/// Nests messages as the Python version does: by field, then by index or inner field, each leaf a list.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::job::{FieldError, messages};
/// let error = FieldError {
///     pointer: "/overrides/0/containerName".to_owned(),
///     key: ["overrides", "0", "containerName"].map(str::to_owned).to_vec(),
///     message: "Not a valid string.".to_owned(),
///     hint: None,
/// };
/// assert_eq!(
///     messages(&[error]).to_string(),
///     r#"{"overrides":{"0":{"containerName":["Not a valid string."]}}}"#
/// );
/// ```
#[must_use]
pub fn messages(errors: &[FieldError]) -> Value {
    let mut tree = Map::new();
    for error in errors {
        insert(&mut tree, &error.key, &error.message);
    }
    Value::Object(tree)
}

/// The key under which the Python version lists the errors of an object as a whole.
pub(super) const WHOLE: &str = "_schema";

fn insert(tree: &mut Map<String, Value>, key: &[String], message: &str) {
    let (first, rest) = match key {
        [] => (WHOLE, key),
        [first, rest @ ..] => (first.as_str(), rest),
    };
    let slot = tree.entry(first).or_insert(Value::Null);
    match slot {
        Value::Object(inner) => insert(inner, rest, message),
        Value::Array(list) if rest.is_empty() => list.push(message.into()),
        Value::Array(list) => {
            let mut inner = Map::from_iter([(WHOLE.to_owned(), Value::Array(std::mem::take(list)))]);
            insert(&mut inner, rest, message);
            *slot = Value::Object(inner);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) if rest.is_empty() => {
            *slot = Value::Array(vec![message.into()]);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let mut inner = Map::new();
            insert(&mut inner, rest, message);
            *slot = Value::Object(inner);
        }
    }
}

/// The path of a value in the document: a linked list on the stack, formatted only when there is an error.
#[derive(Debug, Clone, Copy)]
pub(in crate::job) struct FieldPath<'a> {
    parent: Option<&'a FieldPath<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl<'a> FieldPath<'a> {
    pub(in crate::job) const fn field(name: &'a str) -> Self {
        Self { parent: None, segment: Segment::Key(name) }
    }

    pub(super) const fn key(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Key(name) }
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), segment: Segment::Index(index) }
    }

    /// Makes an error about the value at this path.
    pub(in crate::job) fn error(&self, message: impl Into<String>) -> FieldError {
        let (mut pointer, mut key) = (String::new(), Vec::new());
        self.write_into(&mut pointer, &mut key);
        FieldError { pointer, key, message: message.into(), hint: None }
    }

    /// Makes an error about an object as a whole, or about a value that must be an object.
    pub(super) fn error_of_whole(&self, message: impl Into<String>) -> FieldError {
        let mut error = self.error(message);
        error.key.push(WHOLE.to_owned());
        error
    }

    fn write_into(&self, pointer: &mut String, key: &mut Vec<String>) {
        if let Some(parent) = self.parent {
            parent.write_into(pointer, key);
        }
        let segment = self.segment.to_string();
        pointer.push('/');
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
        key.push(segment);
    }
}

/// Makes an error about the document as a whole.
pub(super) fn whole(message: impl Into<String>) -> FieldError {
    FieldError { pointer: String::new(), key: vec![WHOLE.to_owned()], message: message.into(), hint: None }
}

/// Makes the message about an unknown name, with the nearest known one.
pub(super) fn unknown_field(name: &str, known: &[&str]) -> String {
    let lower = name.to_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_lowercase(), &lower);
    let nearest = known
        .iter()
        .map(|known| (likeness(known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    match nearest {
        Some((_, nearest)) => format!("Unknown field. Did you mean \"{nearest}\"?"),
        None => "Unknown field.".to_owned(),
    }
}
