//! Values of constants and defaults, as source code writes them and as a page does.

use std::fmt;
use std::time::Duration;

/// The value of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// A number of things or bytes.
    Count(u64),
    /// A length of time.
    Time(Duration),
    /// Computed when the program runs; not compared.
    Computed,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{}", grouped(*count)),
            Self::Time(time) => write!(f, "{time:?}"),
            Self::Computed => f.write_str("computed"),
        }
    }
}

impl Bound {
    /// Tells whether a text has this value, in one of the units of pages.
    pub(super) fn is_in(self, text: &str) -> bool {
        let (amount, units): (u64, &[(u64, &str)]) = match self {
            Self::Count(count) => (count, &[(1, ""), (1_000_000, "MB"), (1 << 10, "KiB"), (1 << 20, "MiB")]),
            Self::Time(time) => {
                let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                (millis, &[(1, "ms"), (1_000, "s"), (60_000, "minutes"), (3_600_000, "hours")])
            }
            Self::Computed => return true,
        };
        let mut whole = units.iter().filter(|(size, _)| amount % size == 0);
        whole.any(|(size, unit)| has_amount(text, &grouped(amount / size), unit))
    }
}

/// Writes a number as pages do: `16,384`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Tells whether a text has this number with this unit. A part of a longer number is none, and a number of bytes or
/// seconds is none of things.
fn has_amount(text: &str, number: &str, unit: &str) -> bool {
    text.match_indices(number).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + number.len()..]);
        let is_whole = !is_continued(before.chars().rev()) && !is_continued(after.chars());
        let next = after.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let has_unit = matches!(next, "MB" | "KiB" | "MiB" | "ms" | "s" | "minutes" | "hours");
        is_whole && if unit.is_empty() { !has_unit } else { next == unit }
    })
}

/// Tells whether a number goes on with these characters.
fn is_continued(mut chars: impl Iterator<Item = char>) -> bool {
    match chars.next() {
        Some(',' | '.') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        next => next.is_some_and(char::is_alphanumeric),
    }
}

/// Returns the value of a constant of a file.
pub(super) fn of_constant(text: &str, name: &str) -> Option<Bound> {
    let (_, declaration) = text.split_once(&format!("const {name}: "))?;
    let (_, expression) = declaration.split_once(';')?.0.split_once('=')?;
    Some(evaluate(expression.trim(), text).unwrap_or(Bound::Computed))
}

/// Returns the value that the first constructor or default of a file gives to a field.
pub(super) fn of_default(text: &str, field: &str) -> Option<Bound> {
    let (_, fields) = text.split_once("Self {")?;
    let assignment = format!("{field}: ");
    fields.lines().find_map(|line| {
        let line = line.trim_start();
        let fields = line.strip_prefix("Self { ").unwrap_or(line);
        let expression = fields.strip_prefix(&assignment)?.trim_end_matches([',', '}', ' ']);
        Some(evaluate(expression, text).unwrap_or(Bound::Computed))
    })
}

/// Computes numbers, their products and shifts, lengths of time, numbers that are not zero, and constants of the file.
fn evaluate(expression: &str, text: &str) -> Option<Bound> {
    let inner = |prefix: &str| expression.strip_prefix(prefix)?.split_once(')').map(|(inner, _)| inner);
    let count = |expression: &str| match evaluate(expression, text)? {
        Bound::Count(count) => Some(count),
        Bound::Time(_) | Bound::Computed => None,
    };
    let units = [("millis", 1), ("secs", 1_000), ("mins", 60_000), ("hours", 3_600_000)];
    for (unit, milliseconds) in units {
        let amount = inner(&format!("Duration::from_{unit}("));
        if let Some(amount) = amount.or_else(|| inner(&format!("SignedDuration::from_{unit}("))) {
            let length = count(amount)?.checked_mul(milliseconds)?;
            return Some(Bound::Time(Duration::from_millis(length)));
        }
    }
    for prefix in ["NonZeroUsize::new(", "NonZeroU32::new("] {
        if let Some(number) = inner(prefix) {
            return evaluate(number, text);
        }
    }
    if let Some((left, right)) = expression.split_once(" << ") {
        return count(left)?.checked_shl(u32::try_from(count(right)?).ok()?).map(Bound::Count);
    }
    if let Some((left, right)) = expression.split_once(" * ") {
        return count(left)?.checked_mul(count(right)?).map(Bound::Count);
    }
    if expression.starts_with(|c: char| c.is_ascii_uppercase()) {
        return of_constant(text, expression);
    }
    expression.replace('_', "").parse().ok().map(Bound::Count)
}
