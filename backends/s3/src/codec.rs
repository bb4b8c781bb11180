//! The encoding of documents, as the Python version writes them: `json.dumps(document, sort_keys=True)`.
//!
//! The Python version reads any JSON. The same encoding keeps its files, and programs that compare them, unchanged. Numbers are copied.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// Encodes a document: keys sorted, a space after each colon and comma, only ASCII.
///
/// # Errors
///
/// Fails when an object or an array nests deeper than JSON readers allow.
pub(crate) fn to_python_json(document: &RawValue) -> serde_json::Result<String> {
    let mut text = String::with_capacity(document.get().len() + document.get().len() / 8);
    write_value(document.get(), &mut text)?;
    Ok(text)
}

fn write_value(json: &str, text: &mut String) -> serde_json::Result<()> {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
            write_list(text, ['{', '}'], members, |(name, member), text| {
                write_string(&name, text);
                text.push_str(": ");
                write_value(member.get(), text)
            })
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            write_list(text, ['[', ']'], items, |item, text| write_value(item.get(), text))
        }
        Some(b'"') => {
            write_string(&serde_json::from_str::<String>(json)?, text);
            Ok(())
        }
        _ => {
            text.push_str(json.trim());
            Ok(())
        }
    }
}

fn write_list<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    text.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        write(item, text)?;
    }
    text.push(close);
    Ok(())
}

fn write_string(content: &str, text: &mut String) {
    text.push('"');
    for c in content.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}
