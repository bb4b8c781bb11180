//! One expression of one field: `*/5`, `10-20/2`, `mon-fri`, `last fri`.

use super::Field;
use super::number::Number;
use crate::schedule::item::Item;

impl Item {
    /// Fast path for the usual forms: `*`, or a number within the field's bounds; `None` for any other.
    pub(super) fn plain(text: &str, field: &Field) -> Option<Self> {
        if text == "*" {
            return Some(Self::Every { step: 1 });
        }
        if text.len() > 4 || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let value = text.parse().ok().filter(|value| (field.min..=field.max).contains(value))?;
        Some(Self::single(value))
    }
}

/// An item, and whether only the Python version's lenient names explain it.
pub(super) struct Parsed {
    pub(super) item: Item,
    pub(super) lenient: bool,
}

const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const REVERSED: &str = "The minimum value in a range must not be higher than the maximum";

impl Parsed {
    fn strict(item: Item) -> Self {
        Self { item, lenient: false }
    }
}

/// Parses one expression; the first form that fits decides. The error is the Python version's message.
pub(super) fn parse(text: &str, field: &Field) -> Result<Parsed, String> {
    let parsed = match text.strip_prefix('*') {
        Some("") => Some(Ok(Parsed::strict(Item::Every { step: 1 }))),
        Some(rest) => rest.strip_prefix('/').and_then(whole_number).map(|step| every(text, step, field)),
        None => numeric(text).map(|numbers| numbers.check(text, field)),
    };
    let parsed = parsed.or_else(|| match field.name {
        "day" => day_name(text),
        "day_of_week" => name_range(text, "weekday", &WEEKDAYS, 0),
        "month" => name_range(text, "month", &MONTHS, 1),
        _ => None,
    });
    parsed.unwrap_or_else(|| Err(unrecognized(text, field)))
}

pub(super) fn unrecognized(text: &str, field: &Field) -> String {
    format!("Unrecognized expression \"{text}\" for field \"{}\"", field.name)
}

fn whole_number(text: &str) -> Option<Number<'_>> {
    Number::take(text).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

fn every(text: &str, step: Number<'_>, field: &Field) -> Result<Parsed, String> {
    if step.value() == 0 {
        return Err("Increment must be higher than 0".to_owned());
    }
    let range = i128::from(field.max - field.min);
    if step.value() > range {
        return Err(invalid(text, &step_too_long(&step, range)));
    }
    Ok(Parsed { item: Item::Every { step: small(step.value()) }, lenient: !step.is_ascii() })
}

/// `first`, `first-last`, `first/step` or `first-last/step`.
struct Numeric<'a> {
    first: Number<'a>,
    last: Option<Number<'a>>,
    step: Option<Number<'a>>,
}

fn numeric(text: &str) -> Option<Numeric<'_>> {
    let (first, mut rest) = Number::take(text)?;
    let (mut last, mut step) = (None, None);
    if let Some(tail) = rest.strip_prefix('-') {
        let (number, tail) = Number::take(tail)?;
        (last, rest) = (Some(number), tail);
    }
    if let Some(tail) = rest.strip_prefix('/') {
        let (number, tail) = Number::take(tail)?;
        (step, rest) = (Some(number), tail);
    }
    rest.is_empty().then_some(Numeric { first, last, step })
}

