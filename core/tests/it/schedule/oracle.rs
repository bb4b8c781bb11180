//! An independent, slow reading of schedules: text against one wall-clock time, and one instant at a time.
//!
//! It shares nothing with the product: fields are matched as text, dates come from jiff, and the rule for
//! changes of the clock is jiff's `compatible` disambiguation.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Whether a wall-clock time matches eight strictly written fields.
pub(crate) fn matches_fields(text: &str, at: DateTime) -> bool {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.resize(8, "*".to_owned());
    let number = |value: i8| i64::from(value);
    let week = at.date().iso_week_date().week();
    let weekday = number(at.weekday().to_monday_zero_offset());
    field(&words[0], 0, number(at.second()), &[])
        && field(&words[1], 0, number(at.minute()), &[])
        && field(&words[2], 0, number(at.hour()), &[])
        && field(&words[3], 0, weekday, &WEEKDAYS)
        && field(&words[4], 1, number(week), &[])
        && words[5].split(',').any(|part| day(part, at))
        && field(&words[6], 1, number(at.month()), &MONTHS)
        && field(&words[7], 1970, i64::from(at.year()), &[])
}

fn field(word: &str, min: i64, value: i64, names: &[&str]) -> bool {
    word.split(',').any(|part| range(part, min, value, names))
}

fn range(part: &str, min: i64, value: i64, names: &[&str]) -> bool {
    let read = |text: &str| match names.iter().position(|name| *name == text) {
        Some(index) => min + i64::try_from(index).unwrap(),
        None => text.parse().unwrap(),
    };
    let (span, step) = part.split_once('/').map_or((part, 1), |(span, step)| (span, step.parse().unwrap()));
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (min, i64::MAX),
        Some((first, last)) => (read(first), read(last)),
        None if part.contains('/') => (read(span), i64::MAX),
        None => (read(span), read(span)),
    };
    (first..=last).contains(&value) && (value - first) % step == 0
}

fn day(part: &str, at: DateTime) -> bool {
    let last = at.date().last_of_month().day();
    if part == "last" {
        return at.day() == last;
    }
    let Some((row, name)) = part.split_once('_') else { return range(part, 1, at.day().into(), &[]) };
    let weekday = WEEKDAYS[usize::try_from(at.weekday().to_monday_zero_offset()).unwrap()];
    let right_row = if row == "last" {
        at.day() > last - 7
    } else {
        row.starts_with(&((at.day() - 1) / 7 + 1).to_string())
    };
    name == weekday && right_row
}

/// Whether a word in the place of the hour lets the schedule run through changes of the clock.
pub(crate) fn hour_runs(word: &str) -> bool {
    word == "*" || (word.starts_with("*/") && !word.contains(','))
}

/// Whether an instant is a tick, given what matches on the wall clock.
pub(crate) fn is_tick(
    zone: &TimeZone,
    at: Timestamp,
    runs: bool,
    matches: impl Fn(DateTime) -> bool,
) -> bool {
    let wall = zone.to_datetime(at);
    if runs {
        return matches(wall);
    }
    let first_pass = zone.to_ambiguous_timestamp(wall).compatible().is_ok_and(|first| first == at);
    first_pass && matches(wall) || skipped_onto(zone, at).is_some_and(matches)
}

/// The wall-clock time in a gap that the rule shifts onto an instant.
pub(crate) fn skipped_onto(zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    let change = zone.preceding(at + 1.nanosecond()).next()?;
    let before = zone.to_offset(change.timestamp() - 1.second());
    let skipped = before.to_datetime(at);
    let local = zone.to_ambiguous_timestamp(skipped);
    let in_gap = matches!(local.offset(), AmbiguousOffset::Gap { .. });
    (in_gap && local.compatible().is_ok_and(|shifted| shifted == at)).then_some(skipped)
}

