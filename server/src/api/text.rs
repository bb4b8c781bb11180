//! Short texts.

/// Returns the first `most` characters of a text; a longer one ends with an ellipsis.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_longer_text_ends_with_an_ellipsis() {
        assert_eq!([shortened("añb", 3), shortened("añbc", 3)], ["añb", "añ…"]);
    }
}