impl Numeric<'_> {
    /// Checks in the order of the Python version, so that the same mistake gives the same message.
    fn check(&self, text: &str, field: &Field) -> Result<Parsed, String> {
        let (min, max) = (i128::from(field.min), i128::from(field.max));
        let first = &self.first;
        let last = if self.step.is_none() { Some(self.last.unwrap_or(*first)) } else { self.last };
        let step = self.step.as_ref();
        if step.is_some_and(|step| step.value() == 0) {
            return Err("Increment must be higher than 0".to_owned());
        }
        if last.is_some_and(|last| first.compare(&last).is_gt()) {
            return Err(REVERSED.to_owned());
        }
        if let Some(step) = step.filter(|step| step.value() > max - min) {
            return Err(invalid(text, &step_too_long(step, max - min)));
        }
        if first.value() < min {
            return Err(invalid(
                text,
                &format!("the first value ({first}) is lower than the minimum value ({min})"),
            ));
        }
        if let Some(last) = last.filter(|last| last.value() > max) {
            return Err(invalid(
                text,
                &format!("the last value ({last}) is higher than the maximum value ({max})"),
            ));
        }
        // A last value of 0 counts as none here: `0-0/59` was accepted.
        let end = last.map(|last| last.value()).filter(|&last| last != 0).unwrap_or(max);
        if let Some(step) = step.filter(|step| step.value() > end - first.value()) {
            return Err(invalid(text, &step_too_long(step, end - first.value())));
        }
        let item = Item::Range {
            first: small(first.value()),
            last: small(last.map_or(max, |last| last.value())),
            step: step.map_or(1, |step| small(step.value())),
        };
        let numbers = [Some(*first), last, self.step];
        Ok(Parsed { item, lenient: !numbers.iter().flatten().all(Number::is_ascii) })
    }
}

/// A value that was checked to be within its field, so at most 9999.
fn small(value: i128) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn step_too_long(step: &Number<'_>, range: i128) -> String {
    format!("the step value ({step}) is higher than the total range of the expression ({range})")
}

fn invalid(text: &str, why: &str) -> String {
    format!("Error validating expression '{text}': {why}")
}

/// `2nd fri`, `last fri` and `last`. The Python version matched them as prefixes.
fn day_name(text: &str) -> Option<Result<Parsed, String>> {
    let position = |(row, name): (usize, &&str)| Some((row, strip_prefix_ignoring_case(text, name)?));
    let (row, rest) = POSITIONS.iter().enumerate().find_map(position)?;
    let word = rest.trim_start_matches(' ');
    let length = match word.chars().next() {
        Some(c) if c.is_numeric() => word.find(|c: char| !c.is_numeric()),
        _ => word.find(|c: char| !c.is_alphanumeric() && c != '_'),
    };
    let (name, dropped) = word.split_at(length.unwrap_or(word.len()));
    if word.len() < rest.len() && !name.is_empty() {
        let Some(weekday) = index_of(name, &WEEKDAYS) else {
            return Some(Err(format!("Invalid weekday name \"{name}\"")));
        };
        return Some(Ok(Parsed { item: Item::Nth { row, weekday }, lenient: !dropped.is_empty() }));
    }
    let last = row == POSITIONS.len() - 1;
    last.then_some(Ok(Parsed { item: Item::FromEnd { back: 0 }, lenient: !rest.is_empty() }))
}

/// `mon`, `mon-fri`; the Python version ignores the rest.
fn name_range(text: &str, kind: &str, names: &[&str], base: usize) -> Option<Result<Parsed, String>> {
    let (first, rest) = take_letters(text)?;
    let (last, dropped) = match rest.strip_prefix('-').and_then(take_letters) {
        Some((last, dropped)) => (Some(last), dropped),
        None => (None, rest),
    };
    let value = |name: &str| match index_of(name, names) {
        Some(index) => Ok(small((index + base) as i128)),
        None => Err(format!("Invalid {kind} name \"{name}\"")),
    };
    let range = || {
        let first = value(first)?;
        let last = last.map_or(Ok(first), value)?;
        if first > last {
            return Err(REVERSED.to_owned());
        }
        Ok(Parsed { item: Item::Range { first, last, step: 1 }, lenient: !dropped.is_empty() })
    };
    Some(range())
}

fn index_of(name: &str, names: &[&str]) -> Option<usize> {
    names.iter().position(|known| known.eq_ignore_ascii_case(name))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Splits leading letters off: a to z in any case, and the four characters whose other case is one of them.
fn take_letters(text: &str) -> Option<(&str, &str)> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, 'İ' | 'ı' | 'ſ' | '\u{212A}');
    let length = text.find(|c| !is_letter(c)).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}
