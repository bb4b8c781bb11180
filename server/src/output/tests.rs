use serde_json::json;

use super::{json_text, printable, printable_lines};

/// Red text, a title, a new line with a lie, the 8-bit form of an escape sequence, and a turn of direction.
const HOSTILE: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\r\nok: all jobs are well\u{9b}2J\u{202e}txt.exe";

#[test]
fn escape_sequences_and_marks_of_direction_are_shown_and_not_obeyed() {
    assert_eq!(
        printable(HOSTILE),
        r"\u{1b}[31mred\u{1b}]0;title\u{7}\u{d}\u{a}ok: all jobs are well\u{9b}2J\u{202e}txt.exe"
    );
    assert_eq!(printable("60 ÷ 5 → 12, größer als „0“"), "60 ÷ 5 → 12, größer als „0“");
    assert_eq!(printable_lines("a\tb\n\u{1b}c\n"), "a\tb\n\\u{1b}c\n");
}

#[test]
fn json_for_a_terminal_is_the_same_document_without_anything_that_acts() {
    let document = json!({ "description": HOSTILE });
    let text = json_text(&document);
    assert_eq!(printable_lines(&text), text);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
}