const FROM_SUNDAY: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Whether a date matches a day-of-month word of `cron(…)`.
pub(crate) fn cron_day(word: &str, at: DateTime) -> bool {
    let length = i64::from(at.date().days_in_month());
    let nearest = |day: i64| {
        if day < 1 || day > length {
            return false;
        }
        let date = at.date().first_of_month().checked_add((day - 1).days()).unwrap();
        let candidates = [0, -1, 1, -2, 2].map(|shift: i64| date.checked_add(shift.days()).unwrap());
        let working = |date: &&jiff::civil::Date| {
            date.month() == at.month() && !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
        };
        candidates.iter().find(working) == Some(&at.date())
    };
    if let Some(back) = word.strip_prefix("L-") {
        return match back.strip_suffix('W') {
            Some(back) => nearest(length - back.parse::<i64>().unwrap()),
            None => i64::from(at.day()) == length - back.parse::<i64>().unwrap(),
        };
    }
    match word {
        "L" => i64::from(at.day()) == length,
        "LW" => nearest(length),
        "?" => true,
        _ if word.ends_with('W') => nearest(word.trim_end_matches('W').parse().unwrap()),
        _ => wrapping(word, 1, 31, at.day().into(), &[]),
    }
}

/// Whether a date matches a day-of-week word of `cron(…)`; `weekday` counts from 1 = Sunday.
pub(crate) fn cron_weekday(word: &str, at: DateTime, weekday: i64) -> bool {
    let read = |text: &str| wrapping(text, 1, 7, weekday, &FROM_SUNDAY);
    if word == "L" {
        return weekday == 7;
    }
    if let Some((day, nth)) = word.split_once('#') {
        return read(day) && nth == ((at.day() - 1) / 7 + 1).to_string();
    }
    match word.strip_suffix('L') {
        Some(day) => read(day) && at.day() > at.date().days_in_month() - 7,
        None => word == "?" || read(word),
    }
}

/// As [`field`], with ranges that may run over the end.
pub(crate) fn wrapping(word: &str, min: i64, max: i64, value: i64, names: &[&str]) -> bool {
    let read = |text: &str| match names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        Some(index) => min + i64::try_from(index).unwrap(),
        None => text.parse().unwrap(),
    };
    word.split(',').any(|part| {
        let (span, step) =
            part.split_once('/').map_or((part, 1), |(span, step)| (span, step.parse().unwrap()));
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (min, max),
            Some((first, last)) => (read(first), read(last)),
            None if part.contains('/') => (read(span), max),
            None => (read(span), read(span)),
        };
        let mut at = first;
        let mut distance = 0;
        loop {
            if at == value && distance % step == 0 {
                return true;
            }
            if at == last {
                return false;
            }
            at = if at == max { min } else { at + 1 };
            distance += 1;
        }
    })
}

/// Whether a wall-clock time matches a crontab line, as Vixie cron fills and reads its bit sets.
pub(crate) fn crontab(line: &str, at: DateTime) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = |index: usize, min: i64, max: i64, names: &[&str], value: i64| {
        words[index].split(',').any(|part| crontab_part(part, (min, max), names).contains(&value))
    };
    let day = named(2, 1, 31, &[], at.day().into());
    let from_sunday = i64::from(at.weekday().to_sunday_zero_offset());
    let weekday =
        named(4, 0, 7, &FROM_SUNDAY, from_sunday) || from_sunday == 0 && named(4, 0, 7, &FROM_SUNDAY, 7);
    let one_is_open = words[2].starts_with('*') || words[4].starts_with('*');
    named(0, 0, 59, &[], at.minute().into())
        && named(1, 0, 23, &[], at.hour().into())
        && named(3, 1, 12, &MONTHS, at.month().into())
        && if one_is_open { day && weekday } else { day || weekday }
}

fn crontab_part(part: &str, (min, max): (i64, i64), names: &[&str]) -> Vec<i64> {
    let read = |text: &str| match names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        Some(index) => min + i64::try_from(index).unwrap(),
        None => text.parse().unwrap(),
    };
    let (span, step) = part.split_once('/').unwrap_or((part, "1"));
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (min, max),
        Some((first, last)) => (read(first), read(last)),
        None => (read(span), read(span)),
    };
    (first..=last).step_by(step.parse().unwrap()).collect()
}
