//! Timestamps as the Python version reads and prints them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;

use super::scalar::{NULL, string};
use crate::job::field_error::{FieldError, FieldPath};

/// A timestamp with its original offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    local: DateTime,
    offset: Offset,
}

impl Moment {
    /// Parses `YYYY-M-D`, `T` or one blank, `H:M[:S[.fraction]]`, and nothing (UTC), `Z`, `+HH`, `+HHMM` or `+HH:MM`.
    ///
    /// The fraction is cut to microseconds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan(text);
        let year = scan.digits(4, 4)?;
        let month = scan.after('-')?.digits(1, 2)?;
        let day = scan.after('-')?.digits(1, 2)?;
        if scan.after('T').is_none() {
            scan.after(' ')?;
        }
        let hour = scan.digits(1, 2)?;
        let minute = scan.after(':')?.digits(1, 2)?;
        let (mut second, mut nanos) = (0, 0);
        if scan.after(':').is_some() {
            second = scan.digits(1, 2)?;
            if scan.after('.').is_some() {
                nanos = scan.micros()? * 1_000;
            }
        }
        let offset = scan.offset()?;
        let small = |n: i32| i8::try_from(n).ok();
        let local = DateTime::new(
            i16::try_from(year).ok().filter(|year| *year > 0)?,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second)?,
            nanos,
        )
        .ok()?;
        Some(Self { at: offset.to_timestamp(local).ok()?, local, offset })
    }

    /// Prints `2098-06-01T12:00:00[.ffffff]+HH:MM`.
    pub(super) fn print(&self) -> String {
        let micros = self.local.subsec_nanosecond() / 1_000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        let seconds = self.offset.seconds();
        let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
        let local = self.local.strftime("%Y-%m-%dT%H:%M:%S");
        format!("{local}{fraction}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The message about a text that is no timestamp, in the words of the Python version.
pub const NOT_A_DATETIME: &str = "Not a valid datetime.";
/// The forms of timestamps, for a sentence after [`NOT_A_DATETIME`].
pub const DATETIME_FORMS: &str = "Write a date and a time, as in 2030-01-31T09:00:00Z or 2030-01-31T09:00:00+01:00, up to \
                                  9999-12-30T22:00:00Z.";

/// Reads a timestamp.
pub(super) fn moment(value: &Value, path: &FieldPath<'_>) -> Result<Moment, FieldError> {
    if value.is_null() {
        return Err(path.error(NULL));
    }
    let text = string(value, path).ok();
    text.and_then(Moment::parse)
        .ok_or_else(|| FieldError { hint: Some(DATETIME_FORMS.to_owned()), ..path.error(NOT_A_DATETIME) })
}

struct Scan<'a>(&'a str);

impl Scan<'_> {
    /// Consumes a character, if it comes next.
    fn after(&mut self, c: char) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(c)?;
        Some(self)
    }

    /// Consumes a number of `least` to `most` digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<i32> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits.parse().ok()
    }

    /// Consumes 1 to 12 digits of a fraction and returns it in microseconds.
    fn micros(&mut self) -> Option<i32> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 || count > 12 {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        format!("{:0<6}", &digits[..count.min(6)]).parse().ok()
    }

    /// Reads the offset at the end of the text; none is UTC.
    fn offset(&mut self) -> Option<Offset> {
        if self.0.is_empty() || self.0 == "Z" {
            return Some(Offset::UTC);
        }
        let sign = if self.after('+').is_some() {
            1
        } else {
            self.after('-')?;
            -1
        };
        let hours = self.digits(1, 2)?;
        let minutes = match self.0 {
            "" => 0,
            _ => {
                let _ = self.after(':');
                self.digits(1, 2)?
            }
        };
        let fine = self.0.is_empty() && hours < 24 && minutes < 60;
        if fine { Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok() } else { None }
    }
}
