//! Labels in filters.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::request::Query;

#[cfg(test)]
mod tests;

/// A label, with any value if none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    name: String,
    value: Option<String>,
}

/// The labels of a job's document.
#[derive(Deserialize)]
struct DocumentLabels {
    #[serde(default)]
    labels: Map<String, Value>,
}

impl Label {
    /// Reads `label`.
    pub(super) fn from_query(query: &mut Query) -> Option<Self> {
        let label = query.text("label").map(Self::parse);
        if label.as_ref().is_some_and(|label| label.name.is_empty()) {
            query.refuse("label", "Must be a name, or name=value.");
        }
        label
    }

    fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Self { name: text.to_owned(), value: None },
        }
    }

    /// Tells whether a job's document has the label.
    pub(super) fn matches(&self, document: &str) -> bool {
        let labels =
            serde_json::from_str::<DocumentLabels>(document).map(|labels| labels.labels).unwrap_or_default();
        self.is_among(&labels)
    }

    /// Tells whether it is among these labels.
    pub(super) fn is_among(&self, labels: &Map<String, Value>) -> bool {
        let found = labels.get(&self.name).and_then(Value::as_str);
        found.is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}
