//! Detection of characters that change how the surrounding text is displayed, bounded or printable text from outside, and plain
//! words for types.

/// Tells whether a character is invisible and changes how other text is displayed: control characters except line feed and
/// tab, marks of direction, line and paragraph separators, and noncharacters.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::text::is_unprintable;
/// assert!(is_unprintable('\u{1b}') && is_unprintable('\u{202e}'));
/// assert!(!is_unprintable('\n') && !is_unprintable('ü'));
/// ```
///
/// # Source
///
/// <https://www.unicode.org/reports/tr9/>, section 2, lists the marks of direction.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{fdd0}'..='\u{fdef}' => true,
        _ => character.is_control() || u32::from(character) & 0xfffe == 0xfffe,
    }
}

/// Returns the reason to reject a text, if it contains an [unprintable](is_unprintable) character.
#[must_use]
pub fn refusal(text: &str) -> Option<String> {
    let found = text.chars().find(|character| is_unprintable(*character))?;
    Some(format!(
        "Contains U+{:04X}, a control character or a mark of direction; remove it.",
        u32::from(found)
    ))
}

/// The maximum length of a [line](make_line), in characters.
pub const MAX_LINE: usize = 2_000;

/// Makes one printable line of a text from outside: a line break or a tab becomes a blank, any other
/// [unprintable](is_unprintable) character becomes U+FFFD, and a text of more than [`MAX_LINE`] characters is cut and ends
/// with an ellipsis. A text that is such a line stays as it is, without an allocation.
///
/// The engine does this with every text of a trigger, a launcher or an error before the text reaches the journal: a store
/// may refuse U+0000 or a long text.
///
/// # Example
///
/// ```
/// let mut text = "access denied\n\u{0} by a proxy".to_owned();
/// ecs_scheduler_core::text::make_line(&mut text);
/// assert_eq!(text, "access denied \u{fffd} by a proxy");
/// ```
pub fn make_line(text: &mut String) {
    let is_replaced = |character: char| matches!(character, '\n' | '\t') || is_unprintable(character);
    let is_short = text.len() <= MAX_LINE || text.chars().nth(MAX_LINE).is_none();
    if is_short && (text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_replaced)) {
        return;
    }
    let replace = |character| if is_replaced(character) { replacement(character) } else { character };
    let mut characters = text.chars().map(replace);
    let mut line: String = characters.by_ref().take(MAX_LINE - 1).collect();
    let last = characters.next();
    line.extend(if characters.next().is_some() { Some('…') } else { last });
    *text = line;
}

/// Replaces each [unprintable](is_unprintable) character of a text from outside, as [`make_line`] does. Line feeds and tabs
/// stay, and the text keeps its length in characters. A printable text stays as it is, without an allocation.
///
/// # Example
///
/// ```
/// let mut text = "\u{1b}[32mok\n\tdone".to_owned();
/// ecs_scheduler_core::text::make_printable(&mut text);
/// assert_eq!(text, "\u{fffd}[32mok\n\tdone");
/// ```
pub fn make_printable(text: &mut String) {
    if text.contains(is_unprintable) {
        let replace = |character| if is_unprintable(character) { replacement(character) } else { character };
        *text = text.chars().map(replace).collect();
    }
}

/// Returns the character that replaces one which must not be shown.
fn replacement(character: char) -> char {
    if character.is_whitespace() { ' ' } else { char::REPLACEMENT_CHARACTER }
}

