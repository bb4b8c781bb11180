//! Detection of characters that change how the surrounding text is displayed.

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
