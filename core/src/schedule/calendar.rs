//! Gregorian arithmetic on whole numbers: days since 1970-01-01, months, weekdays, ISO weeks.
//!
//! The search for the next tick touches dates millions of times a second, so it works on `i64` day
//! numbers. [`jiff`] keeps the time zones; this file knows nothing of them.

use std::sync::LazyLock;

/// Seconds in a day of a clock that never changes.
pub(super) const DAY: i64 = 86_400;

/// First year that a schedule can name.
pub(super) const FIRST_YEAR: i32 = 1970;
/// Last year that a schedule can name.
pub(super) const LAST_YEAR: i32 = 9999;

/// A date of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i32,
    /// 1 to 12.
    pub(super) month: u32,
    /// 1 to 31.
    pub(super) day: u32,
}

/// Converts a date to days since 1970-01-01.
///
/// # Source
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the
/// leap day is the last day of a year.
pub(super) fn to_days(date: Date) -> i64 {
    let year = i64::from(date.year) - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((date.month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Converts days since 1970-01-01 to a date.
///
/// # Source
/// As [`to_days`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "years stay within ±10,000, months and days within 31"
)]
pub(super) fn from_days(days: i64) -> Date {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year: year as i32, month: month as u32, day: day as u32 }
}

/// Weekday of a day number: 0 is Monday, 6 is Sunday.
#[expect(clippy::cast_possible_truncation, reason = "a remainder by 7")]
pub(super) fn weekday(days: i64) -> u32 {
    (days + 3).rem_euclid(7) as u32
}

pub(super) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in a month, 28 to 31.
pub(super) fn month_length(year: i32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// ISO 8601 week, 1 to 53: the week belongs to the year that its Thursday is in.
#[expect(clippy::cast_possible_truncation, reason = "a week number")]
pub(super) fn iso_week(days: i64) -> u32 {
    let thursday = days - i64::from(weekday(days)) + 3;
    let new_year = to_days(Date { month: 1, day: 1, ..from_days(thursday) });
    ((thursday - new_year) / 7 + 1) as u32
}

/// A number below 28 that two years share only if every date has the same weekday and ISO week in both.
///
/// The weekday of 1 January and the length of the year fix all weekdays; the length of the year before
/// decides whether a Saturday 1 January lies in week 52 or 53.
pub(super) fn year_class(year: i32) -> u32 {
    let first = weekday(to_days(Date { year, month: 1, day: 1 }));
    first * 4 + u32::from(is_leap(year)) * 2 + u32::from(is_leap(year - 1))
}

/// The classes that occur at all, as bits: when none of them holds a date, no year does.
///
/// The Gregorian calendar with its weeks and weekdays repeats after 400 years.
pub(super) static YEAR_CLASSES: LazyLock<u32> =
    LazyLock::new(|| (FIRST_YEAR..FIRST_YEAR + 400).fold(0, |classes, year| classes | 1 << year_class(year)));

#[cfg(test)]
mod tests;
