//! Tables for people: no lines, columns aligned, plain text.

use comfy_table::{Table, presets};
use serde_json::{Number, Value};

use crate::output::printable;

/// Lays rows out under a header. Without rows there is only the header. Each row is one line of [`printable`] text.
#[must_use]
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    // Every cell is padded by a blank on each side; the outer ones are removed.
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

/// Returns the text of a field, for a line; `–` when it is not there.
#[must_use]
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => printable(text).into_owned(),
        Value::Number(number) => plain(number),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => printable(&value.to_string()).into_owned(),
    }
}

/// Returns a number; a whole one without `.0`.
fn plain(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}
