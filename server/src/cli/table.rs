//! Tables for people: no lines, columns aligned, plain text.

use comfy_table::{Table, presets};
use serde_json::Value;

/// Lays rows out under a header. Without rows there is only the header.
#[must_use]
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    // Every cell is padded by a blank on each side; the outer ones go.
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

/// Returns the text of a field; `–` when it is not there.
#[must_use]
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
