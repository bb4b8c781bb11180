//! The eight-field syntax: `second minute hour day_of_week week day month year`.
//!
//! Fields that are left out on the right are `*`; all fields must match. The grammar, the order of the checks and the
//! messages are those of the Python version, whose clients rely on them.

mod item;
mod number;

use std::borrow::Cow;

use super::Strictness;
use super::builder::PatternBuilder;
use super::error::ScheduleError;
use super::field::{DAY, DAY_OF_WEEK, FIELDS, Field, HOUR, MINUTE, MONTH, SECOND, WEEK, YEAR};
use super::item::Item;
use super::pattern::Pattern;

/// The order in which the Python version checks the fields.
const CHECKED: [usize; 8] = [YEAR, MONTH, DAY, WEEK, DAY_OF_WEEK, HOUR, MINUTE, SECOND];

/// Words of an expression with the byte at which each begins, separated as Python's `str.split` does.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(blank);
        let (word, tail) = rest.split_at(rest.find(blank).unwrap_or(rest.len()));
        let start = text.len() - rest.len();
        rest = tail;
        (!word.is_empty()).then_some((start, word))
    })
}

/// Calls back for every item of every field, with its text.
pub(super) fn parse(
    text: &str,
    strictness: Strictness,
    mut visit: impl FnMut(usize, &str, Item),
) -> Result<(), ScheduleError> {
    let mut given = [(0, "*"); 8];
    for (word, slot) in words(text).zip(&mut given) {
        *slot = word;
    }
    if text.is_empty() || (words(text).next().is_none() && strictness == Strictness::Strict) {
        return Err(ScheduleError::syntax("Schedule is empty")
            .allowing("a schedule such as `0 30 2` for 02:30 every day"));
    }
    let mut lenient = None;
    for index in CHECKED {
        let (start, word) = given[index];
        let field = &FIELDS[index];
        let position = || text[..start].chars().count();
        let refuse = |message: String| {
            ScheduleError::syntax(message).in_field(field.name, field.allowed).at_position(position())
        };
        if let Some(item) = Item::plain(word, field) {
            visit(index, word, item);
            continue;
        }
        for part in expanded(word, index).split(',') {
            let part = part.trim_matches(' ');
            let parsed = item::parse(part, field).map_err(refuse)?;
            if parsed.lenient && lenient.is_none() {
                lenient = Some(refuse(item::unrecognized(part, field)));
            }
            visit(index, part, parsed.item);
        }
    }
    if strictness == Strictness::Lenient {
        return Ok(());
    }
    if let Some((start, word)) = words(text).nth(FIELDS.len()) {
        let message = format!("Too many fields: expected at most 8, found \"{word}\" after them");
        return Err(ScheduleError::syntax(message).at_position(text[..start].chars().count()));
    }
    lenient.map_or(Ok(()), Err)
}

/// In the day field `_` stands for a blank.
fn expanded(word: &str, index: usize) -> Cow<'_, str> {
    if index == DAY && word.contains('_') {
        Cow::Owned(word.replace('_', " ").trim_matches(' ').to_owned())
    } else {
        Cow::Borrowed(word)
    }
}

/// Parses and compiles an expression.
pub(super) fn compile(text: &str, strictness: Strictness) -> Result<Pattern, ScheduleError> {
    let mut builder = PatternBuilder::new();
    parse(text, strictness, |index, _, item| builder.add(index, item))?;
    Ok(builder.finish())
}
