//! Durations in a job's document: `90s`, `5m`, `1h30m`.

use std::time::Duration;

use serde_json::Value;

use super::scalar::string;
use crate::job::field_error::{FieldError, FieldPath};

/// Bounds of a duration, inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Bounds {
    /// From `least` to `most` seconds.
    pub(super) const fn seconds(least: u64, most: u64) -> Self {
        Self { least: Duration::from_secs(least), most: Duration::from_secs(most) }
    }
}

/// Units from the longest to the shortest, with their length in milliseconds. A day is 24 hours.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a duration: whole numbers with the units `d`, `h`, `m`, `s`, `ms`, each once at most, longest first.
///
/// Returns `None` for any other text. Rejected: jiff's friendly format, because it also reads `2 hours ago`, `1:30:00` and
/// fractions, which job documents do not need.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use ecs_scheduler_core::job::parse_duration;
/// assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5_400)));
/// assert_eq!(parse_duration("30m1h"), None);
/// ```
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at(letters);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(units[at].1)?)?;
        if tail.is_empty() {
            return Some(Duration::from_millis(total));
        }
        units = &units[at + 1..];
        rest = tail;
    }
}

/// Writes a duration the way [`parse_duration`] reads it; less than a millisecond is cut off.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in UNITS {
        if left >= length {
            text.push_str(&format!("{}{unit}", left / length));
            left %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads a duration within bounds.
pub(super) fn duration(value: &Value, path: &FieldPath<'_>, bounds: Bounds) -> Result<Duration, FieldError> {
    let wrong = "Not a valid duration: write a string such as \"90s\", \"5m\" or \"1h30m\".";
    let text = if value.is_null() { string(value, path)? } else { value.as_str().unwrap_or_default() };
    let duration = parse_duration(text).ok_or_else(|| path.error(wrong))?;
    if duration < bounds.least || duration > bounds.most {
        let (least, most) = (format_duration(bounds.least), format_duration(bounds.most));
        return Err(path.error(format!("Must be between {least} and {most}.")));
    }
    Ok(duration)
}