/// The types of Rust that errors of serde name, in plain words.
const TYPES: [(&str, &str); 13] = [
    ("a nonzero u16", "a whole number from 1 to 65,535"),
    ("a nonzero u32", "a whole number from 1 to 4,294,967,295"),
    ("a nonzero u64", "a whole number, 1 or more"),
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65,535"),
    ("u32", "a whole number from 0 to 4,294,967,295"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i32", "a whole number from -2,147,483,648 to 2,147,483,647"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("a sequence", "a list"),
    ("a map", "an object"),
];

/// Replaces the name of a Rust type at the end of an error of serde by plain words and bounds.
///
/// # Example
///
/// ```
/// use ecs_scheduler_core::text::describe_types;
/// let error = serde_json::from_str::<std::num::NonZeroU32>("0").unwrap_err();
/// let expected = "invalid value: integer `0`, expected a whole number from 1 to 4,294,967,295 at line 1 column 1";
/// assert_eq!(describe_types(&error.to_string()), expected);
/// ```
#[must_use]
pub fn describe_types(error: &str) -> String {
    const EXPECTED: &str = ", expected ";
    let Some((before, expected)) = error.rsplit_once(EXPECTED) else { return error.to_owned() };
    let (name, place) = expected.split_at(expected.find(" at line ").unwrap_or(expected.len()));
    let words = match TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, words)) => words,
        None if name.starts_with("struct ") => "an object",
        None => return error.to_owned(),
    };
    format!("{before}{EXPECTED}{words}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> String {
        let mut text = text.to_owned();
        make_line(&mut text);
        text
    }

    #[test]
    fn types_at_the_end_of_an_error_are_described_and_other_texts_stay() {
        for (error, described) in [
            (
                "invalid type: string \"x\", expected u32",
                "invalid type: string \"x\", expected a whole number from 0 to 4,294,967,295",
            ),
            (
                "invalid type: map, expected a sequence at line 3 column 9",
                "invalid type: map, expected a list at line 3 column 9",
            ),
            (
                "invalid type: integer `1`, expected struct Given",
                "invalid type: integer `1`, expected an object",
            ),
            ("unknown field `x`, expected one of `a`, `b`", "unknown field `x`, expected one of `a`, `b`"),
            ("missing field `u32`", "missing field `u32`"),
        ] {
            assert_eq!(describe_types(error), described);
        }
    }

    #[test]
    fn line_of_printable_text_keeps_its_allocation() {
        for text in ["access denied", "", "60 ÷ 5 → 12, größer als „0“", &"ü".repeat(MAX_LINE)] {
            let mut same = text.to_owned();
            let before = same.as_ptr();
            make_line(&mut same);
            assert_eq!((same.as_str(), same.as_ptr()), (text, before));
        }
    }

    #[test]
    fn line_replaces_control_characters_and_marks_of_direction() {
        assert_eq!(line("a\r\nb\tc\u{2028}d"), "a  b c d");
        assert_eq!(line("\u{0}\u{1b}[31m\u{202e}ü"), "\u{fffd}\u{fffd}[31m\u{fffd}ü");
    }

    #[test]
    fn long_text_is_cut_and_ends_with_an_ellipsis() {
        assert_eq!(line(&"a".repeat(MAX_LINE)), "a".repeat(MAX_LINE));
        assert_eq!(line(&"ü".repeat(MAX_LINE + 1)), "ü".repeat(MAX_LINE - 1) + "…");
        assert_eq!(line(&("\u{0}".to_owned() + &"a".repeat(MAX_LINE - 1))).chars().last(), Some('a'));
    }

    proptest! {
        #[test]
        fn line_of_any_text_is_printable_bounded_and_final(text in "\\PC{0,20}|(?s).{0,2100}") {
            let once = line(&text);
            prop_assert!(once.chars().count() <= MAX_LINE);
            prop_assert!(!once.contains(['\n', '\t']) && refusal(&once).is_none());
            prop_assert_eq!(line(&once), once);
        }

        #[test]
        fn printable_text_keeps_its_length_its_line_feeds_and_its_tabs(text in "(?s).{0,200}") {
            let mut made = text.clone();
            make_printable(&mut made);
            prop_assert!(refusal(&made).is_none());
            prop_assert_eq!(made.chars().count(), text.chars().count());
            let kept = |text: &str| text.match_indices(['\n', '\t']).count();
            prop_assert_eq!(kept(&made), kept(&text));
        }
    }
}
