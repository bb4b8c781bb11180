//! Output of the program: text from outside is escaped for a terminal.
//!
//! A job's description, a queue's name or a file may hold escape sequences that move the cursor, hide a line or change
//! the title of a window, and marks that change the direction of text. Each such character is shown as `\u{1b}`.

pub(crate) mod table;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use ecs_scheduler_core::text::is_unprintable;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// Tells whether a terminal interprets a character instead of showing it.
fn acts(character: char) -> bool {
    matches!(character, '\n' | '\t') || is_unprintable(character)
}

/// Returns a text from outside as one line: every character that a terminal interprets is escaped, line ends too.
#[must_use]
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// Returns a whole text for printing: line ends and tabs are kept.
#[must_use]
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// Returns JSON with indentation. Characters that act are escaped as JSON escapes them, so it remains the same
/// document.
#[must_use]
pub(crate) fn json_text(value: &Value) -> String {
    printable_json(&format!("{value:#}\n")).into_owned()
}

/// Escapes each character of JSON that a terminal interprets, except line ends, as JSON escapes it.
#[must_use]
pub(crate) fn printable_json(text: &str) -> Cow<'_, str> {
    // In JSON these characters occur only within strings.
    let acts = |character: char| character != '\n' && acts(character);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn escaped<'t>(text: &'t str, kept: &[char]) -> Cow<'t, str> {
    let acts = |character: char| acts(character) && !kept.contains(&character);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Prints a result. A closed standard output, as after `head`, is ignored.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(printable_lines(text).as_bytes());
}

/// Prints a message to standard error. A closed standard error is ignored.
pub(crate) fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(printable_lines(text).as_bytes());
}
